"""Rows into a temporary table of one session: by LOAD DATA LOCAL INFILE, or by INSERT where the server refuses that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osiris.components.base import StepContext, quote_identifier, quote_literal
from osiris.components.mysql_target import RowColumn, fits_always, same_sql
from osiris.components.table_target import doubled_key, null_key
from osiris.errors import ExitCode, OsirisError
from osiris.families.mysql_errors import statement_error
from osiris.families.mysql_session import execute, quote

if TYPE_CHECKING:
    import duckdb
    from pymysql.connections import Connection

STAGE = "`osiris stage`"

_LOCAL_INFILE_REFUSED = frozenset({1148, 3948, 4166})
_INSERT_BYTES = 1 << 20
_INSERT_ROWS = 1000
_FIELD = re.compile(r'("[^"]*(?:""[^"]*)*"|[^,"\n]*)[,\n]')


def spool(ctx: StepContext, relation: duckdb.DuckDBPyRelation, columns: Sequence[RowColumn], path: Path) -> int:
    """Write the rows as LOAD DATA reads them, text in quotes, bytes in hex, NULL as a bare word; give their number."""
    terms = ", ".join(f"{_written(column)} AS {quote_identifier(column.name)}" for column in columns)
    quoted = [column.name for column in columns if column.kind in ("longtext", "longblob")]
    force = f", FORCE_QUOTE ({', '.join(map(quote_identifier, quoted))})" if quoted else ""
    options = "FORMAT csv, HEADER false, NULLSTR 'NULL', DELIMITER ',', QUOTE '\"', ESCAPE '\"'" + force
    query = f"SELECT {terms} FROM {quote_identifier(relation.alias)}"  # noqa: S608 - quoted
    return int(ctx.consume(f"COPY ({query}) TO {quote_literal(str(path))} ({options})")[0][0])


def make_stage(connection: Connection, table: str, columns: Sequence[RowColumn]) -> None:
    """An empty temporary table: columns as the table has them, and beside those that may not fit, as the rows do."""
    new = [f"{quote(column.name)} {column.mysql_type}" for column in columns if column.target is None]
    raw = [f"{_raw(place)} {_raw_type(column)}" for place, column in _doubtful(columns)]
    like = [quote(column.name) for column in columns if column.target is not None]
    select = f" SELECT {', '.join(like)} FROM {table} LIMIT 0" if like else ""  # noqa: S608 - quoted
    definitions = f" ({', '.join([*new, *raw])})" if new or raw else ""
    options = "ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    execute(connection, f"CREATE TEMPORARY TABLE {STAGE}{definitions} {options}{select}")


def load(ctx: StepContext, connection: Connection, columns: Sequence[RowColumn], path: Path) -> None:
    """The rows of ``path`` into the staging table. Raises PyMySQL's errors, and OsirisError for what does not fit."""
    try:
        _load_local(connection, columns, path)
    except connection.OperationalError as cause:
        if cause.args[0] not in _LOCAL_INFILE_REFUSED:
            raise
        ctx.log.warning("the server refuses LOAD DATA LOCAL INFILE, so rows go there by INSERT, which takes longer")
        _insert(connection, columns, path)
    for place, column in _doubtful(columns):
        raw = _raw(place)
        altered = f"SELECT {raw}, {quote(column.name)} FROM {STAGE} WHERE NOT ({same_sql(column, raw)}) LIMIT 1"  # noqa: S608
        for value, would_be in execute(connection, altered):
            raise _altered(column, value, would_be)


def checked_execute(connection: Connection, sql: str) -> None:
    """Execute one statement; a warning of the server is an error, for it means an altered value."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        if not cursor.warning_count:
            return
    for _, number, message in execute(connection, "SHOW WARNINGS"):
        raise statement_error(ValueError(number, message), {}, "write")


def check_keys(connection: Connection, table: str, primary_key: Sequence[str]) -> None:
    """Raises where a row's key is NULL, or where two rows have the same as the table compares them."""
    for name in primary_key:
        if execute(connection, f"SELECT 1 FROM {STAGE} WHERE {quote(name)} IS NULL LIMIT 1"):  # noqa: S608
            raise null_key(table, name)
    key = ", ".join(map(quote, primary_key))
    doubled = f"SELECT {key} FROM {STAGE} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"  # noqa: S608
    for example in execute(connection, doubled):
        raise doubled_key(table, primary_key, example)


