"""``sqlite``: a SQLite database file, looked at with Python's own module; steps use ADBC's driver."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from osiris.errors import OsirisError
from osiris.families.base import Check, Column, FamilySpec, Table, Values, checked
from osiris.families.database_file import PATH_FIELD, existing_file, permission_detail

SPEC = FamilySpec(name="sqlite", title="SQLite", fields=(PATH_FIELD,), extra="sqlite")

_PATIENCE_S = 5.0
_TABLES = (
    "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
_HIDDEN = 1  # a column of a virtual table that SELECT * passes over


def check(values: Values, root: Path, timeout_s: float) -> Iterator[Check]:
    """Whether the file is there, is a database that can be read now, and may be written."""
    reach = checked("reach", lambda: existing_file(values, root).name)
    yield reach
    if reach.ok:
        version = checked("version", lambda: _version(existing_file(values, root), timeout_s))
        yield version
        if version.ok:
            yield checked("permission", lambda: permission_detail(existing_file(values, root)))


def tables(values: Values, root: Path) -> Sequence[Table]:
    """All tables and views; rows are estimated where somebody has run ANALYZE. Raises OsirisError ``connection.*``."""
    with _reading(existing_file(values, root), _PATIENCE_S) as con:
        found = con.execute(_TABLES).fetchall()
        has_statistics = con.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone()
        statistics = con.execute("SELECT tbl, stat FROM sqlite_stat1").fetchall() if has_statistics else []
        rows = {table: int(stat.split()[0]) for table, stat in statistics if stat}
        return [_table(con, name, kind, rows.get(name)) for name, kind in found]


def file_uri(file: Path, mode: str) -> str:
    """``file`` as SQLite takes it, to be opened in ``ro``, ``rw`` or ``rwc``."""
    return f"file:{quote(str(file))}?mode={mode}"


def _table(con: sqlite3.Connection, name: str, kind: str, rows: int | None) -> Table:
    columns = con.execute('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', (name,)).fetchall()
    keys = sorted((place, column) for column, _, _, place, _ in columns if place)
    return Table(
        name=name,
        kind="view" if kind == "view" else "table",
        columns=tuple(
            Column(name=column, type=type_, nullable=not not_null)
            for column, type_, not_null, _, hidden in columns
            if hidden != _HIDDEN
        ),
        primary_key=tuple(column for _, column in keys),
        rows=rows,
    )


def _version(file: Path, timeout_s: float) -> str:
    with _reading(file, timeout_s) as con:
        con.execute("PRAGMA schema_version").fetchone()
        return f"SQLite {sqlite3.sqlite_version}"


@contextlib.contextmanager
def _reading(file: Path, timeout_s: float) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(file_uri(file, "ro"), uri=True, timeout=timeout_s)) as con:
            yield con
    except sqlite3.Error as cause:
        if cause.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise locked_file(file) from cause
        problem = f"{file} cannot be read as a SQLite database: {cause}"
        hint = "Check that it is one, and its permissions."
        raise OsirisError(problem, hint, code="connection.unreadable", path=str(file)) from cause


def locked_file(file: Path) -> OsirisError:
    """The error for a file that somebody else keeps locked."""
    hint = "Wait until it is done, or close it there."
    return OsirisError(f"{file} is locked by another program", hint, code="connection.locked", path=str(file))
