"""The only place that writes, syncs, replaces or removes what must survive a crash.

Every function raises the plain ``OSError``; callers say in an ``OsirisError`` what that means for the user. The disk is
reached through ``os`` alone, so that a test can put a disk in its place that fails at the Nth call.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "darwin":
    import fcntl

    def sync_file(fd: int) -> None:
        """Force the bytes of ``fd`` to the platter: on macOS only ``F_FULLFSYNC`` does."""
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

else:

    def sync_file(fd: int) -> None:
        """Return once the bytes and the size of ``fd`` survive a power cut. Never retried by anyone."""
        os.fdatasync(fd)


_LEFT_BEHIND_S = 24 * 3600
_PIECE_BYTES = 1 << 20
_LONGEST_COPY_BYTES = 1 << 30
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp", re.DOTALL)
_EMPTIED = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_REAL_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def _opened(path: Path | str, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def sync_directory(path: Path | str) -> None:
    """Return once the names in the directory ``path`` survive a power cut."""
    with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)


def make_directory(path: Path) -> None:
    """Create ``path`` and its missing parents, each synced into its parent; an existing directory is left alone."""
    if os.path.isdir(path):
        return
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        try:
            sync_directory(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(path)  # a name that may not survive must not be taken for one that does
            raise


def open_for_writing(path: Path | str) -> int:
    """A descriptor of the file at ``path``, which is created where it is missing. Nothing of it is cut."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)


def open_for_appending(path: Path | str) -> int:
    """A descriptor that writes behind what is in the file at ``path``, which is created where it is missing."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def make_folders(path: Path | str) -> None:
    """Create ``path`` and its missing parents, none of them synced: for what can be made again."""
    os.makedirs(path, exist_ok=True)


def move(source: Path | str, target: Path | str) -> None:
    """Rename over what may be at ``target``, unsynced."""
    os.replace(source, target)


def write_at(fd: int, content: bytes, offset: int) -> int:
    """One write of ``content`` at ``offset``; returns how many bytes of it the disk took."""
    return os.pwrite(fd, content, offset)


def cut(fd: int, size: int) -> None:
    """Make the file ``size`` bytes long."""
    os.ftruncate(fd, size)


def remove_file(path: Path | str) -> None:
    """Remove a file; one that is not there is fine."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def write_all(fd: int, content: bytes) -> None:
    """Write every byte of ``content`` at the file's position, however short the single writes are."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def write_file(path: Path, content: bytes, *, sync: bool) -> None:
    """Write ``path`` in place, from empty. Only for files that nobody reads yet."""
    with _opened(path, _EMPTIED) as fd:
        write_all(fd, content)
        if sync:
            sync_file(fd)


def replace_file(path: Path, content: bytes, *, sync: bool, temporary: Path | None = None) -> None:
    """Give ``path`` new bytes in one step: readers see the old file or the new one, never a part.

    With ``sync`` the step itself survives a power cut. ``temporary`` is a name on the same file system that nobody else
    uses now; left out, it is one beside ``path``.
    """
    temporary = temporary or path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_file(temporary, content, sync=sync)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise
    if sync:
        sync_directory(path.parent)


def copy_file_part(source: Path, offset: int, target: Path) -> str:
    """Copy the bytes of ``source`` from ``offset`` on to ``target``, synced; returns their SHA-256, 64 hex digits."""
    digest = hashlib.sha256()
    with _opened(target, _EMPTIED) as fd:
        with source.open("rb") as file:
            file.seek(offset)
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                write_all(fd, piece)
        sync_file(fd)
    sync_directory(target.parent)
    return digest.hexdigest()


def link_file(source: Path, target: Path) -> None:
    """Give the file at ``source`` the new name ``target`` as well, unsynced; a copy where there can be no link."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links; whatever else is wrong, the copy meets it too
        copy_file_part(source, 0, target)


