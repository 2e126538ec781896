"""``mysql.writer``: rows into one table of a MySQL or MariaDB database, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, StepContext, Written
from osiris.components.file_output import sole_input
from osiris.components.interrupting import interrupting
from osiris.components.mysql_stage import STAGE, check_keys, checked_execute, load, make_stage, spool
from osiris.components.mysql_target import RowColumn, find_table, making_sql, match_columns, no_such_table
from osiris.components.table_source import ConnectionName
from osiris.components.table_target import (
    CreateIfMissing,
    PrimaryKey,
    TableName,
    WriteMode,
    check_write_mode,
    missing_key_columns,
)
from osiris.errors import ExitCode, OsirisError
from osiris.families.mysql_session import SPEC as FAMILY
from osiris.families.mysql_session import connected, execute, fields_of, killing, naming_failures, quote

if TYPE_CHECKING:
    import duckdb
    from pymysql.connections import Connection

_SQL_MODE = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
    "NO_AUTO_VALUE_ON_ZERO"
)
_LOST = (2006, 2013)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which table the rows go to, and how."""

    table: TableName
    connection: ConnectionName = ""
    schema: Annotated[str, Meta(description="The table's database; left out: the connection's")] = ""
    write_mode: WriteMode = "append"
    primary_key: PrimaryKey = ()
    create_if_missing: CreateIfMissing = False

    def __post_init__(self) -> None:
        """Raises ``ValueError`` where mode and key do not go together."""
        check_write_mode(self.write_mode, self.primary_key)


SPEC = ComponentSpec(
    name="mysql.writer",
    version="1.0.0",
    summary="Writes rows to one table of a MySQL or MariaDB database, in one transaction.",
    modes=("write",),
    secret_fields=FAMILY.secret_fields,
    rows="none",
    connection_family="mysql",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows; where that fails, the table is as it was, or not there if it was to be made."""
    values = ctx.connection or {}
    relation = sole_input(inputs)
    schema = config.schema or str(fields_of(values).get("database", ""))
    if not schema:
        raise OsirisError("it is not said which database the table is in", "Set schema.", code="config.invalid")
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    if absent := [name for name in config.primary_key if name not in types]:
        raise missing_key_columns(absent, list(types))
    with connected(values) as connection, naming_failures(values, "write"):
        found = find_table(connection, schema, config.table)
        if found is None and not config.create_if_missing:
            raise no_such_table(connection, schema, config.table)
    columns = match_columns(config.table, types, found)
    # Not one session for both: a server closes one that is silent for long, and nobody knows how long the rows take.
    path = ctx.work_dir / "rows.csv"
    rows = spool(ctx, relation, columns, path)
    ctx.progress(rows)
    with (
        connected(values, database=schema, local_infile=True, sql_mode=_SQL_MODE, autocommit=True) as connection,
        naming_failures(values, "write"),
    ):
        stoppable = partial(interrupting, ctx.cancel, killing(connection, values))
        with stoppable():
            make_stage(connection, quote(config.table), columns)
            load(ctx, connection, columns, path)
        path.unlink()
        with _made(connection, config, columns) if found is None else nullcontext(), stoppable():
            _move(connection, config, columns)
    return Written(rows=rows)


@contextmanager
def _made(connection: Connection, config: Config, columns: Sequence[RowColumn]) -> Iterator[None]:
    """The table, made for the rows that the block writes, and dropped again where it fails.

    Making a table ends a transaction in MySQL, so it is no part of one.
    """
    table = quote(config.table)
    execute(connection, making_sql(table, columns, config.primary_key))
    kept = False
    try:
        yield
        kept = True
    finally:
        if not kept and connection.open:
            connection.rollback()
            execute(connection, f"DROP TABLE {table}")


def _move(connection: Connection, config: Config, columns: Sequence[RowColumn]) -> None:
    """From the staging table into the table, in one transaction."""
    if config.write_mode == "upsert":
        check_keys(connection, config.table, config.primary_key)
    connection.begin()
    for statement in _statements(config, [column.name for column in columns]):
        checked_execute(connection, statement)
    _commit(connection, config)


def _statements(config: Config, names: Sequence[str]) -> list[str]:
    table, columns = quote(config.table), ", ".join(map(quote, names))
    insert = f"INSERT INTO {table} ({columns}) SELECT {', '.join(f's.{quote(name)}' for name in names)} FROM {STAGE} s"  # noqa: S608
    if config.write_mode == "append":
        return [insert]
    if config.write_mode == "replace":
        return [f"DELETE FROM {table}", insert]  # noqa: S608 - quoted
    same_key = " AND ".join(f"t.{quote(name)} = s.{quote(name)}" for name in config.primary_key)
    changes = [f"t.{quote(name)} = s.{quote(name)}" for name in names if name not in config.primary_key]
    update = f"UPDATE {table} t JOIN {STAGE} s ON {same_key} SET {', '.join(changes)}"  # noqa: S608 - quoted
    new = f"{insert} LEFT JOIN {table} t ON {same_key} WHERE t.{quote(config.primary_key[0])} IS NULL"
    return [update, new] if changes else [new]


def _commit(connection: Connection, config: Config) -> None:
    try:
        connection.commit()
    except connection.OperationalError as cause:
        if cause.args[0] not in _LOST or config.write_mode != "append":
            raise
        raise OsirisError(
            f"the connection was lost while the rows of {config.table} were committed: they may be there or not",
            "Look into the table before you run this again: the rows could be there twice then.",
            code="write.outcome_unknown",
            exit_code=ExitCode.PIPELINE_FAILED,
        ) from cause
