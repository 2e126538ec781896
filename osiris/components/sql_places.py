"""Where in a query an error lies. DuckDB names a byte of the statement, of which the query may be only a part."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import duckdb


class _Said(msgspec.Struct, frozen=True):
    """What DuckDB's setting ``errors_as_json`` makes of an error; ``position`` counts bytes from 0."""

    exception_message: str
    position: int | None = None


@contextlib.contextmanager
def pointing_into(con: duckdb.DuckDBPyConnection, query: str, *, behind: str = "") -> Iterator[None]:
    """Inside, the message of DuckDB's error about a statement ends with ``LINE 3:12``, line and column in ``query``.

    Both count from 1, columns in characters. ``behind`` is what stands before the query in the statement. What lies
    outside of the query, or nowhere that DuckDB knows, has no such end. The exception's type stays.
    """
    import duckdb  # noqa: PLC0415 - compiling must not pay for DuckDB

    con.execute("SET errors_as_json = true")
    try:
        yield
    except duckdb.Error as error:
        kind, _, said = str(error).partition(": ")
        try:
            told = msgspec.json.decode(said, type=_Said, strict=False)
        except msgspec.DecodeError:
            raise error from None
        place = _place(query, told.position, len(behind.encode()))
        raise type(error)(f"{kind}: {told.exception_message}{place}") from None
    finally:
        con.execute("SET errors_as_json = false")


def _place(query: str, position: int | None, start: int) -> str:
    text = query.encode()
    if position is None or not start <= position <= start + len(text):
        return ""
    before = text[: position - start].decode(errors="ignore")
    return f"\n\nLINE {before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
