"""Moving what lies in an old tree: whole, never over something else, and so that a kill at any point loses nothing."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from osiris import durable
from osiris.errors import OsirisError

_PIECE_BYTES = 1 << 20


def bring(source: Path, target: Path) -> None:
    """Move the folder ``source`` to ``target``; where it is gone already, nothing is to be done.

    On one file system that is a rename. Across two it is copied, synced and renamed into place, and only then removed.
    A ``target`` with something in it must hold all that is left of ``source``, byte for byte; else it is an error, and
    both stay. Raises ``OSError`` where the disk fails.
    """
    sweep(source)
    if not source.is_dir() or source.is_symlink():
        return
    if _has_something(target):
        if not _holds(target, source):
            raise OsirisError(
                f"{target} has something else in it than {source}",
                "Look at both, and remove or rename one of them.",
                code="migration.occupied",
                path=str(target),
            )
        _discard(source)
        return
    try:
        durable.move(source, target)
    except OSError as cause:
        if cause.errno != errno.EXDEV:
            raise
        _copy_into_place(source, target)
        _discard(source)
    durable.sync_directory(target.parent)
    durable.sync_directory(source.parent)


def sweep(source: Path) -> None:
    """Remove what a kill left of a ``source`` that stands whole at its new place."""
    durable.remove_tree(_leftover(source))


def _discard(source: Path) -> None:
    """Remove ``source``, all or nothing of it under its name: what is left of it elsewhere is swept."""
    durable.move_into_place(source, _leftover(source))
    sweep(source)


def _leftover(source: Path) -> Path:
    return source.with_name(f".{source.name}.migrated.tmp")


def _has_something(path: Path) -> bool:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        return True
    return path.is_dir() and any(path.iterdir())


def _copy_into_place(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.migrating.tmp")
    durable.remove_tree(temporary)
    _copy(source, temporary)
    durable.move_into_place(temporary, target)


def _copy(source: Path, target: Path) -> None:
    """Files with their bytes, times and modes, links as links; all of it synced."""
    target.mkdir()
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        path, copy = Path(entry.path), target / entry.name
        if entry.is_symlink():
            copy.symlink_to(path.readlink())
        elif entry.is_dir():
            _copy(path, copy)
        elif entry.is_file():
            durable.copy_file_part(path, 0, copy)
            shutil.copystat(path, copy)
        else:
            raise OsirisError(
                f"{path} is no file, folder or link: it cannot be copied to another file system",
                "Remove it, then run the command again.",
                code="migration.special_file",
                path=str(path),
            )
    shutil.copystat(source, target)
    durable.sync_directory(target)


def _holds(target: Path, source: Path) -> bool:
    """Whether all that is in ``source`` is in ``target`` as well, the same."""
    for entry in os.scandir(source):
        path, twin = Path(entry.path), target / entry.name
        if not os.path.lexists(twin) or stat.S_IFMT(path.lstat().st_mode) != stat.S_IFMT(twin.lstat().st_mode):
            return False
        if entry.is_symlink():
            same = path.readlink() == twin.readlink()
        elif entry.is_dir():
            same = _holds(twin, path)
        else:
            same = entry.is_file() and _same_bytes(path, twin)
        if not same:
            return False
    return True


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while piece := left.read(_PIECE_BYTES):
            if piece != right.read(_PIECE_BYTES):
                return False
    return True
