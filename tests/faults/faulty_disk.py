"""A disk that fails at the Nth call, and that forgets what a failed sync had not written: to be put in place of ``os``.

Everything really happens in the file system, and beside it the disk keeps what a power cut would leave of one folder:

- Bytes count once a sync of their file has succeeded, names once a sync of their folder has.
- A sync that fails loses what it should have written. The kernel marks it clean: it can still be read, a later sync
  succeeds, and it is not on the disk. The same bytes written once more do not come there either until the file was cut
  before them, nor does a name until it was removed or replaced.
- Or all of it had reached the disk all the same, and is found there until the next sync that succeeds.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

ANY = "any"
OPERATIONS = ("write", "sync", "truncate", "rename", "open", "mkdir", "remove")
FOR_EVER = sys.maxsize
_ERRORS = {"sync": errno.EIO, "truncate": errno.EIO, "open": errno.EIO, "remove": errno.EIO}
_CLEAN, _DIRTY, _LOST = b"\0", b"\1", b"\2"

AnyPath = str | os.PathLike[str]
_Inode = tuple[int, int]


class Fault(NamedTuple):
    """From its ``number``-th call on ``operation`` fails, ``times`` in a row.

    A ``short`` write takes half of the bytes the first time; after that the disk is full.
    """

    operation: str
    number: int
    times: int = 1
    short: bool = False


class _File:
    """One file: its bytes on the disk, and for each byte that can be read whether it is there, or still may come."""

    def __init__(self, fd: int, on_disk: bytes) -> None:
        self.fd = fd  # kept open, so that no other file gets its number
        self.on_disk = on_disk
        self.marks = bytearray(len(on_disk))
        self.reached: bytes | None = None

    def wrote(self, start: int, end: int) -> None:
        self.marks.extend(_CLEAN * (end - len(self.marks)))
        self.marks[start:end] = self.marks[start:end].replace(_CLEAN, _DIRTY)

    def cut(self, size: int) -> None:
        del self.marks[size:]

    def now(self) -> bytes:
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0)

    def synced(self) -> None:
        now = self.now()
        size = len(now)
        before = self.on_disk.ljust(size, b"\0")
        marks = self.marks.ljust(size, _CLEAN)
        self.on_disk = bytes(now[at] if marks[at : at + 1] == _DIRTY else before[at] for at in range(size))
        self.marks = marks.replace(_DIRTY, _CLEAN)
        self.reached = None

    def not_synced(self) -> None:
        self.marks = self.marks.replace(_DIRTY, _LOST)
        self.reached = self.now()


class _Folder:
    """One folder: its names on the disk, and those that a failed sync has lost."""

    def __init__(self, path: str, names: dict[str, _Inode]) -> None:
        self.path = path
        self.on_disk = names
        self.lost: set[str] = set()

    def now(self) -> dict[str, _Inode]:
        with os.scandir(self.path) as entries:
            return {entry.name: (entry.stat().st_dev, entry.inode()) for entry in entries}

    def synced(self) -> None:
        now = self.now()
        kept = {name: inode for name, inode in self.on_disk.items() if name in self.lost}
        self.on_disk = {name: inode for name, inode in now.items() if name not in self.lost} | kept

    def not_synced(self) -> None:
        now = self.now()
        self.lost |= {name for name in now | self.on_disk if now.get(name) != self.on_disk.get(name)}


class FaultyDisk:
    """``os`` with a ``fault``; what a power cut would leave is kept for ``folder``, all of which counts as synced now.

    ``unsynced`` is a file in it of which only the first so many bytes are on the disk, as a killed writer leaves it.
    ``failed`` has the operations that have failed, in order.
    """

    def __init__(self, folder: Path, fault: Fault, unsynced: tuple[Path, int] | None = None) -> None:
        self.failed: list[str] = []
        self._fault: Fault | None = fault
        self._calls = 0
        self._lock = threading.RLock()
        self._root = folder
        self._paths: dict[int, str] = {}
        self._files: dict[_Inode, _File] = {}
        self._folders: dict[_Inode, _Folder] = {}
        self._watch_folder(str(folder.parent))
        for path in [folder, *sorted(folder.rglob("*"))] if folder.exists() else []:
            if path.is_dir():
                self._watch_folder(str(path))
            else:
                self._watch_file(str(path), path.read_bytes())
        if unsynced is not None:
            path, size = unsynced
            file = self._files[_inode(path)]
            file.on_disk = file.on_disk[:size]
            file.marks[size:] = file.marks[size:].replace(_CLEAN, _DIRTY)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def mend(self) -> None:
        """Nothing fails any more. What was lost stays lost."""
        self._fault = None

    def let_go(self) -> None:
        """Let go of the files that were kept open."""
        for file in self._files.values():
            os.close(file.fd)
        self._files = {}

    def leave_after_power_cut(self, target: Path, *, lucky: bool) -> None:
        """Make the folder ``target`` as the watched one would be found if the power went now.

        ``lucky`` says that what a sync failed to write had reached the disk.
        """
        target.mkdir()
        parent = self._folders[_inode(self._root.parent)]
        if self._root.name in parent.on_disk:
            self._leave(self._folders[parent.on_disk[self._root.name]], target, lucky=lucky)

    def open(self, path: AnyPath, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """``os.open``; what is opened in an open folder is nothing that is watched."""
        self._may_fail("open", path)
        if dir_fd is not None:
            return os.open(path, flags, mode, dir_fd=dir_fd)
        with self._lock:
            name = os.fspath(path)
            fd = os.open(name, flags, mode)
            self._paths[fd] = name
            if self._is_watched(name) and not stat.S_ISDIR(os.fstat(fd).st_mode):
                self._watch_file(name, b"")
                if flags & os.O_TRUNC:
                    self._files[_inode(fd)].cut(0)
            return fd

    def write(self, fd: int, content: bytes | memoryview) -> int:
        """``os.write``."""
        written = os.write(fd, self._taken(fd, content))
        end = os.lseek(fd, 0, os.SEEK_CUR)
        self._wrote(fd, end - written, end)
        return written

    def pwrite(self, fd: int, content: bytes, offset: int) -> int:
        """``os.pwrite``."""
        written = os.pwrite(fd, self._taken(fd, content), offset)
        self._wrote(fd, offset, offset + written)
        return written

    def fdatasync(self, fd: int) -> None:
        """``os.fdatasync``; the real disk is spared it, for what counts is kept here."""
        with self._lock:
            inode = _inode(fd)
            watched = self._files.get(inode) or self._folders.get(inode)
            try:
                self._may_fail("sync", self._paths.get(fd, ""))
            except OSError:
                if watched is not None:
                    watched.not_synced()
                raise
            if watched is not None:
                watched.synced()

    fsync = fdatasync

    def ftruncate(self, fd: int, size: int) -> None:
        """``os.ftruncate``."""
        self._may_fail("truncate", self._paths.get(fd, ""))
        os.ftruncate(fd, size)
        if file := self._files.get(_inode(fd)):
            file.cut(size)

    def replace(self, source: AnyPath, target: AnyPath) -> None:
        """``os.replace``."""
        self._may_fail("rename", target)
        os.replace(source, target)  # noqa: PTH105 - it stands in for it
        self._is_new(source)
        self._is_new(target)

    rename = replace

    def unlink(self, path: AnyPath, *, dir_fd: int | None = None) -> None:
        """``os.unlink``."""
        self._may_fail("remove", path)
        os.unlink(path, dir_fd=dir_fd)
        if dir_fd is None:
            self._is_new(path)

    def mkdir(self, path: AnyPath, mode: int = 0o777) -> None:
        """``os.mkdir``."""
        self._may_fail("mkdir", path)
        os.mkdir(path, mode)  # noqa: PTH102 - it stands in for it
        if self._is_watched(os.fspath(path)):
            self._watch_folder(os.fspath(path))
            self._folders[_inode(path)].on_disk = {}

    def rmdir(self, path: AnyPath, *, dir_fd: int | None = None) -> None:
        """``os.rmdir``."""
        self._may_fail("remove", path)
        os.rmdir(path, dir_fd=dir_fd)
        if dir_fd is None:
            self._is_new(path)

    def _fails(self, operation: str) -> bool:
        with self._lock:
            if self._fault is None or self._fault.operation not in {ANY, operation}:
                return False
            self._calls += 1
            fails = 0 <= self._calls - self._fault.number < self._fault.times
            if fails:
                self.failed.append(operation)
            return fails

    def _may_fail(self, operation: str, path: AnyPath) -> None:
        if self._fails(operation):
            number = _ERRORS.get(operation, errno.ENOSPC)
            raise OSError(number, os.strerror(number), os.fspath(path))

    def _taken(self, fd: int, content: bytes | memoryview) -> bytes | memoryview:
        if not self._fails("write"):
            return content
        if self._fault and self._fault.short and self._calls == self._fault.number:
            return content[: len(content) // 2]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._paths.get(fd, ""))

    def _wrote(self, fd: int, start: int, end: int) -> None:
        if file := self._files.get(_inode(fd)):
            file.wrote(start, end)

    def _is_watched(self, path: str) -> bool:
        return self._root == Path(path) or self._root in Path(path).parents

    def _watch_file(self, path: str, on_disk: bytes) -> None:
        inode = _inode(path)
        if inode not in self._files:
            self._files[inode] = _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC), on_disk)

    def _watch_folder(self, path: str) -> None:
        folder = _Folder(path, {})
        folder.synced()
        self._folders[_inode(path)] = folder

    def _is_new(self, path: AnyPath) -> None:
        parent, name = os.path.split(os.fspath(path))
        if folder := self._folders.get(_inode(parent)):
            folder.lost.discard(name)

    def _leave(self, folder: _Folder, target: Path, *, lucky: bool) -> None:
        for name, inode in folder.on_disk.items():
            if file := self._files.get(inode):
                (target / name).write_bytes(file.reached if lucky and file.reached is not None else file.on_disk)
            elif inode in self._folders:
                (target / name).mkdir()
                self._leave(self._folders[inode], target / name, lucky=lucky)


def _inode(place: AnyPath | int) -> _Inode:
    found = os.stat(place)  # noqa: PTH116 - also of descriptors
    return found.st_dev, found.st_ino
