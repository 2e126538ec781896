"""``sqlite.extractor``: rows of a SQLite file, each column in one type that holds all its values.

SQLite has no types of columns, so the file is read twice: first for the storage classes that each column really holds,
then for the rows, both in one transaction. The driver takes its types from the first row that it sees, so the second
query begins with a row of our own. The rows are put down as Parquet, so the file is not locked while a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osiris.components.base import ComponentSpec, Produced, StepContext, quote_identifier, quote_literal
from osiris.components.sqlite_file import (
    SqliteColumn,
    SqliteFile,
    open_sqlite,
    parquet_rows,
    select_list,
    unless_cancelled,
)
from osiris.components.table_source import (
    ConnectionName,
    SourceColumns,
    SourceQuery,
    SourceTable,
    check_source,
    missing_source,
    missing_source_columns,
)
from osiris.errors import ExitCode, OsirisError
from osiris.families.database_file import existing_file

if TYPE_CHECKING:
    import duckdb

_VIEW = "rows of the query"
_MOST_COMBINATIONS = 256
_EXACT_IN_REAL = 2**53
_FIRST_VALUE = {"BIGINT": "0", "BOOLEAN": "0", "DOUBLE": "0.0", "VARCHAR": "''", "BLOB": "x''"}
_OF_AFFINITY = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR", "NUMERIC": "DOUBLE", "BLOB": "BLOB"}
_OF_CLASS = {"integer": "BIGINT", "real": "DOUBLE", "text": "VARCHAR", "blob": "BLOB"}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file, and what to take of it."""

    connection: ConnectionName = ""
    query: SourceQuery = ""
    table: SourceTable = ""
    columns: SourceColumns = ()

    def __post_init__(self) -> None:
        check_source(self.query, self.table, self.columns)


