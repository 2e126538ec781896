"""How a CSV file is written: its separator, its quotes and the names of its columns, from its first record alone.

DuckDB's own sniffer looks at a sample of the rows, and what it then guesses (rows to skip, no quotes, no header) can
silently lose data. A header record says the same whatever the rows below it are.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osiris.components.base import quote_literal
from osiris.components.source_files import sql_file_list
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    import duckdb

SEPARATORS = (",", ";", "\t", "|")
_LONGEST_RECORD_LINES = 200
_HEAD_BYTES = 1 << 20
_LINE_END = re.compile(r"\r\n|\n|\r")
# Two control characters that no text file holds: every line is one column, and nothing is NULL.
_NO_SEPARATOR, _NO_NULL = "\x01", "\x02"


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """``skip`` counts lines before the header record (or before the first row); ``names`` are those of the columns."""

    delimiter: str
    quote: str
    escape: str
    header: bool
    skip: int
    encoding: str
    names: tuple[str, ...]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a step's config says of the dialect; None where the file is to be asked."""

    delimiter: str | None
    quote: str
    escape: str
    header: bool
    skip: int
    encoding: str


def find_dialect(con: duckdb.DuckDBPyConnection, file: str, wish: Wish) -> Dialect:
    """The dialect of one file. Without a wish, the separator is the one that stands in its first record most often.

    A file without any record is an error: it has no columns.
    """
    lines = _unpacked_lines(con, file, wish) if file.lower().endswith(".zst") else _first_lines(file, wish)
    lines = lines[wish.skip :]
    blank = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    record = _first_record(lines[blank:], wish)
    if not record:
        hint = "Let the program that writes it give a header line, or take the file away."
        raise _unreadable(file, f"{file} is empty: it has not even a header", hint, code="extract.empty_file")
    delimiter = wish.delimiter or _likeliest_separator(record, wish)
    fields = _split(record, delimiter, wish)
    return Dialect(
        delimiter=delimiter,
        quote=wish.quote,
        escape=wish.escape,
        header=wish.header,
        skip=wish.skip + blank,
        encoding=wish.encoding,
        names=_column_names(fields if wish.header else [""] * len(fields)),
    )


def reading_sql(files: tuple[str, ...], dialect: Dialect, types: Mapping[str, str], options: Mapping[str, str]) -> str:
    """The ``read_csv`` call for ``files``, without any guessing of its own.

    ``types`` names every column in the file's order; ``options`` are further arguments, as SQL.
    """
    columns = ", ".join(f"{quote_literal(name)}: {quote_literal(type_)}" for name, type_ in types.items())
    arguments = {
        "columns": "{" + columns + "}",
        "delim": quote_literal(dialect.delimiter),
        "quote": quote_literal(dialect.quote),
        "escape": quote_literal(dialect.escape),
        "header": str(dialect.header).lower(),
        "skip": str(dialect.skip),
        "encoding": quote_literal(dialect.encoding),
        "hive_partitioning": "false",
        **options,
    }
    return f"read_csv({sql_file_list(files)}, {_FIXED}, " + ", ".join(f"{k}={v}" for k, v in arguments.items()) + ")"


_CODECS = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "latin-1": "latin-1"}
_FIXED = "auto_detect=false, strict_mode=true, null_padding=false, allow_quoted_nulls=false"


def _first_lines(file: str, wish: Wish) -> list[str]:
    try:
        with gzip.open(file) if file.lower().endswith(".gz") else Path(file).open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
    except (gzip.BadGzipFile, EOFError) as cause:
        problem = f"{file} is not a whole gzip file: {cause}"
        raise _unreadable(file, problem, "Get the file once more from where it comes from.") from cause
    # The head may end within a character; what follows the first record does not matter here.
    text = codecs.getincrementaldecoder(_CODECS[wish.encoding])(errors="replace").decode(head)
    # The rest is split only where all these lines are blank: a megabyte takes 15 ms, and one record is wanted.
    lines = _LINE_END.split(text, maxsplit=wish.skip + 2 * _LONGEST_RECORD_LINES)
    if not any(line.strip() for line in lines[wish.skip : wish.skip + _LONGEST_RECORD_LINES]):
        lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def _unpacked_lines(con: duckdb.DuckDBPyConnection, file: str, wish: Wish) -> list[str]:
    """The same by way of DuckDB, for what Python cannot unpack."""
    dialect = Dialect(
        delimiter=_NO_SEPARATOR, quote="", escape="", header=False, skip=0, encoding=wish.encoding, names=()
    )
    call = reading_sql((file,), dialect, {"line": "VARCHAR"}, {"nullstr": quote_literal(_NO_NULL)})
    rows = con.execute(f"SELECT line FROM {call} LIMIT {_LONGEST_RECORD_LINES}").fetchall()  # noqa: S608 - quoted above
    return [line or "" for (line,) in rows]


def _first_record(lines: list[str], wish: Wish) -> str:
    """The lines up to the first at whose end no quoted field is open."""
    record = ""
    for number, line in enumerate(lines[:_LONGEST_RECORD_LINES]):
        record += f"\n{line}" if number else line
        if not wish.quote or _quotes(record, wish) % 2 == 0:
            return record
    return lines[0] if lines else ""  # a stray quote: the reader will complain about it with its line


def _quotes(record: str, wish: Wish) -> int:
    if wish.escape and wish.escape != wish.quote:
        record = record.replace(wish.escape * 2, "").replace(wish.escape + wish.quote, "")
    return record.count(wish.quote)


def _likeliest_separator(record: str, wish: Wish) -> str:
    outside = "".join(record.split(wish.quote)[::2]) if wish.quote else record
    return max(SEPARATORS, key=outside.count)


def _split(record: str, delimiter: str, wish: Wish) -> list[str]:
    doubled = wish.escape == wish.quote
    reader = csv.reader(
        record.splitlines(keepends=True),
        delimiter=delimiter,
        quotechar=wish.quote or None,
        doublequote=doubled,
        escapechar=None if doubled or not wish.escape else wish.escape,
        quoting=csv.QUOTE_MINIMAL if wish.quote else csv.QUOTE_NONE,
    )
    return next(reader)


def _column_names(fields: list[str]) -> tuple[str, ...]:
    """Names as DuckDB would give them: ``column2`` for a missing one, ``name_1`` for the second of that name.

    Names that differ only in case are the same to SQL.
    """
    names: list[str] = []
    taken: set[str] = set()
    for number, field in enumerate(fields):
        wanted = field or f"column{number}"
        name, again = wanted, 0
        while name.lower() in taken:
            again += 1
            name = f"{wanted}_{again}"
        taken.add(name.lower())
        names.append(name)
    return tuple(names)


def _unreadable(file: str, problem: str, hint: str, code: str = "extract.invalid_input") -> OsirisError:
    return OsirisError(problem, hint, code=code, exit_code=ExitCode.PIPELINE_FAILED, path=file)