def replace_end(path: Path, offset: int, content: bytes) -> None:
    """Give ``path`` the bytes ``content`` from ``offset`` on, in one step that survives a power cut.

    The caller keeps all others away from ``path``. What stands before is written anew as well: after a sync that
    failed, bytes that can be read may not be on the disk.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with _opened(temporary, _EMPTIED) as fd:
            if offset:
                with path.open("rb") as file:
                    for start in range(0, offset, _PIECE_BYTES):
                        write_all(fd, file.read(min(_PIECE_BYTES, offset - start)))
            write_all(fd, content)
            sync_file(fd)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise
    sync_directory(path.parent)


def put_before(path: Path, content: bytes, *, temporary: Path) -> None:
    """Put ``content`` before what is in the file at ``path``, in one step, unsynced; a missing file is an empty one.

    The kernel copies what is there: a long file is neither read nor written by this process.
    """
    try:
        with _opened(temporary, _EMPTIED) as target:
            write_all(target, content)
            _copy_behind(path, target)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise


def _copy_behind(path: Path, target: int) -> None:
    with contextlib.suppress(FileNotFoundError), _opened(path, os.O_RDONLY) as source:
        if hasattr(os, "copy_file_range"):
            with contextlib.suppress(OSError):  # not on every file system; what was not copied is written below
                while os.copy_file_range(source, target, _LONGEST_COPY_BYTES):
                    pass
        while piece := os.read(source, _PIECE_BYTES):
            write_all(target, piece)


def make_temporary_beside(target: Path) -> Path:
    """A new folder beside ``target``, to be filled and moved there. Others' files that end in ``.tmp`` stay.

    Those that dead processes left behind go once they are a day older than this one, by the file system's own clock: a
    process that still fills one cannot be told from a dead one on another machine or in another container.
    """
    # A name may have 255 bytes, and a character up to four: of a long one only the beginning fits.
    temporary = target.with_name(f".{target.name[:48]}.{os.urandom(8).hex()}.tmp")
    os.mkdir(temporary)
    made_s = temporary.stat().st_mtime
    for left in target.parent.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if _TEMPORARY.fullmatch(left.name) and made_s - left.stat().st_mtime > _LEFT_BEHIND_S:
                remove_tree(left)
    return temporary


def move_into_place(temporary: Path, target: Path) -> None:
    """Rename a finished file or directory to ``target`` and sync the name; the content must have been synced before."""
    os.replace(temporary, target)
    sync_directory(target.parent)


def open_for_syncing(path: Path | str) -> int:
    """A descriptor of an existing file that can be synced, also where nothing can be written."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def sync_path(path: Path) -> None:
    """Sync one finished file by name."""
    with _opened(path, os.O_RDONLY) as fd:
        sync_file(fd)


def remove_tree(path: Path) -> None:
    """Remove a file, a link (never what it points at) or a directory; nothing there, or others removing it, is fine."""
    while True:
        try:
            if path.is_symlink() or path.is_file():
                os.unlink(path)
            elif path.is_dir():
                shutil.rmtree(path)
        except FileNotFoundError:
            continue  # somebody else removes the same: what they left is looked at anew
        return


def open_folder_in(parent: int, name: str) -> int:
    """A descriptor of the folder ``name`` in the open folder ``parent``; ``OSError`` where it is a link or a file."""
    return os.open(name, _REAL_FOLDER, dir_fd=parent)


def mount_of(folder: int) -> tuple[int, str]:
    """The device of an open folder and, on Linux, which mount of it: a folder may be mounted in its own device."""
    with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{folder}") as told:
        return os.fstat(folder).st_dev, next((line for line in told if line.startswith("mnt_id")), "")
    return os.fstat(folder).st_dev, ""


def remove_folder(parent: int, name: str, folder: int) -> None:
    """Remove the open ``folder``, which is ``name`` in the open folder ``parent``, with all in it; synced.

    Every step is taken from a folder that is open, so nothing elsewhere is reached whatever others rename meanwhile.
    Links go as links. What is mounted in it is ``EXDEV``, a folder that is not ``name`` any more ``ESTALE``.
    """
    _empty(folder, mount_of(folder))
    if not os.path.samestat(os.stat(name, dir_fd=parent, follow_symlinks=False), os.fstat(folder)):
        raise OSError(errno.ESTALE, "another folder has taken its place", name)
    os.rmdir(name, dir_fd=parent)
    os.fsync(parent)


def _empty(folder: int, mount: tuple[int, str]) -> None:
    if mount_of(folder) != mount:
        raise OSError(errno.EXDEV, "something is mounted in it")
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        with contextlib.suppress(FileNotFoundError):  # others may remove the same
            if not is_folder:
                os.unlink(name, dir_fd=folder)
                continue
            inner = open_folder_in(folder, name)
            try:
                _empty(inner, mount)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)