SPEC = ComponentSpec(
    name="sqlite.extractor",
    version="1.0.0",
    summary="Reads a table of a SQLite file, or the rows of a query in it.",
    modes=("read",),
    connection_family="sqlite",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """All rows, read here and now. A column whose values have no type in common is an error that names it."""
    path = ctx.work_dir / "rows.parquet"
    file = existing_file(ctx.connection or {}, ctx.project_root)
    con = ctx.con.cursor()  # of its own, for it may be left behind
    count = unless_cancelled(ctx.cancel, lambda: _put_down(con, file, config, path))
    return Produced(rows=parquet_rows(ctx.con, path), row_count=count)


def _put_down(con: duckdb.DuckDBPyConnection, file: Path, config: Config, path: Path) -> int:
    with con, open_sqlite(con, file, "ro", failed="extract.failed") as opened:
        opened.execute("BEGIN")
        source, columns = _source(opened, config)
        types = {column.name: type_ for column, type_ in zip(columns, _types(opened, source, columns), strict=True)}
        first = f"is first{''.join(types)}"  # longer than any name of a column, so it is none of them
        ours = select_list({name: _FIRST_VALUE[type_] for name, type_ in types.items()} | {first: "1"})
        rows = f"SELECT {ours} UNION ALL SELECT {', '.join(map(quote_identifier, types))}, 0 FROM {source}"  # noqa: S608
        select = select_list({name: f"{quote_identifier(name)}::{type_}" for name, type_ in types.items()})
        with opened.stream(rows) as view:
            query = f"SELECT {select} FROM {view} WHERE {quote_identifier(first)} = 0"  # noqa: S608 - quoted
            copy = f"COPY ({query}) TO {quote_literal(str(path))} (FORMAT parquet, COMPRESSION snappy)"
            [(count,)] = con.execute(copy).fetchall()
    return int(count)


def _source(opened: SqliteFile, config: Config) -> tuple[str, Sequence[SqliteColumn]]:
    """What follows FROM, and its columns. A query becomes a temporary view, so SQLite refuses all but a SELECT."""
    if config.query:
        query = config.query.rstrip().rstrip(";")
        opened.execute(f"CREATE TEMP VIEW {quote_identifier(_VIEW)} AS SELECT * FROM (\n{query}\n)")  # noqa: S608
        return f"temp.{quote_identifier(_VIEW)}", opened.columns(_VIEW)
    columns = {column.name: column for column in opened.columns(config.table)}
    if not columns:
        raise missing_source(config.table, opened.table_names())
    if missing := [name for name in config.columns if name not in columns]:
        raise missing_source_columns(config.table, missing, list(columns))
    return f"main.{quote_identifier(config.table)}", [columns[name] for name in config.columns or columns]


def _types(opened: SqliteFile, source: str, columns: Sequence[SqliteColumn]) -> Iterator[str]:
    """A DuckDB type for each column, from the storage classes of all its values and from what it was declared."""
    for column, classes in zip(columns, _classes(opened, source, columns), strict=True):
        name = quote_identifier(column.name)
        declared = column.declared.upper()
        if classes == {"integer"} and declared.startswith("BOOL"):
            beyond = opened.rows(f"SELECT count(*) AS n FROM {source} WHERE {name} NOT IN (0, 1)")  # noqa: S608 - quoted
            yield "BIGINT" if beyond[0][0] else "BOOLEAN"
        elif len(classes) == 1 and not _is_decimal(declared):
            yield _OF_CLASS[next(iter(classes))]
        elif not classes:
            yield "BOOLEAN" if declared.startswith("BOOL") else _OF_AFFINITY[column.affinity] if declared else "VARCHAR"
        elif classes <= {"integer", "real"} and not _beyond_real(opened, source, name):
            yield "DOUBLE"
        elif len(classes) == 1:
            yield _OF_CLASS[next(iter(classes))]
        else:
            raise _mixed(column, classes)


def _classes(opened: SqliteFile, source: str, columns: Sequence[SqliteColumn]) -> list[set[str]]:
    """The storage classes of each column's values, NULL aside."""
    names = [quote_identifier(column.name) for column in columns]
    terms = ", ".join(f"typeof({name}) AS c{place}" for place, name in enumerate(names))
    distinct = f"SELECT DISTINCT {terms} FROM {source} LIMIT {_MOST_COMBINATIONS}"  # noqa: S608 - quoted
    found = opened.rows(distinct)
    if len(found) == _MOST_COMBINATIONS:  # too many to list them all: four questions a column cost more, but are enough
        kinds = [(name, kind) for name in names for kind in _OF_CLASS]
        asked = ", ".join(f"max(typeof({name}) = '{kind}') AS c{place}" for place, (name, kind) in enumerate(kinds))
        [answers] = opened.rows(f"SELECT {asked} FROM {source}")  # noqa: S608 - quoted
        there = {kind for kind, answer in zip(kinds, answers, strict=True) if answer}
        return [{kind for kind in _OF_CLASS if (name, kind) in there} for name in names]
    return [{row[place] for row in found} - {"null"} for place in range(len(names))]


def _is_decimal(declared: str) -> bool:
    """Whether whole numbers in it are stored as integers only to save space, so that the next may have a fraction."""
    return declared.startswith(("DEC", "NUM"))


def _beyond_real(opened: SqliteFile, source: str, name: str) -> bool:
    beyond = f"typeof({name}) = 'integer' AND {name} NOT BETWEEN {-_EXACT_IN_REAL} AND {_EXACT_IN_REAL}"
    return bool(opened.rows(f"SELECT count(*) AS n FROM {source} WHERE {beyond}")[0][0])  # noqa: S608 - quoted


def _mixed(column: SqliteColumn, classes: set[str]) -> OsirisError:
    name = quote_identifier(column.name)
    declared = f", which is declared {column.declared}," if column.declared else ""
    empty = f", or NULLIF({name}, '') where the texts are empty" if "text" in classes else ""
    return OsirisError(
        f"the column {column.name}{declared} holds values of several storage classes: {', '.join(sorted(classes))}",
        f"Write a query that gives it one: CAST({name} AS TEXT){empty}.",
        code="extract.mixed_types",
        exit_code=ExitCode.PIPELINE_FAILED,
    )
