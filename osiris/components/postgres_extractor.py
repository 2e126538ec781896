"""``postgres.extractor``: the rows of one query or table, streamed in one read-only transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.arrow_stream import WatchedStream, column_names
from osiris.components.base import ComponentSpec, Produced, StepContext, quote_identifier
from osiris.components.interrupting import interrupting
from osiris.components.postgres_columns import QueryColumn, plan_reading
from osiris.components.postgres_tables import find_table, table_columns, table_names
from osiris.components.table_source import ConnectionName, SourceColumns, SourceQuery, SourceTable, check_source
from osiris.components.table_target import near_name
from osiris.errors import ExitCode, OsirisError
from osiris.families import postgres
from osiris.families.base import FamilySpec
from osiris.families.postgres_session import Session

if TYPE_CHECKING:
    import duckdb

_VIEW = "osiris_columns"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to read: a query, or a table or view."""

    connection: ConnectionName = ""
    query: SourceQuery = ""
    table: SourceTable = ""
    schema: Annotated[str, Meta(description="Of the table; left out: as the search path has it")] = ""
    columns: SourceColumns = ()

    def __post_init__(self) -> None:
        """One of both, and what belongs to a table only with a table."""
        check_source(self.query, self.table, self.columns, self.schema)


SPEC = ComponentSpec(
    name="postgres.extractor",
    version="1.0.0",
    summary="Reads a query or table of PostgreSQL.",
    modes=("read",),
    rows="stream",
    connection_family="postgres",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """The rows, not read yet."""
    return extract(ctx, config, postgres.SPEC, postgres.conninfo(ctx.connection or {}, ctx.project_root))


def extract(ctx: StepContext, config: Config, family: FamilySpec, conninfo: str) -> Produced:
    """The rows of what ``config`` names, through the connection that ``conninfo`` leads to."""
    session = ctx.held.enter_context(Session(family, conninfo, ctx.con, "extract"))
    ctx.held.enter_context(interrupting(ctx.cancel, session.cancel))
    query, columns = _table(session, config) if config.table else _query(ctx, session, config.query)
    reading = plan_reading(session, columns)
    names = ", ".join(f"c{place}" for place in range(1, len(columns) + 1))
    sql = f"SELECT {', '.join(reading.server)} FROM ({query}\n) AS q ({names})"  # noqa: S608 - the query itself
    failures: list[OsirisError] = []
    rows = WatchedStream(
        session.open_stream(sql), ctx.progress, lambda address: failures.append(session.stream_error(address))
    )
    ctx.held.callback(rows.close)
    ctx.held.callback(lambda: None if rows.ended else session.cancel())  # or the server would go on until it notices

    def failure(cause: BaseException) -> OsirisError | None:
        if failures:
            return failures[0]
        found = next((complaint for complaint in reading.complaints if complaint in str(cause)), "")
        return _unfit_value(found) if found else None

    return Produced(rows=rows, select=", ".join(reading.duckdb), failure=failure)


def _table(session: Session, config: Config) -> tuple[str, list[QueryColumn]]:
    session.begin(read_only=True)
    found = find_table(session, config.table, config.schema)
    if found is None:
        raise OsirisError(
            f"PostgreSQL: there is no table {config.table}" + (f" in {config.schema}" if config.schema else ""),
            near_name(config.table, table_names(session, config.schema)) or "Check its name, schema and case.",
            code="extract.unknown_name",
            exit_code=ExitCode.PIPELINE_FAILED,
        )
    there = {column.name: column for column in table_columns(session, found.oid)}
    chosen = config.columns or tuple(there)
    missing = [name for name in chosen if name not in there]
    if missing or not chosen:
        raise OsirisError(
            f"the table {config.table} has no column {', '.join(missing)}".rstrip(),
            f"Its columns are {', '.join(there)}.",
            code="extract.unknown_name",
            exit_code=ExitCode.PIPELINE_FAILED,
        )
    listed = ", ".join(map(quote_identifier, chosen))
    source = f"{quote_identifier(found.schema)}.{quote_identifier(config.table)}"
    columns = [QueryColumn(name, there[name].type_oid, there[name].typmod) for name in chosen]
    return f"SELECT {listed} FROM {source}", columns  # noqa: S608 - quoted


def _query(ctx: StepContext, session: Session, written: str) -> tuple[str, list[QueryColumn]]:
    """The query and its columns, whose declared precision only a view tells: one that is never committed."""
    query = written.strip().rstrip(";")
    try:
        session.execute(f"CREATE TEMPORARY VIEW {_VIEW} AS SELECT * FROM ({query}\n) AS q")  # noqa: S608 - the query
    except OsirisError as error:
        if error.code not in ("extract.read_only", "extract.permission"):
            raise
        session.begin(read_only=True)
        ctx.log.info("no temporary view can be made here: columns of numeric come as text")
        return query, _described(session, query)
    view = find_table(session, _VIEW, "")
    columns = table_columns(session, view.oid) if view else []
    session.begin(read_only=True)
    return query, [QueryColumn(column.name, column.type_oid, column.typmod) for column in columns]


def _described(session: Session, query: str) -> list[QueryColumn]:
    """The same without a view, as on a standby: the types without their precision; no row of the query is computed."""
    names = list(column_names(session.column_names_of(f"SELECT * FROM ({query}\n) AS q")))  # noqa: S608 - the query
    places = [f"c{place}" for place in range(1, len(names) + 1)]
    types = ", ".join(f"pg_typeof({place})::oid::int8" for place in places)
    nothing = f"(SELECT * FROM ({query}\n) AS q LIMIT 0) AS q ({', '.join(places)})"  # noqa: S608
    [row] = session.rows(f"SELECT {types} FROM (VALUES (1)) AS one LEFT JOIN {nothing} ON true")  # noqa: S608
    return [QueryColumn(name, type_oid) for name, type_oid in zip(names, row, strict=True)]


def _unfit_value(complaint: str) -> OsirisError:
    return OsirisError(
        complaint,
        "Read it as text: write the column as col::text in a query.",
        code="extract.unfit_value",
        exit_code=ExitCode.PIPELINE_FAILED,
    )