def _load_local(connection: Connection, columns: Sequence[RowColumn], path: Path) -> None:
    targets, settings = [], []
    for place, column in enumerate(columns):
        loaded = quote(column.name) if fits_always(column) else _raw(place)
        if column.kind == "longblob":
            variable = f"@bytes{place}"
            targets.append(variable)
            settings.append(f"{loaded} = UNHEX({variable})")
        else:
            targets.append(loaded)
        if not fits_always(column):
            settings.append(f"{quote(column.name)} = {loaded}")
    set_clause = f" SET {', '.join(settings)}" if settings else ""
    checked_execute(
        connection,
        f"LOAD DATA LOCAL INFILE {connection.escape(str(path))} INTO TABLE {STAGE} CHARACTER SET utf8mb4 "
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' "
        f"({', '.join(targets)}){set_clause}",
    )


def _insert(connection: Connection, columns: Sequence[RowColumn], path: Path) -> None:
    names = [quote(column.name) for column in columns] + [_raw(place) for place, _ in _doubtful(columns)]
    twice = [place for place, _ in _doubtful(columns)]
    marks = ["UNHEX(%s)" if column.kind == "longblob" else "%s" for column in columns]
    row_marks = f"({', '.join([*marks, *(marks[place] for place in twice)])})"
    # The names are part of a text in which %s stands for a value.
    start = f"INSERT INTO {STAGE} ({', '.join(names)}) VALUES ".replace("%", "%%")  # noqa: S608 - quoted
    batch: list[list[str | None]] = []
    size = 0
    for row in _records(path):
        batch.append([*row, *(row[place] for place in twice)])
        size += sum(len(value) for value in row if value)
        if size >= _INSERT_BYTES or len(batch) >= _INSERT_ROWS:
            _insert_batch(connection, start, row_marks, batch)
            batch, size = [], 0
    if batch:
        _insert_batch(connection, start, row_marks, batch)


def _records(path: Path) -> Iterator[list[str | None]]:
    """The spooled rows as text; a record goes over several lines where a quoted text does."""
    parts: list[str] = []
    quotes = 0
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            parts.append(line)
            quotes += line.count('"')
            if quotes % 2 == 0:
                yield [_unquoted(field) for field in _FIELD.findall("".join(parts))]
                parts, quotes = [], 0


def _unquoted(field: str) -> str | None:
    if field.startswith('"'):
        return field[1:-1].replace('""', '"')
    return None if field == "NULL" else field


def _insert_batch(connection: Connection, start: str, row_marks: str, batch: Sequence[Sequence[str | None]]) -> None:
    with connection.cursor() as cursor:
        statement = start + ", ".join([row_marks] * len(batch))
        checked_execute(connection, cursor.mogrify(statement, [value for row in batch for value in row]))


def _doubtful(columns: Sequence[RowColumn]) -> list[tuple[int, RowColumn]]:
    return [(place, column) for place, column in enumerate(columns) if not fits_always(column)]


def _raw(place: int) -> str:
    return quote(f"osiris raw {place}")


def _raw_type(column: RowColumn) -> str:
    """A FLOAT is compared with what it becomes, so it is staged with all its digits."""
    return {"FLOAT": "DOUBLE", "TIMESTAMP(6) NULL": "DATETIME(6)"}.get(column.mysql_type, column.mysql_type)


def _written(column: RowColumn) -> str:
    name = quote_identifier(column.name)
    if column.kind == "longblob":
        return f"hex({name})"
    if column.duckdb_type == "BOOLEAN":
        return f"CAST({name} AS TINYINT)"
    if column.duckdb_type == "TIMESTAMP WITH TIME ZONE":
        return f"({name} AT TIME ZONE 'UTC')"
    if column.duckdb_type == "FLOAT":  # the few digits that tell a FLOAT from its neighbours are another DOUBLE
        return f"CAST({name} AS DOUBLE)"
    return f"CAST({name} AS VARCHAR)" if column.kind == "longtext" else name


def _altered(column: RowColumn, value: object, would_be: object) -> OsirisError:
    target = column.target.type.upper() if column.target else ""
    return OsirisError(
        f"{column.name}: the table's {target} would make {str(value)[:60]!r} {str(would_be)[:60]!r}",
        f'Convert it in a query before, for example CAST("{column.name}" AS …), or change the column of the table.',
        code="write.altered_value",
        exit_code=ExitCode.PIPELINE_FAILED,
    )
