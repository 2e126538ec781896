"""``duckdb.writer``: rows into a table of a DuckDB database file, in one transaction."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, StepContext, Written, quote_identifier, quote_literal
from osiris.components.duckdb_file import DEFAULT_SCHEMA, attach, relations_in
from osiris.components.file_output import sole_input
from osiris.components.table_source import ConnectionName
from osiris.components.table_target import (
    CreateIfMissing,
    PrimaryKey,
    TableName,
    WriteMode,
    check_columns,
    check_write_mode,
    doubled_key,
    missing_table,
    null_key,
    unfit_type,
)

if TYPE_CHECKING:
    import duckdb

_STAGING = 'temp."rows to write"'
_NUMBERS = r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(.*\)"
_MOMENTS = r"DATE|TIMESTAMP(_S|_MS|_NS)?"
_TEXTS = r"VARCHAR|JSON|UUID|ENUM\(.*\)"
_KINDS = tuple(re.compile(kind, re.DOTALL) for kind in (_NUMBERS, _MOMENTS, _TEXTS))
_NULL_TYPE = '"NULL"'


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which table of which file, and what happens to its rows."""

    connection: ConnectionName = ""
    table: TableName
    schema: Annotated[str, Meta(min_length=1, description="Where the table is")] = DEFAULT_SCHEMA
    write_mode: WriteMode = "append"
    primary_key: PrimaryKey = ()
    create_if_missing: CreateIfMissing = False

    def __post_init__(self) -> None:
        check_write_mode(self.write_mode, self.primary_key)


SPEC = ComponentSpec(
    name="duckdb.writer",
    version="1.0.0",
    summary="Writes rows to a table of a DuckDB file.",
    modes=("write",),
    rows="none",
    connection_family="duckdb",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows. The file changes when the last of them is in it, and not at all before that."""
    relation = sole_input(inputs)
    file = attach(ctx, writable=True, create=config.create_if_missing)
    target = file.table(config.schema, config.table)
    with _transaction(ctx.con):
        columns = _target_columns(ctx.con, config, file.name, relation)
        names = ", ".join(map(quote_identifier, relation.columns))
        select = f"SELECT {_values(relation, columns)} FROM {quote_identifier(relation.alias)}"  # noqa: S608 - quoted
        # Rows that come out of this very file are read before the old ones go.
        if config.write_mode == "upsert" or (config.write_mode == "replace" and file.shared):
            [(rows,)] = ctx.consume(f"CREATE OR REPLACE TEMP TABLE {_STAGING} AS {select}")
            _put_in(ctx.con, config, target, relation.columns)
            ctx.con.execute(f"DROP TABLE {_STAGING}")
        else:
            if config.write_mode == "replace":
                ctx.con.execute(f"DELETE FROM {target}")  # noqa: S608 - quoted
            [(rows,)] = ctx.consume(f"INSERT INTO {target} ({names}) {select}")
    _checkpoint(ctx.con, file.name)
    ctx.progress(rows)
    return Written(rows=rows)


@contextlib.contextmanager
def _transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    con.execute("BEGIN")
    try:
        yield
        con.execute("COMMIT")
    except BaseException:
        import duckdb  # noqa: PLC0415 - compiling needs only Config and SPEC, and must not pay for DuckDB

        with contextlib.suppress(duckdb.Error):  # a COMMIT that failed has rolled back already
            con.execute("ROLLBACK")
        raise


def _checkpoint(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Move the rows from the journal beside the file into the file; where others read it now, a later one does that."""
    import duckdb  # noqa: PLC0415 - see above

    with contextlib.suppress(duckdb.TransactionException):
        con.execute(f"CHECKPOINT {quote_identifier(name)}")


def _target_columns(
    con: duckdb.DuckDBPyConnection, config: Config, name: str, relation: duckdb.DuckDBPyRelation
) -> dict[str, str]:
    """The types of the table's columns; the table is made where that is wanted. Raises OsirisError ``write.*``."""
    tables = relations_in(con, name, config.schema, views=False)
    if config.table not in tables:
        if not config.create_if_missing:
            raise missing_table(config.table, list(tables))
        types = {column: str(type_) for column, type_ in zip(relation.columns, relation.types, strict=True)}
        tables[config.table] = {column: "INTEGER" if it == _NULL_TYPE else it for column, it in types.items()}
        place = ".".join(map(quote_identifier, (name, config.schema)))
        wanted = ", ".join(f"{quote_identifier(column)} {it}" for column, it in tables[config.table].items())
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {place}")
        con.execute(f"CREATE TABLE {place}.{quote_identifier(config.table)} ({wanted})")
    columns = tables[config.table]
    check_columns(config.table, relation.columns, list(columns), config.primary_key)
    return columns


def _values(relation: duckdb.DuckDBPyRelation, columns: Mapping[str, str]) -> str:
    """The columns of the rows in the table's types. A value that its type would change is an error, when it comes."""
    terms = []
    for name, type_ in zip(relation.columns, map(str, relation.types), strict=True):
        column, wanted = quote_identifier(name), columns[name]
        if type_ in (wanted, _NULL_TYPE):
            terms.append(column)
            continue
        if not any(kind.fullmatch(type_) and kind.fullmatch(wanted) for kind in _KINDS):
            raise unfit_type(name, type_, f"the table's column is {wanted}", f"CAST({column} AS {wanted})")
        typed = f"TRY_CAST({column} AS {wanted})"
        complaint = quote_literal(f"a value of the column {name}, which is {type_}, is none of {wanted}")
        same = f"TRY_CAST({typed} AS {type_}) IS NOT DISTINCT FROM {column}"
        terms.append(f"CASE WHEN {same} THEN {typed} ELSE error({complaint}) END AS {column}")
    return ", ".join(terms)


def _put_in(con: duckdb.DuckDBPyConnection, config: Config, target: str, columns: list[str]) -> None:
    """The staged rows into the table: in place of all its rows, or of those with the same key."""
    names = ", ".join(map(quote_identifier, columns))
    if config.write_mode == "replace":
        con.execute(f"DELETE FROM {target}")  # noqa: S608 - quoted
        con.execute(f"INSERT INTO {target} ({names}) FROM {_STAGING}")
        return
    keys = ", ".join(map(quote_identifier, config.primary_key))
    for key in config.primary_key:
        if con.execute(f"SELECT 1 FROM {_STAGING} WHERE {quote_identifier(key)} IS NULL LIMIT 1").fetchall():  # noqa: S608
            raise null_key(config.table, key)
    doubled = f"SELECT {keys} FROM {_STAGING} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"  # noqa: S608 - quoted
    for example in con.execute(doubled).fetchall():
        raise doubled_key(config.table, config.primary_key, example)
    matched = " AND ".join(f"t.{quote_identifier(key)} = s.{quote_identifier(key)}" for key in config.primary_key)
    others = [quote_identifier(name) for name in columns if name not in config.primary_key]
    update = f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{name} = s.{name}' for name in others)} " if others else ""
    values = ", ".join(f"s.{quote_identifier(name)}" for name in columns)
    con.execute(
        f"MERGE INTO {target} AS t USING {_STAGING} AS s ON {matched} {update}"  # noqa: S608 - quoted
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )
