"""A journal on a file system whose locks and syncs do not hold is refused, unless somebody has taken the risk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.events import file_systems
from osiris.events.file_systems import is_untrusted, kind_in_mount_list, kind_in_mountinfo
from osiris.events.journal import Journal
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.queries import RunFilter, list_runs
from osiris.ledger.repair import repair
from osiris.project import Project, open_project
from tests.events.test_journal import fact
from tests.histories import SteppingClock, begin, end, make_ledger, tree

# proc(5): id, parent, major:minor, root, mount point, options, optional fields, "-", type, source, super options.
MOUNTINFO = """\
22 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
23 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
29 28 259:20 / /boot/efi rw,relatime shared:30 - vfat /dev/nvme0n1p1 rw,fmask=0077
35 28 0:52 / /home/ada rw,nosuid,relatime shared:220 master:3 - nfs4 fs.example:/home/ada rw,vers=4.2,hard,proto=tcp
36 28 0:53 /deep/inside /mnt/share\\040of\\040all rw,relatime shared:221 - cifs //fs.example/share\\040of\\040all rw
37 28 0:54 / /mnt/c rw,noatime - 9p drvfs rw,dirsync,aname=drvfs;path=C:\\;uid=1000
38 28 0:55 / /var/lib/docker/overlay2/f00/merged rw,relatime - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/u
39 28 0:56 / /home/ada/remote rw,nosuid,nodev,relatime shared:222 - fuse.sshfs ada@fs.example:/srv rw,user_id=1000
40 28 0:57 / /mnt/old rw,relatime propagate_from:2 - nfs old.example:/export rw,vers=3,nolock
41 28 0:58 / /mnt/ - \\040odd rw,relatime shared:223 - xfs /dev/sdb1 rw
42 28 0:5 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw
""".replace("/mnt/ - \\040odd", "/mnt/\\040-\\040odd")
KINDS_ON_LINUX = {
    (259, 2): "ext4",
    (259, 20): "vfat",
    (0, 52): "nfs4",
    (0, 53): "cifs",
    (0, 54): "9p",
    (0, 55): "overlay",
    (0, 56): "fuse.sshfs",
    (0, 57): "nfs",
    (0, 58): "xfs",
    (0, 5): "tmpfs",
    (0, 2): "",
    (25, 9): "",
}
MOUNT_LIST = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//ada@fs.example/team on /Volumes/team (smbfs, nodev, nosuid, mounted by ada)
fs.example:/export/on call on /Volumes/on call (nfs, nodev, nosuid, mounted by ada)
/dev/disk5s1 on /Volumes/team disk (2) (hfs, local, nodev, nosuid, journaled, noowners)
https://dav.example/ on /Volumes/team/dav (webdav, nodev, noexec, nosuid, mounted by ada)
"""
PLACES_ON_MACOS = {
    "/Users/ada/shop": "apfs",
    "/": "apfs",
    "/dev/fd": "devfs",
    "/System/Volumes/Data/home": "autofs",
    "/System/Volumes/Data/homes": "apfs",
    "/Volumes/team": "smbfs",
    "/Volumes/team/shop/.osiris/journal": "smbfs",
    "/Volumes/team/dav/shop": "webdav",
    "/Volumes/teams": "apfs",
    "/Volumes/team disk (2)/shop": "hfs",
    "/Volumes/on call/shop": "nfs",
}
UNTRUSTED = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "webdav", "afpfs", "fuse.sshfs", "fuse.rclone", "sshfs"]
TRUSTED = [
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "overlay",
    "tmpfs",
    "apfs",
    "hfs",
    "fuse.gocryptfs",
    "fuseblk",
    "virtiofs",
    "",
]


@pytest.mark.parametrize(("device", "kind"), KINDS_ON_LINUX.items())
def test_a_device_has_the_type_that_its_line_of_mountinfo_says(device: tuple[int, int], kind: str) -> None:
    assert kind_in_mountinfo(MOUNTINFO, *device) == kind


@pytest.mark.parametrize("text", ["", "\n", "28 1 259:2", "28 1 259:2 / / rw", "nothing - like it"])
def test_a_mountinfo_that_says_nothing_is_no_reason_to_refuse(text: str) -> None:
    assert kind_in_mountinfo(text, 259, 2) == ""


