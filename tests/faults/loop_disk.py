"""Disks that a test owns: an ext4 file system in a file, whose power can be cut, and a small file system in memory.

The power cut is ``FS_IOC_SHUTDOWN`` without a flush: from then on nothing reaches the disk, and what was not synced
before is gone at the next mount, as it would be after a real one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

_FS_IOC_SHUTDOWN = 0x8004587D
_WITHOUT_A_FLUSH = 2
_IMAGE_BYTES = 64 * 1024 * 1024
_DEADLINE_S = 20


class LoopDisk:
    """An ext4 file system in one file, mounted at ``mount_point``."""

    def __init__(self, image: Path, mount_point: Path) -> None:
        self._image = image
        self.mount_point = mount_point

    def make(self) -> None:
        """An empty file system."""
        with self._image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _call("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount_point.mkdir()

    def mount(self) -> None:
        """Switch the power on."""
        _call("mount", "-o", "loop", str(self._image), str(self.mount_point))

    def cut_power(self) -> None:
        """From here on every write and every sync fails, and nothing that was not synced is ever seen again."""
        fd = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _FS_IOC_SHUTDOWN, struct.pack("i", _WITHOUT_A_FLUSH))
        finally:
            os.close(fd)

    def mount_again(self) -> None:
        """After a cut; whoever used the disk must have ended."""
        _unmount(self.mount_point)
        self.mount()


@contextmanager
def loop_disk(folder: Path) -> Iterator[LoopDisk]:
    """A mounted disk in ``folder``, unmounted at the end whatever happens."""
    disk = LoopDisk(folder / "disk.img", folder / "disk")
    disk.make()
    disk.mount()
    try:
        yield disk
    finally:
        _unmount(disk.mount_point)


@contextmanager
def memory_disk(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """A file system in memory of that size, mounted in ``folder``; it grants whole pages."""
    mount_point = folder / "memory"
    mount_point.mkdir()
    _call("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(mount_point))
    try:
        yield mount_point
    finally:
        _unmount(mount_point)


def why_no_loop_disk() -> str:
    """Why a loop disk cannot be had here; "" where it can."""
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is missing"
    return _why_not(loop_disk)


def why_no_memory_disk() -> str:
    """Why a memory disk cannot be had here; "" where it can."""
    return _why_not(lambda folder: memory_disk(folder, size_bytes=1024 * 1024))


def _why_not(disk: Callable[[Path], AbstractContextManager[object]]) -> str:
    if os.geteuid() != 0:
        return "only root may mount a disk"
    with tempfile.TemporaryDirectory(prefix="osiris-") as folder:
        try:
            with disk(Path(folder)):
                return ""
        except subprocess.CalledProcessError as refused:
            return f"a disk cannot be mounted here: {refused.stderr.strip()}"


def _unmount(mount_point: Path) -> None:
    """Unmount; a process that was just killed may need a moment to let its files go."""
    deadline = time.monotonic() + _DEADLINE_S
    while os.path.ismount(mount_point):
        done = subprocess.run(["umount", str(mount_point)], capture_output=True, text=True, check=False)
        if done.returncode and time.monotonic() > deadline:
            _call("umount", "--lazy", str(mount_point))
            raise OSError(errno.EBUSY, done.stderr.strip(), str(mount_point))


def _call(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)
