"""The file behind a connection of a family whose databases are single files: its field, where it is, its checks."""

from __future__ import annotations

import contextlib
import difflib
import os
from pathlib import Path

from osiris.errors import OsirisError
from osiris.families.base import ConnectionField, Values

PATH_FIELD = ConnectionField(
    name="path", description="The database file; a relative path counts from the project's root", required=True
)
SQLITE_HEADER = b"SQLite format 3\0"


def database_file(values: Values, root: Path) -> Path:
    """The absolute path that the connection names, links followed; nothing needs to be there.

    Raises OsirisError ``connection.field_missing`` or ``connection.field_invalid``.
    """
    path = values.get("path")
    if path in (None, ""):
        raise OsirisError(
            "the connection has no path", "Give it one: path: data/shop.db", code="connection.field_missing"
        )
    if not isinstance(path, str) or "://" in path or "\0" in path:
        problem = "the connection's path is not one in a file system"
        raise OsirisError(problem, "Name a file on this machine.", code="connection.field_invalid")
    return (root / Path(path).expanduser()).resolve()


def existing_file(values: Values, root: Path) -> Path:
    """The same where a file must be there and readable; else ``connection.database_missing`` or ``.unreadable``."""
    file = database_file(values, root)
    if not file.exists():
        folder = file.parent
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else []
        near = difflib.get_close_matches(file.name, names, n=1)
        hint = f"Did you mean {near[0]}?" if near else "Check the connection's path; a relative one begins at the root."
        raise OsirisError(f"there is no file {file}", hint, code="connection.database_missing", path=str(file))
    if not file.is_file() or not os.access(file, os.R_OK):
        problem = f"{file} is not a file that may be read"
        raise OsirisError(problem, "Check the path and its permissions.", code="connection.unreadable", path=str(file))
    return file


def permission_detail(file: Path) -> str:
    """What this user may do with the file and, for a write, its folder, in which a journal is made beside it."""
    may_write = os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    return "read, write" if may_write else "read only"


def first_bytes(file: Path, count: int) -> bytes:
    """The first ``count`` bytes, fewer of a shorter file; none of one that cannot be read."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return opened.read(count)
    return b""