@pytest.mark.parametrize(("place", "kind"), PLACES_ON_MACOS.items())
def test_a_folder_has_the_type_of_the_innermost_mount_that_holds_it(place: str, kind: str) -> None:
    assert kind_in_mount_list(MOUNT_LIST, place) == kind


def test_a_mount_list_that_says_nothing_is_no_reason_to_refuse() -> None:
    assert kind_in_mount_list("", "/Users/ada") == ""


def test_network_file_systems_are_untrusted_and_local_ones_are_not() -> None:
    assert [kind for kind in UNTRUSTED if not is_untrusted(kind)] == []
    assert [kind for kind in TRUSTED if is_untrusted(kind)] == []


def test_the_file_system_under_the_tests_is_the_one_that_df_names(tmp_path: Path) -> None:
    named = subprocess.run(["df", "--output=fstype", tmp_path], capture_output=True, text=True, check=False)
    if named.returncode or "btrfs" in named.stdout:
        pytest.skip("df does not tell types here, or the file system has devices that mountinfo does not name")
    assert file_systems._kind_of(tmp_path) == named.stdout.split()[-1]


def lie_on(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Let every folder lie on such a file system: there is no NFS on a machine that runs tests."""
    monkeypatch.setattr(file_systems, "_kind_of", lambda _: kind)


def make_journal(root: Path, *allowed: str) -> Journal:
    return Journal(
        root / "journal", clock=SteppingClock(), segment_bytes=10_000, lock_timeout_s=1, allow_file_systems=allowed
    )


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_an_append_there_is_refused_and_the_error_names_the_type_and_the_key_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    lie_on(monkeypatch, kind)
    journal = make_journal(tmp_path, "afs", kind.partition(".")[0] if "." in kind else "nfs")
    for _ in range(2):  # the answer to the first must not be taken for that to the second
        with pytest.raises(OsirisError) as caught:
            journal.append(fact("refused"))
        assert (caught.value.code, caught.value.exit_code) == ("journal.file_system", ExitCode.USAGE)
        assert f"{journal.directory} lies on a file system of the type {kind}," in caught.value.problem
        assert f"`ledger: {{allow_filesystems: [{kind}]}}` in osiris.yaml" in caught.value.hint
    assert list(journal.read()) == []
    assert not journal.exists()


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs"])
def test_one_that_is_allowed_by_name_is_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    lie_on(monkeypatch, kind)
    journal = make_journal(tmp_path, "afs", kind)
    journal.append(fact("taken at your own risk"))
    assert [entry.seq for entry in journal.read()] == [1]


@pytest.mark.parametrize("kind", ["ext4", ""])
def test_a_local_one_and_one_that_nobody_can_name_need_no_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    lie_on(monkeypatch, kind)
    assert make_journal(tmp_path).append(fact("fine")).seq == 1


def test_reading_there_is_not_refused_nor_is_making_the_index_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = make_ledger(tmp_path)
    end(ledger, begin(ledger))
    ledger.close()
    before = tree(tmp_path / "journal")
    lie_on(monkeypatch, "nfs4")
    assert len(list(make_journal(tmp_path).read())) == 2
    assert len(list_runs(make_ledger(tmp_path), RunFilter(), 10)) == 1
    assert rebuild(make_ledger(tmp_path)).head.seq == 2
    assert verify_index(make_ledger(tmp_path)).result == "ok"
    assert repair(make_ledger(tmp_path), dry_run=True).reason == ""
    for write in (lambda: begin(make_ledger(tmp_path)), lambda: repair(make_ledger(tmp_path), dry_run=False)):
        with pytest.raises(OsirisError) as caught:
            write()
        assert caught.value.code == "journal.file_system"
    assert tree(tmp_path / "journal") == before


def open_shop(root: Path, configuration: str) -> Project:
    (root / "osiris.yaml").write_text(f'version: "2.0"\n{configuration}')
    return open_project(root, {}, clock=SteppingClock())


def test_the_key_in_osiris_yaml_reaches_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lie_on(monkeypatch, "nfs4")
    for configuration in ("", "ledger: {allow_filesystems: []}\n", "ledger: {allow_filesystems: [cifs, nfs]}\n"):
        with pytest.raises(OsirisError) as caught:
            open_shop(tmp_path, configuration).ledger.record(fact("refused"))
        assert caught.value.code == "journal.file_system"
    ledger = open_shop(tmp_path, "ledger: {allow_filesystems: [cifs, nfs4]}\n").ledger
    assert ledger.record(fact("allowed")).seq == 1
    ledger.close()
