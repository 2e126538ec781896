"""Rows that several steps read, or that nobody streams: a Parquet file in the run's work folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from osiris.canonical import sha256_file
from osiris.components.base import quote_identifier, quote_literal
from osiris.components.source_files import sql_file_list

# Parquet has no place for these; as text they come back whole. The other types that it lacks only need casting back.
_AS_TEXT = re.compile(r'"(?:[^"]|"")*"|\b(?:U?HUGEINT|TIME WITH TIME ZONE|INTERVAL|BIT)\b')
_CAST_BACK = re.compile(r"\b(?:ENUM|TIMESTAMP_S|TIMESTAMP_MS|U?HUGEINT|TIME WITH TIME ZONE|INTERVAL|BIT)\b")


class StoredRows(msgspec.Struct, frozen=True, kw_only=True):
    """One step's rows on disk; ``types`` are those that a column has for its readers, where Parquet has another."""

    path: str
    rows: int
    bytes: int
    sha256: str
    types: dict[str, str]


def store_rows(
    consume: Callable[[str], list[tuple[Any, ...]]], relation: duckdb.DuckDBPyRelation, path: Path
) -> StoredRows:
    """Write the rows of the view ``relation`` to ``path`` with the one statement that ``consume`` executes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    stored = {name: _AS_TEXT.sub(_text_type, type_) for name, type_ in types.items()}
    casts = [_cast(name, stored[name]) for name, type_ in types.items() if stored[name] != type_]
    select = f"* REPLACE ({', '.join(casts)})" if casts else "*"
    source = f"SELECT {select} FROM {quote_identifier(relation.alias)}"  # noqa: S608 - an identifier, quoted
    target = quote_literal(str(path))
    row = consume(f"COPY ({source}) TO {target} (FORMAT parquet, COMPRESSION snappy, RETURN_STATS)")[0]
    return StoredRows(
        path=str(path),
        rows=int(row[1]),
        bytes=int(row[2]),
        sha256=sha256_file(path),
        types={name: type_ for name, type_ in types.items() if _CAST_BACK.search(type_)},
    )


def stored_rows_sql(stored: StoredRows) -> str:
    """The SELECT that gives the rows back, with the types that they had."""
    casts = [_cast(name, type_) for name, type_ in stored.types.items()]
    select = f"* REPLACE ({', '.join(casts)})" if casts else "*"
    return f"SELECT {select} FROM read_parquet({sql_file_list((stored.path,))}, hive_partitioning=false)"  # noqa: S608


def _text_type(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "VARCHAR"


def _cast(name: str, type_: str) -> str:
    return f"CAST({quote_identifier(name)} AS {type_}) AS {quote_identifier(name)}"
