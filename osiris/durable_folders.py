"""Putting a whole folder in the place of another, so that its name always leads to the old one or the new one.

Like ``durable``, from which the syncing comes, every function raises the plain ``OSError``.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from osiris.durable import move, sync_directory, sync_path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def sync_tree(folder: Path) -> None:
    """Return once every file below ``folder``, and every name, survives a power cut; its own name excepted."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync_path(Path(parent, name))
        sync_directory(parent)


def put_folder(new: Path, target: Path, aside: Path) -> None:
    """Give the finished folder ``new`` the name ``target``, synced; the folder that stood there is then in ``new``.

    Where the file system cannot exchange two names in one step, the old folder goes to ``aside`` first: a crash between
    the two renames leaves nothing at ``target`` and the old folder at ``aside``, where :func:`put_back` finds it. All
    three names lie in one folder.
    """
    if not target.exists():
        move(new, target)
    elif not exchange(new, target):
        move(target, aside)
        try:
            move(new, target)
        except OSError:
            move(aside, target)
            raise
        move(aside, new)
    sync_directory(target.parent)


def put_back(aside: Path, target: Path) -> None:
    """Undo the half of :func:`put_folder` that a crash left: what is ``aside`` gets its name, if nothing has it now."""
    if aside.is_dir() and not target.exists():
        move(aside, target)
        sync_directory(target.parent)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step, unsynced; False where the system cannot: renameat2(2), Linux 3.15."""
    import ctypes  # noqa: PLC0415 - costs 6 ms, and only those who write folders need it

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
