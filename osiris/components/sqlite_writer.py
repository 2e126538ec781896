"""``sqlite.writer``: rows into a table of a SQLite file, in one transaction.

A column of SQLite turns what it is given into what its affinity prefers. Whatever would not come to lie there as it is,
is refused: by its type before a row is read, or where the value decides, when it comes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from osiris.components.base import CancelToken, ComponentSpec, StepContext, Written, quote_identifier, quote_literal
from osiris.components.file_output import sole_input
from osiris.components.sqlite_file import (
    SqliteColumn,
    SqliteFile,
    open_sqlite,
    parquet_rows,
    stop_if_cancelled,
    unless_cancelled,
)
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
from osiris.errors import OsirisError
from osiris.families.database_file import database_file, existing_file

if TYPE_CHECKING:
    import duckdb

_STAGING = 'temp."rows to write"'
_NUMBERS = r"UBIGINT|U?HUGEINT|DECIMAL\(.*\)"
_MOMENTS = r"DATE|TIME|TIMESTAMP(_S|_MS|_NS)?|TIME(STAMP)? WITH TIME ZONE"
_CLASSES: tuple[tuple[str, str, str], ...] = (
    (r"BOOLEAN", "BIGINT", "BOOLEAN"),
    (r"U?(TINYINT|SMALLINT|INTEGER)|BIGINT", "BIGINT", "INTEGER"),
    (r"FLOAT|DOUBLE", "DOUBLE", "REAL"),
    (r"BLOB", "BLOB", "BLOB"),
    (rf'{_NUMBERS}|{_MOMENTS}|INTERVAL|VARCHAR|JSON|UUID|BIT|ENUM\(.*\)|"NULL"', "VARCHAR", "TEXT"),
)
"""Types of rows, what they are handed over as, and how a column for them is declared in a new table."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which table of which file, and what happens to its rows."""

    connection: ConnectionName = ""
    table: TableName
    write_mode: WriteMode = "append"
    primary_key: PrimaryKey = ()
    create_if_missing: CreateIfMissing = False

    def __post_init__(self) -> None:
        check_write_mode(self.write_mode, self.primary_key)


