"""``mysql.extractor``: the rows of one query or table of a MySQL or MariaDB database, in one snapshot of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext
from osiris.components.interrupting import interrupting
from osiris.components.mysql_spool import Spool, spool_rows
from osiris.components.mysql_types import SourceColumn, refuse_floats, source_columns
from osiris.components.source_files import sql_file_list
from osiris.components.table_source import ConnectionName, SourceColumns, SourceQuery, SourceTable, check_source
from osiris.errors import ExitCode, OsirisError
from osiris.families.mysql_session import (
    SPEC as FAMILY,
)
from osiris.families.mysql_session import (
    connected,
    execute,
    killing,
    naming_failures,
    quote,
    raw_conversions,
    streaming_cursor,
)

if TYPE_CHECKING:
    import duckdb
    from pymysql.connections import Connection

_SNAPSHOT = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)

# A server lets some statements end a read-only transaction and then writes; of those that begin so, none does.
_COMMENT = r"--[^\S\n][^\n]*\n|--\n|#[^\n]*\n|/\*(?!M?!).*?\*/"
_READING = re.compile(rf"(?:\s|\(|{_COMMENT})*(?:SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE | re.DOTALL)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the rows come from: one query, or one table."""

    connection: ConnectionName = ""
    query: SourceQuery = ""
    table: SourceTable = ""
    schema: Annotated[str, Meta(description="The table's database; left out: the connection's")] = ""
    columns: SourceColumns = ()

    def __post_init__(self) -> None:
        """Raises ``ValueError`` where it is not clear what to read."""
        check_source(self.query, self.table, self.columns, self.schema)
        if self.query and not _READING.match(self.query):
            raise ValueError("the query of an extractor is one SELECT")


SPEC = ComponentSpec(
    name="mysql.extractor",
    version="1.0.0",
    summary="Reads one query or table of a MySQL or MariaDB database.",
    modes=("read",),
    secret_fields=FAMILY.secret_fields,
    connection_family="mysql",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """All rows of the query, as they were when it began; they lie in the step's work folder when this returns."""
    values = ctx.connection or {}
    with (
        connected(values, conv=raw_conversions(), use_unicode=False) as connection,
        interrupting(ctx.cancel, killing(connection, values)),
        naming_failures(values, "extract"),
    ):
        for statement in _SNAPSHOT:
            execute(connection, statement)
        spool = _read(ctx, config, connection)
    rows = ctx.con.sql(f"FROM read_parquet({sql_file_list(spool.files)}, hive_partitioning=false)")
    return Produced(rows=rows, row_count=spool.rows, files=spool.files)


def _read(ctx: StepContext, config: Config, connection: Connection) -> Spool:
    cursor = streaming_cursor(connection)
    try:
        if config.query:
            columns = _execute(cursor, config.query)
            refuse_floats(columns)
        else:
            columns = _execute(cursor, f"{_table_query(config, [])} LIMIT 0")
            cursor.fetchall()
            _execute(cursor, _table_query(config, columns))
        spool = spool_rows(ctx, cursor, columns)
        for _, number, message in execute(connection, "SHOW WARNINGS LIMIT 10"):
            ctx.log.warning("the server warns: %s (%s)", _text(message), _text(number))
        return spool
    finally:
        # Closing a cursor would read all that is left; so it is told that nothing is, and the connection goes.
        if cursor._result is not None:
            cursor._result.unbuffered_active = False
        connection.close()


def _execute(cursor: Any, sql: str) -> list[SourceColumn]:
    """Begin the query and give its columns."""
    cursor.execute(sql)
    if cursor.description is None:
        problem = "the query gives no rows"
        raise OsirisError(problem, "Write one SELECT.", code="extract.no_rows", exit_code=ExitCode.PIPELINE_FAILED)
    return source_columns(cursor._result.fields)


def _table_query(config: Config, columns: list[SourceColumn]) -> str:
    """What reads the table; ``columns`` are its columns once they are known. A FLOAT is sent with all its digits."""
    table = ".".join(quote(name) for name in (config.schema, config.table) if name)
    names = [_sent_whole(column) for column in columns] or [quote(name) for name in config.columns] or ["*"]
    return f"SELECT {', '.join(names)} FROM {table}"  # noqa: S608 - quoted


def _sent_whole(column: SourceColumn) -> str:
    name = quote(column.name)
    return f"CAST({name} AS DOUBLE) AS {name}" if column.is_float else name


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
