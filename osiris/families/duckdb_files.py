"""``duckdb``: a DuckDB database file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osiris.errors import OsirisError
from osiris.families.base import Check, Column, FamilySpec, Table, Values, checked
from osiris.families.database_file import (
    PATH_FIELD,
    SQLITE_HEADER,
    existing_file,
    first_bytes,
    permission_detail,
)

if TYPE_CHECKING:
    import duckdb

SPEC = FamilySpec(name="duckdb", title="DuckDB", fields=(PATH_FIELD,))

_TABLES = """
SELECT schema_name, name, kind, rows, list(struct_pack(column_name, data_type, is_nullable) ORDER BY column_index)
FROM (
    SELECT schema_name, table_name AS name, 'table' AS kind, estimated_size AS rows
    FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal
    UNION ALL
    SELECT schema_name, view_name, 'view', NULL
    FROM duckdb_views() WHERE database_name = current_database() AND NOT internal
)
JOIN (SELECT schema_name, table_name AS name, * FROM duckdb_columns() WHERE database_name = current_database()) AS c
USING (schema_name, name)
GROUP BY ALL ORDER BY schema_name, name
"""
_KEYS = """
SELECT schema_name, table_name, constraint_column_names FROM duckdb_constraints()
WHERE constraint_type = 'PRIMARY KEY' AND database_name = current_database()
"""


def check(values: Values, root: Path, timeout_s: float) -> Iterator[Check]:  # noqa: ARG001 - a file keeps nobody waiting
    """Whether the file is there, whether this DuckDB can read it, and whether it may be written."""
    reach = checked("reach", lambda: existing_file(values, root).name)
    yield reach
    if reach.ok:
        version = checked("version", lambda: _version(values, root))
        yield version
        if version.ok:
            yield checked("permission", lambda: permission_detail(existing_file(values, root)))


def tables(values: Values, root: Path) -> Sequence[Table]:
    """All tables and views of the file. Raises OsirisError ``connection.*``."""
    with _reading(existing_file(values, root)) as con:
        keys = {(schema, table): tuple(columns) for schema, table, columns in con.execute(_KEYS).fetchall()}
        return [
            Table(
                name=name,
                schema=schema,
                kind=kind,
                columns=tuple(
                    Column(name=of["column_name"], type=of["data_type"], nullable=of["is_nullable"]) for of in columns
                ),
                primary_key=keys.get((schema, name), ()),
                rows=rows,
            )
            for schema, name, kind, rows, columns in con.execute(_TABLES).fetchall()
        ]


def unusable_file(file: Path, cause: duckdb.Error) -> OsirisError:
    """The error for a file that DuckDB does not open, from what it says about it."""
    import duckdb  # noqa: PLC0415 - naming the family must not load it

    text = str(cause).splitlines()[0]
    if not isinstance(cause, duckdb.IOException):
        return OsirisError(f"{file} cannot be used: {text}", "See the hint of DuckDB.", code="connection.unreadable")
    if "lock" in text:
        return OsirisError(
            f"{file} is open in another process: {text}",
            "Wait until that one is done or close it: DuckDB lets several processes read a file, or one write it.",
            code="connection.locked",
            path=str(file),
        )
    if first_bytes(file, len(SQLITE_HEADER)) == SQLITE_HEADER:
        hint = "It is a SQLite database: use a connection of the family sqlite."
    else:
        hint = "Check that it is one, and that no newer DuckDB wrote it than is installed here."
    return OsirisError(
        f"{file} cannot be read as a DuckDB database: {text}",
        hint,
        code="connection.unreadable",
        path=str(file),
    )


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb  # noqa: PLC0415 - see above

    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        con = duckdb.connect(str(file), read_only=True, config=settings)
    except duckdb.Error as cause:
        raise unusable_file(file, cause) from cause
    with con:
        yield con


def _version(values: Values, root: Path) -> str:
    with _reading(existing_file(values, root)) as con:
        query = (
            "SELECT version(), tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
        )
        [(version, storage)] = con.execute(query).fetchall()
    return f"DuckDB {version}, file of {storage}" if storage else f"DuckDB {version}"
