"""Rows of a MySQL cursor into Parquet files: values go over as the server's bytes, and DuckDB gives them their types.

The server is read as fast as it sends, whatever the steps behind do with the rows: one that waits too long for its
reader closes the connection. Python touches rows and columns as wholes, never a value by itself.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from osiris.components.base import StepContext, quote_identifier, quote_literal
from osiris.components.mysql_types import SourceColumn, unfit_value
from osiris.families.base import missing_extra
from osiris.families.mysql_session import SPEC

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_Row = tuple[bytes | None, ...]

_BATCH_ROWS = 50_000
_BATCH_BYTES = 16 << 20
_FIRST_FETCH_ROWS = 10
_FETCH_ROWS = 5_000
_FETCH_BYTES = 4 << 20
_BATCH = "mysql_batch"


class Spool(msgspec.Struct, frozen=True, kw_only=True):
    """The files that hold all rows, at least one, and how many rows that is."""

    files: tuple[str, ...]
    rows: int


def spool_rows(ctx: StepContext, cursor: Cursor, columns: Sequence[SourceColumn]) -> Spool:
    """Read the cursor to its end. Raises PyMySQL's errors, and OsirisError for a value that no type holds."""
    files: list[str] = []
    count = 0
    for rows in _batches(cursor):
        path = ctx.work_dir / f"rows-{len(files):06}.parquet"
        _write_batch(ctx, rows, columns, path)
        files.append(str(path))
        count += len(rows)
        ctx.progress(count)
    return Spool(files=tuple(files), rows=count)


def _batches(cursor: Cursor) -> Iterator[list[_Row]]:
    """The rows in lists of a bounded size; a single, empty one if there are none."""
    batch: list[_Row] = []
    batch_bytes, sent, fetch_rows = 0, False, _FIRST_FETCH_ROWS
    while rows := cursor.fetchmany(fetch_rows):
        fetched_bytes = len(b"".join(filter(None, chain.from_iterable(rows))))
        fetch_rows = max(1, min(_FETCH_ROWS, _FETCH_BYTES * len(rows) // (fetched_bytes + 1)))
        batch += rows
        batch_bytes += fetched_bytes
        if len(batch) >= _BATCH_ROWS or batch_bytes >= _BATCH_BYTES:
            yield batch
            batch, batch_bytes, sent = [], 0, True
    if batch or not sent:
        yield batch


def _write_batch(ctx: StepContext, rows: list[_Row], columns: Sequence[SourceColumn], path: Path) -> None:
    arrow = _arrow()
    schema = arrow.c_schema(arrow.struct({str(place): arrow.binary() for place in range(len(columns))}))
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    children = [_column(arrow, column) for column in values]
    batch = arrow.c_array_from_buffers(schema, len(rows), [None], children=children)

    def execute(select: str) -> list[tuple[Any, ...]]:
        """On a stream of the batch, which can be read once."""
        stream = import_module("nanoarrow.c_array_stream").CArrayStream.from_c_arrays([batch], schema)
        ctx.con.register(_BATCH, stream.__arrow_c_stream__())
        try:
            return ctx.con.execute(select).fetchall()
        finally:
            ctx.con.unregister(_BATCH)

    terms = ", ".join(
        f"{column.reading_sql(_raw(place))} AS {quote_identifier(column.name)}" for place, column in enumerate(columns)
    )
    duckdb = import_module("duckdb")
    try:
        execute(f"COPY (SELECT {terms} FROM {_BATCH}) TO {quote_literal(str(path))} (FORMAT parquet)")  # noqa: S608
    except (duckdb.ConversionException, duckdb.InvalidInputException) as cause:
        for place, column in enumerate(columns):
            raw = _raw(place)
            unfit = f"{raw} IS NOT NULL AND TRY({column.reading_sql(raw)}) IS NULL"
            for (value,) in execute(f"SELECT {raw} FROM {_BATCH} WHERE {unfit} LIMIT 1"):  # noqa: S608
                raise unfit_value(column, value) from cause
        raise


def _raw(place: int) -> str:
    return quote_identifier(str(place))


def _column(arrow: Any, values: Sequence[bytes | None]) -> Any:
    """One Arrow array of bytes: all values in one buffer, and where each begins."""
    validity = arrow.c_buffer([value is not None for value in values], arrow.bool_()) if None in values else None
    present = [value or b"" for value in values]
    offsets = array("i", accumulate(map(len, present), initial=0))
    return arrow.c_array_from_buffers(arrow.binary(), len(values), [validity, offsets, b"".join(present)])


def _arrow() -> Any:
    try:
        return import_module("nanoarrow")
    except ImportError as cause:
        raise missing_extra(SPEC, cause) from cause