SPEC = ComponentSpec(
    name="sqlite.writer",
    version="1.0.0",
    summary="Writes rows to a table of a SQLite file.",
    modes=("write",),
    rows="none",
    connection_family="sqlite",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows. They are computed before the file is locked, which then changes in one transaction."""
    relation = sole_input(inputs)
    find_file = database_file if config.create_if_missing else existing_file
    file = find_file(ctx.connection or {}, ctx.project_root)
    path = ctx.work_dir / "rows.parquet"
    mode = "rwc" if config.create_if_missing else "rw"
    with open_sqlite(ctx.con, file, mode, failed="write.failed") as opened:
        columns, declaration = _target_columns(opened, config, relation)
    rows = f"SELECT {_values(relation, columns)} FROM {quote_identifier(relation.alias)}"  # noqa: S608 - quoted
    copy = f"COPY ({rows}) TO {quote_literal(str(path))} (FORMAT parquet, COMPRESSION snappy)"
    [(count,)] = ctx.consume(copy)
    con = ctx.con.cursor()  # of its own, for it may be left behind

    def put_in() -> None:
        with con, open_sqlite(con, file, mode, failed="write.failed") as opened, _transaction(opened, ctx.cancel):
            if declaration:
                opened.execute(declaration)
            _write(opened, config, relation.columns, parquet_rows(con, path))

    unless_cancelled(ctx.cancel, put_in)
    ctx.progress(count)
    return Written(rows=count)


@contextlib.contextmanager
def _transaction(opened: SqliteFile, cancel: CancelToken) -> Iterator[None]:
    """IMMEDIATE: who cannot write finds out before he has begun. A run that was stopped meanwhile commits nothing."""
    opened.execute("BEGIN IMMEDIATE")
    try:
        yield
        stop_if_cancelled(cancel)
        opened.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(OsirisError):
            opened.execute("ROLLBACK")
        raise


def _target_columns(
    opened: SqliteFile, config: Config, relation: duckdb.DuckDBPyRelation
) -> tuple[dict[str, SqliteColumn], str]:
    """The table's columns, and the statement that makes it where there is none. OsirisError ``write.*``."""
    columns = {column.name: column for column in opened.columns(config.table) if column.writable}
    declaration = ""
    if not columns:
        if not config.create_if_missing:
            raise missing_table(config.table, opened.table_names())
        declared = {
            name: _class_of(name, str(it))[1] for name, it in zip(relation.columns, relation.types, strict=True)
        }
        columns = {name: SqliteColumn(name=name, declared=type_) for name, type_ in declared.items()}
        listed = ", ".join(f"{quote_identifier(name)} {type_}" for name, type_ in declared.items())
        declaration = f"CREATE TABLE main.{quote_identifier(config.table)} ({listed})"
    check_columns(config.table, relation.columns, list(columns), config.primary_key)
    return columns, declaration


def _class_of(name: str, type_: str) -> tuple[str, str]:
    for pattern, handed_over, declared in _CLASSES:
        if re.fullmatch(pattern, type_, re.DOTALL):
            return handed_over, declared
    column = quote_identifier(name)
    raise unfit_type(name, type_, "SQLite has no such values", f"CAST(to_json({column}) AS VARCHAR) AS {column}")


def _values(relation: duckdb.DuckDBPyRelation, columns: Mapping[str, SqliteColumn]) -> str:
    """The columns of the rows in the types of SQLite, with an error for each value that would not stay what it is."""
    terms = []
    for name, type_ in zip(relation.columns, map(str, relation.types), strict=True):
        column = quote_identifier(name)
        handed_over, _ = _class_of(name, type_)
        value = f"{column}::{handed_over}"
        trouble = _trouble(name, type_, handed_over, columns[name])
        if trouble:
            complaint = f"error({quote_literal(f'a value of the column {name} is {trouble[1]}')})"
            value = f"CASE WHEN {trouble[0]} THEN {complaint} ELSE {value} END"
        terms.append(f"{value} AS {column}")
    return ", ".join(terms)


def _trouble(name: str, type_: str, handed_over: str, target: SqliteColumn) -> tuple[str, str] | None:
    """The values of a column that its target would change: a condition for them, and what they are."""
    column, affinity = quote_identifier(name), target.affinity
    reason = f"the table's column is declared {target.declared}"
    if handed_over == "DOUBLE":
        if affinity in ("TEXT", "INTEGER"):
            raise unfit_type(
                name, type_, reason, f"CAST({column} AS {'BIGINT' if affinity == 'INTEGER' else 'VARCHAR'})"
            )
        return f"isnan({column})", "NaN, for which SQLite has only NULL"
    if handed_over == "BIGINT" and affinity == "TEXT":
        raise unfit_type(name, type_, reason, f"CAST({column} AS VARCHAR)")
    if handed_over == "BIGINT" and affinity == "REAL":
        return f"{column}::BIGINT NOT BETWEEN {-(2**53)} AND {2**53}", f"too large for {target.declared}"
    if handed_over == "VARCHAR" and affinity in ("INTEGER", "REAL", "NUMERIC"):
        if re.fullmatch(_NUMBERS, type_):
            raise unfit_type(
                name, type_, reason, f"CAST({column} AS {'BIGINT' if affinity == 'INTEGER' else 'DOUBLE'})"
            )
        return f"TRY_CAST({column}::VARCHAR AS DOUBLE) IS NOT NULL", f"text that {target.declared} makes a number"
    return None


def _write(opened: SqliteFile, config: Config, columns: Sequence[str], rows: duckdb.DuckDBPyRelation) -> None:
    target = f"main.{quote_identifier(config.table)}"
    names = ", ".join(map(quote_identifier, columns))
    marks = ", ".join("?" for _ in columns)
    if config.write_mode == "upsert":
        opened.execute(f"CREATE TEMP TABLE {_STAGING.partition('.')[2]} ({names})")
        opened.execute(f"INSERT INTO {_STAGING} VALUES ({marks})", rows)  # noqa: S608 - quoted
        _upsert(opened, config, target, columns)
        opened.execute(f"DROP TABLE {_STAGING}")
        return
    if config.write_mode == "replace":
        opened.execute(f"DELETE FROM {target}")  # noqa: S608 - quoted
    opened.execute(f"INSERT INTO {target} ({names}) VALUES ({marks})", rows)  # noqa: S608 - quoted


def _upsert(opened: SqliteFile, config: Config, target: str, columns: Sequence[str]) -> None:
    """The staged rows into the table. An update and an insert, for ON CONFLICT would need a unique index."""
    keys = [quote_identifier(key) for key in config.primary_key]
    for key, quoted in zip(config.primary_key, keys, strict=True):
        if opened.rows(f"SELECT count(*) AS n FROM {_STAGING} WHERE {quoted} IS NULL")[0][0]:  # noqa: S608 - quoted
            raise null_key(config.table, key)
    listed = ", ".join(keys)
    shown = ", ".join(f"CAST({key} AS TEXT)" for key in keys)
    doubled = f"SELECT {shown} FROM {_STAGING} GROUP BY {listed} HAVING count(*) > 1 ORDER BY {listed} LIMIT 1"  # noqa: S608
    for example in opened.rows(doubled):
        raise doubled_key(config.table, config.primary_key, example)
    opened.execute(f'CREATE INDEX temp."keys of the rows" ON "rows to write" ({listed})')
    same = " AND ".join(f"t.{key} = s.{key}" for key in keys)
    others = [quote_identifier(name) for name in columns if name not in config.primary_key]
    if others:
        changes = ", ".join(f"{name} = s.{name}" for name in others)
        opened.execute(f"UPDATE {target} AS t SET {changes} FROM {_STAGING} AS s WHERE {same}")  # noqa: S608 - quoted
    names = ", ".join(map(quote_identifier, columns))
    values = ", ".join(f"s.{quote_identifier(name)}" for name in columns)
    opened.execute(
        f"INSERT INTO {target} ({names}) SELECT {values} FROM {_STAGING} AS s "  # noqa: S608 - quoted
        f"LEFT JOIN {target} AS t ON {same} WHERE t.{keys[0]} IS NULL"
    )
