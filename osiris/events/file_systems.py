"""Which file systems a journal must not lie on: those whose locks or syncs do not hold what they promise.

On NFS a lock may be local to each client, on SMB and 9p a sync may end before the server's disk has the bytes; a
ledger on them would be one that only seems to be safe.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from osiris.errors import OsirisError

if sys.platform == "darwin":
    import subprocess

    def _kind_of(directory: Path) -> str:
        try:
            listed = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=True, timeout=5)
        except (OSError, subprocess.SubprocessError):
            return ""
        return kind_in_mount_list(listed.stdout, os.path.realpath(directory))

else:

    def _kind_of(directory: Path) -> str:
        try:
            device = os.stat(directory).st_dev
            mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
        except OSError:
            return ""
        return kind_in_mountinfo(mounts, os.major(device), os.minor(device))


UNTRUSTED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "afpfs", "webdav", "davfs"})
UNTRUSTED_FUSE = frozenset({"sshfs", "s3fs", "rclone", "davfs2", "gcsfuse", "glusterfs"})


def refuse_untrusted(directory: Path, allowed: Collection[str]) -> None:
    """An error where ``directory`` lies on such a file system, unless its name is in ``allowed``."""
    kind = _kind_of(directory)
    if is_untrusted(kind) and kind not in allowed:
        raise OsirisError(
            f"{directory} lies on a file system of the type {kind}, whose locks and syncs a ledger cannot rely on",
            f"Keep the project on a local disk, or take the risk: `ledger: {{allow_filesystems: [{kind}]}}` in "
            "osiris.yaml; then write from one machine only.",
            code="journal.file_system",
            path=str(directory),
        )


def is_untrusted(kind: str) -> bool:
    """Whether a file system of this type is refused; "" (nobody could tell) is not."""
    return kind in UNTRUSTED or kind.removeprefix("fuse.") in UNTRUSTED_FUSE


def kind_in_mountinfo(text: str, major: int, minor: int) -> str:
    """The type of the file system on a device, from Linux' ``/proc/self/mountinfo`` (proc(5)); "" if it has none."""
    wanted = f"{major}:{minor}"
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        if rest and fields.split(" ")[2:3] == [wanted]:
            return rest.split(" ")[0]
    return ""


def kind_in_mount_list(text: str, path: str) -> str:
    """The type of the file system that holds ``path``, from what macOS' ``mount`` prints; "" if it is not there."""
    found = re.findall(r"^.* on (/.*) \(([^,)]+)", text, re.MULTILINE)
    holding = [(point, kind) for point, kind in found if f"{path}/".startswith(f"{point.rstrip('/')}/")]
    return max(reversed(holding), key=lambda mount: len(mount[0]), default=("", ""))[1]
