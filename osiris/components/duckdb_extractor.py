"""``duckdb.extractor``: rows of a DuckDB database file; filters and projections reach its scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext, quote_identifier
from osiris.components.duckdb_file import DEFAULT_SCHEMA, AttachedFile, attach, relations_in
from osiris.components.duckdb_processor import single_select
from osiris.components.table_source import (
    ConnectionName,
    SourceColumns,
    SourceQuery,
    SourceTable,
    check_source,
    missing_source,
    missing_source_columns,
)

if TYPE_CHECKING:
    import duckdb


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file, and what to take of it."""

    connection: ConnectionName = ""
    query: SourceQuery = ""
    table: SourceTable = ""
    schema: Annotated[
        str, Meta(min_length=1, description="Where the table is, or the tables and views that the query names")
    ] = DEFAULT_SCHEMA
    columns: SourceColumns = ()

    def __post_init__(self) -> None:
        check_source(self.query, self.table, self.columns)


SPEC = ComponentSpec(
    name="duckdb.extractor",
    version="1.0.0",
    summary="Reads a table of a DuckDB file, or the rows of a query in it.",
    modes=("read",),
    connection_family="duckdb",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """The rows, not read yet. The file is attached for reading, so others may read it at the same time."""
    file = attach(ctx, writable=False)
    relations = relations_in(ctx.con, file.name, config.schema, views=True)
    if config.query:
        return Produced(rows=ctx.con.sql(_query_sql(ctx, config, file, list(relations))))
    if config.table not in relations:
        raise missing_source(config.table, list(relations))
    present = list(relations[config.table])
    if missing := [name for name in config.columns if name not in present]:
        raise missing_source_columns(config.table, missing, present)
    table = file.table(config.schema, config.table)
    columns = ", ".join(map(quote_identifier, config.columns)) or "*"
    return Produced(rows=ctx.con.sql(f"SELECT {columns} FROM {table}"), row_count=_row_count(ctx, config, file))  # noqa: S608


def _row_count(ctx: StepContext, config: Config, file: AttachedFile) -> int | None:
    """A table knows how many rows it has. A view would be computed for that, and what this run writes may grow."""
    if not file.readonly or config.table not in relations_in(ctx.con, file.name, config.schema, views=False):
        return None
    [(counted,)] = ctx.con.execute(f"SELECT count(*) FROM {file.table(config.schema, config.table)}").fetchall()  # noqa: S608
    return int(counted)


def _query_sql(ctx: StepContext, config: Config, file: AttachedFile, relations: list[str]) -> str:
    """The query with each table and view that it may name as a table expression, which hides what else is so called.

    The runner's own views stay out of reach, and what two files both have is never mixed up.
    """
    query = single_select(ctx.con, config.query)
    folded = query.replace('""', '"').lower()
    tables = [
        f"{quote_identifier(name)} AS NOT MATERIALIZED (FROM {file.table(config.schema, name)})"
        for name in relations
        if name.lower() in folded
    ]
    tables_sql = f"WITH {', '.join(tables)} " if tables else ""
    return f"{tables_sql}SELECT * FROM ({query}\n)"  # noqa: S608 - the query itself
