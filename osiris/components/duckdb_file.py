"""A DuckDB database file on the connection of a step: attached once for a whole run, under one name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osiris.canonical import digest
from osiris.components.base import StepContext, quote_identifier, quote_literal
from osiris.families.database_file import database_file, existing_file
from osiris.families.duckdb_files import unusable_file

if TYPE_CHECKING:
    import duckdb

DEFAULT_SCHEMA = "main"


class AttachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is what SQL calls the database, unquoted; ``shared``: a step of this run has attached it before."""

    name: str
    shared: bool
    readonly: bool

    def table(self, schema: str, table: str) -> str:
        """The full name of a table, for SQL."""
        return ".".join(map(quote_identifier, (self.name, schema, table)))


def attach(ctx: StepContext, *, writable: bool, create: bool = False) -> AttachedFile:
    """Attach the file of the step's connection; one that is attached for reading only is attached anew to be written.

    Raises OsirisError ``connection.*``.
    """
    values = ctx.connection or {}
    find_file = database_file if create else existing_file
    file = find_file(values, ctx.project_root)
    name = f"{file.stem} {digest(str(file))[:12]}"
    readonly = _attached(ctx.con).get(name)
    if readonly is None or (writable and readonly):
        _attach(ctx.con, file, name, writable=writable, again=readonly is not None)
    return AttachedFile(name=name, shared=readonly is not None, readonly=_attached(ctx.con)[name])


def relations_in(con: duckdb.DuckDBPyConnection, name: str, schema: str, *, views: bool) -> dict[str, dict[str, str]]:
    """The tables of a schema, with ``views`` also those, in the order of their names: each one's types by column."""
    tables = "SELECT table_name FROM duckdb_tables() WHERE database_name = $name AND schema_name = $schema"
    if views:
        tables += " UNION SELECT view_name FROM duckdb_views() WHERE database_name = $name AND schema_name = $schema"
    query = f"""
        SELECT table_name, column_name, data_type FROM duckdb_columns()
        WHERE database_name = $name AND schema_name = $schema AND table_name IN ({tables})
        ORDER BY table_name, column_index
    """  # noqa: S608 - made of the texts above
    found: dict[str, dict[str, str]] = {}
    for table, column, type_ in con.execute(query, {"name": name, "schema": schema}).fetchall():
        found.setdefault(table, {})[column] = type_
    return found


def _attached(con: duckdb.DuckDBPyConnection) -> dict[str, bool]:
    """The databases of the instance, and whether each may only be read."""
    return dict(con.execute("SELECT database_name, readonly FROM duckdb_databases()").fetchall())


def _attach(con: duckdb.DuckDBPyConnection, file: Path, name: str, *, writable: bool, again: bool) -> None:
    import duckdb  # noqa: PLC0415 - compiling needs only Config and SPEC, and must not pay for DuckDB

    options = "TYPE duckdb" if writable else "TYPE duckdb, READ_ONLY"
    alias = quote_identifier(name)
    try:
        if again:
            con.execute(f"DETACH {alias}")
        con.execute(f"ATTACH IF NOT EXISTS {quote_literal(str(file))} AS {alias} ({options})")
    except duckdb.Error as cause:
        raise unusable_file(file, cause) from cause
