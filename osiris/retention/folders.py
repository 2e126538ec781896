"""Folders on the disk: which one it is, how much lies in it, and how one is removed.

A path from the journal is walked name by name from the project's root, each time from the open folder above it, and no
link is followed, not even the configured root's own. So a path leads to a real folder inside its root, or nowhere.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from osiris import durable
from osiris.errors import OsirisError, disk_error
from osiris.retention.planned import Folder
from osiris.retention.walls import refused

_DEEPEST = 200
"""Folders in folders: each level costs an open file, of which a process has a thousand."""
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_NO_FOLDER = frozenset({errno.ELOOP, errno.ENOTDIR})


class Place(NamedTuple):
    """A path of the journal, relative to the project in ``project``; it must lie below ``root``, also relative."""

    project: Path
    root: str
    path: str


class _Opened(NamedTuple):
    parent: int
    name: str
    folder: int


def look(place: Place) -> Folder | None:
    """The folder at ``place``; None if there is nothing. Changes nothing.

    Raises exit 2 where something is there that may not be deleted, 7 where the disk does not let it be seen.
    """
    try:
        _names(place)
        os.lstat(place.project / place.path)  # most paths of a long history are gone: one call for each of those
        with _opened(place) as opened:
            found = os.fstat(opened.folder)
            size = _bytes_in(place, opened.folder, durable.mount_of(opened.folder), 0)
    except OSError as cause:
        if cause.errno in _NOT_THERE:
            return None
        raise disk_error("read", place.path, cause) from cause
    return Folder(found.st_dev, found.st_ino, size)


def remove(place: Place, seen: Folder) -> None:
    """Remove the folder at ``place`` with all that is in it; it has gone from the disk then, also after a power cut.

    One that is not there is fine. Raises exit 2 for another folder than was ``seen`` and for what must not be deleted;
    nothing of it is touched then. Exit 7 where the disk fails: part of it may be gone.
    """
    try:
        with _opened(place) as (parent, name, folder):
            found = os.fstat(folder)
            if (found.st_dev, found.st_ino) != (seen.device, seen.inode):
                raise _replaced(place.path)
            durable.remove_folder(parent, name, folder)
    except FileNotFoundError:
        return
    except OSError as cause:
        match cause.errno:
            case errno.EXDEV | errno.EBUSY:
                raise _mounted(place.path) from cause
            case errno.ESTALE | errno.ELOOP | errno.ENOTDIR:
                raise _replaced(place.path) from cause
        raise disk_error("delete", place.path, cause) from cause


@contextmanager
def _opened(place: Place) -> Iterator[_Opened]:
    """The folder at ``place`` and the one that it is in, open; ``FileNotFoundError`` where there is none."""
    names, root_names = _names(place)
    with ExitStack() as stack:
        parent, folder, home = -1, os.open(place.project, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), (0, "")
        stack.callback(os.close, folder)
        for number, name in enumerate(names, start=1):
            parent, folder = folder, _open_in(folder, name, place, "/".join(names[:number]))
            stack.callback(os.close, folder)
            if number <= root_names:
                home = durable.mount_of(folder)
            elif durable.mount_of(folder) != home:
                raise _mounted(place.path)
        yield _Opened(parent, names[-1], folder)


def _open_in(parent: int, name: str, place: Place, so_far: str) -> int:
    try:
        return durable.open_folder_in(parent, name)
    except OSError as cause:
        if cause.errno in _NO_FOLDER:
            is_link = False
            with suppress(OSError):
                os.readlink(name, dir_fd=parent)
                is_link = True
            what = "a link, and links are not followed" if is_link else "no folder"
            hint = "Put a real folder in its place, or remove by hand what is old there."
            raise refused(place.path, f"{so_far} is {what}", hint) from cause
        raise


def _names(place: Place) -> tuple[list[str], int]:
    """The names of the path, and how many of them lead to its root; exit 2 for a path that does not stay below it."""
    names, root = place.path.split("/"), PurePosixPath(place.root).parts
    if {"", ".", ".."} & set(names) or "\0" in place.path:
        hint = "The journal or the index was edited, or written by something else; see `osiris index verify`."
        raise refused(repr(place.path), "it is no plain path below the project's root", hint)
    if tuple(names[: len(root)]) != root or len(names) == len(root):
        if not os.path.lexists(place.project / place.path):
            raise FileNotFoundError(errno.ENOENT, "nothing is there", place.path)
        raise refused(
            place.path,
            f"it does not lie below {place.root}/",
            "Was that folder renamed in osiris.yaml? Name it so again, or remove the old one by hand.",
        )
    return names, len(root)


def _bytes_in(place: Place, folder: int, mount: tuple[int, str], depth: int) -> int:
    if durable.mount_of(folder) != mount:
        raise _mounted(place.path)
    if depth > _DEEPEST:
        raise refused(
            place.path, f"folders lie more than {_DEEPEST} deep in it", f"Remove it by hand: rm -r {place.path}"
        )
    size = 0
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        with suppress(FileNotFoundError, NotADirectoryError):  # somebody removes or replaces it meanwhile
            if not entry.is_dir(follow_symlinks=False):
                size += entry.stat(follow_symlinks=False).st_size
                continue
            inner = durable.open_folder_in(folder, entry.name)
            try:
                size += _bytes_in(place, inner, mount, depth + 1)
            finally:
                os.close(inner)
    return size


def _mounted(path: str) -> OsirisError:
    return refused(path, "another file system is mounted there or in it", "Unmount it, then clean again.")


def _replaced(path: str) -> OsirisError:
    return refused(
        path,
        "another folder or a link has taken its place since the plan was made",
        "Look what it is; a clean that comes after this one plans anew.",
    )
