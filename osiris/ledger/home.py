"""Where an index is at home: the boot of the machine and the file in which it was written.

Nothing in the index is synced. After a power cut it may hold anything, and a copy may be of another moment than the
journal beside it. Either shows in what stands here, and then the index is compared with the journal before it is used.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import NamedTuple

if sys.platform == "darwin":
    import subprocess

    _NO_NAME: tuple[type[Exception], ...] = (OSError, subprocess.SubprocessError)

    def _read_boot_id() -> str:
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()  # noqa: S603 - a fixed command

else:
    _NO_NAME: tuple[type[Exception], ...] = (OSError,)

    def _read_boot_id() -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Home(NamedTuple):
    """A boot of a machine ("" where it gives itself no name), and the inode of a database."""

    boot_id: str
    inode: int


def home_of(path: Path) -> Home:
    """Where the database at ``path`` is at home, if it was written here and now. Raises ``OSError``."""
    return Home(boot_id(), path.stat().st_ino)


@functools.cache
def boot_id() -> str:
    """What the kernel calls the time since it was started: another after each boot; "" where it has no name for it.

    Then a power cut does not show, and the index is trusted as after the death of a process.
    """
    try:
        return _read_boot_id()
    except _NO_NAME:
        return ""
