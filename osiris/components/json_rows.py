"""From JSON files to rows with names and types, by reading all of them once before; no value changes on the way."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from osiris.components.base import StepContext, quote_identifier, quote_literal
from osiris.components.column_types import TEXT, UNSEEN, first_fit, plain_projection
from osiris.components.hive_partitions import Partitions, find_partitions
from osiris.components.json_digits import keep_digits
from osiris.components.source_files import sql_file_list
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    import duckdb

# What DuckDB takes a string for is only kept where it gives the string back; a number keeps its digits as a decimal.
_TEMPORAL = ("DATE", "TIMESTAMP", "TIME")
_BORN_OF_STRINGS = ("DATE", "TIME", "UUID", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
# In STRUCT(DATE DATE, y "NULL")[] a type stands at the start or behind a name, and a name behind "(" or ",".
_NESTED_GUESS = re.compile(r'(?:^|(?<=[^,(] ))(?:DATE|TIME|UUID|TIMESTAMP(?:_NS| WITH TIME ZONE)?|"NULL")(?=$|[,)\[])')


class JsonRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, not read yet, and the files that they are read from."""

    rows: duckdb.DuckDBPyRelation
    files: tuple[str, ...]


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How the files are read: ``arguments`` are DuckDB's, ``partitions`` the columns that stand in folders' names.

    Where ``digits`` is not empty, it is a column of the files with the columns ``exact`` and the partitions as text.
    """

    files: tuple[str, ...]
    arguments: str
    partitions: Partitions
    exact: tuple[str, ...] = ()
    digits: str = ""

    def sql(self, types: Mapping[str, str]) -> str:
        """What follows FROM for these columns, each read as its type; exact ones have to be text."""
        if not self.digits:
            return f"read_json({self.arguments}, {self.partitions.sql}, columns={_columns(types)})"
        beside = (*self.exact, *self.partitions.keys)
        struct = f"STRUCT({', '.join(f'c{place} VARCHAR' for place in range(len(beside)))})"
        place_of = {name: f"{self.digits}.c{place}" for place, name in enumerate(beside)}
        terms = {name: quote_identifier(name) for name in types}
        terms |= {name: f"coalesce({place_of[name]}, {terms[name]})" for name in self.exact if name in types}
        terms |= {key: f"CAST({place_of[key]} AS {type_})" for key, type_ in self.partitions.types.items()}
        select = ", ".join(f"{term} AS {quote_identifier(name)}" for name, term in terms.items())
        columns = _columns({**types, self.digits: struct})
        return f"(SELECT {select} FROM read_json({self.arguments}, hive_partitioning=false, columns={columns}))"  # noqa: S608 - quoted


def json_rows(
    ctx: StepContext, files: tuple[str, ...], json_format: str, types: Mapping[str, str], *, hive: bool = False
) -> JsonRows:
    """The rows of ``files``; ``types`` are those of some columns. ``json_format`` is DuckDB's name for it.

    With ``hive`` the names of folders are columns, too. Raises OsirisError where there are no objects, and where
    ``types`` names a column that no object has.
    """
    arguments = _arguments(files, json_format)
    sniffed = _sniffed(ctx.con, files, arguments)
    partitions = find_partitions(files, ctx.project_root, sniffed, types) if hive else Partitions()
    given = {name: type_ for name, type_ in types.items() if name not in partitions.keys}
    unknown = [name for name in given if name not in sniffed]
    if unknown:
        problem = f"types names a column that the files have not: {unknown[0]}"
        raise OsirisError(problem, f"Their columns are {', '.join(sniffed)}.", code="config.unknown_column")
    plain = _Reading(files=files, arguments=arguments, partitions=partitions)
    may_be_numbers = [name for name, type_ in sniffed.items() if type_ in ("DOUBLE", "JSON") or name in given]
    reading = _with_digits(ctx, plain, sniffed, may_be_numbers)
    settled = _settled_types(ctx.con, reading, sniffed, given)
    readable = {
        name: type_
        if name in given and name not in reading.exact
        else _reading_type(type_, exact=name in reading.exact)
        for name, type_ in settled.items()
    }
    return _projected(ctx.con, reading, readable, settled)


def json_columns(ctx: StepContext, files: tuple[str, ...], json_format: str, columns: Mapping[str, str]) -> JsonRows:
    """Exactly ``columns``, with their types, of ``files``, which may hold no rows; their other keys are left out."""
    plain = _Reading(files=files, arguments=_arguments(files, json_format), partitions=Partitions())
    reading = _with_digits(ctx, plain, columns, list(columns))
    readable = dict.fromkeys(columns, TEXT) if reading.digits else columns
    return _projected(ctx.con, reading, readable, columns)


def _arguments(files: tuple[str, ...], json_format: str) -> str:
    return f"{sql_file_list(files)}, format={quote_literal(json_format)}"


def _sniffed(con: duckdb.DuckDBPyConnection, files: tuple[str, ...], arguments: str) -> dict[str, str]:
    arguments = f"{arguments}, hive_partitioning=false"
    whole = f"{arguments}, sample_size=-1, union_by_name=true, map_inference_threshold=-1"
    sniffed = {str(row[0]): str(row[1]) for row in con.execute(f"DESCRIBE FROM read_json({whole})").fetchall()}
    if list(sniffed) == ["json"] and not _are_objects(con, arguments):
        raise _no_objects(files[0])
    return sniffed


def _with_digits(ctx: StepContext, plain: _Reading, names: Collection[str], numbers: Sequence[str]) -> _Reading:
    """``plain`` where that changes no digit of ``numbers``, which are columns; ``names`` are all columns' names."""
    digits = "digits"
    while digits in {name.lower() for name in (*names, *plain.partitions.keys)}:
        digits += "_"
    kept = keep_digits(ctx, f"{plain.arguments}, {plain.partitions.sql}", digits, numbers, plain.partitions.keys)
    if kept is None:
        return plain
    files = (str(kept),)
    arguments = _arguments(files, "newline_delimited")
    return msgspec.structs.replace(plain, files=files, arguments=arguments, exact=tuple(numbers), digits=digits)


def _projected(
    con: duckdb.DuckDBPyConnection, reading: _Reading, readable: Mapping[str, str], types: Mapping[str, str]
) -> JsonRows:
    casting = {name: type_ if readable[name] != type_ else TEXT for name, type_ in types.items()}
    casting |= dict.fromkeys(reading.partitions.keys, TEXT)  # the key of a folder has its type already
    return JsonRows(rows=con.sql(plain_projection(reading.sql(readable), casting)), files=reading.files)


def _settled_types(
    con: duckdb.DuckDBPyConnection, reading: _Reading, sniffed: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """The type of every column: the config's, or DuckDB's where it changes no value, found by reading everything."""
    open_questions = {
        name: ladder for name, type_ in sniffed.items() if name not in given and (ladder := _ladder(type_)) is not None
    }
    texts = dict.fromkeys(open_questions, TEXT)
    fits = first_fit(con, reading.sql(texts), open_questions) if open_questions else {}
    settled = {}
    for name, type_ in sniffed.items():
        if name in given:
            settled[name] = given[name]
        elif name not in fits:
            settled[name] = _without_guesses(type_)
        elif fits[name] == UNSEEN:
            settled[name] = TEXT
        else:
            settled[name] = fits[name] or (type_ if type_ in ("DOUBLE", "JSON") else TEXT)
    return settled


def _ladder(type_: str) -> tuple[str, ...] | None:
    if type_ == "DOUBLE":
        return ("DECIMAL",)
    if type_ in _BORN_OF_STRINGS:
        return _TEMPORAL
    return () if type_ in ("JSON", '"NULL"') else None


def _reading_type(type_: str, *, exact: bool) -> str:
    """How the reader is told to read it: as the text it is, where the cast comes after."""
    return TEXT if exact or type_.startswith("DECIMAL") or type_ in _TEMPORAL else type_


def _without_guesses(type_: str) -> str:
    """Inside of lists and objects a string stays a string, and what is always null becomes text."""
    return _NESTED_GUESS.sub(TEXT, type_)


def _are_objects(con: duckdb.DuckDBPyConnection, arguments: str) -> bool:
    """Whether the one column that DuckDB calls ``json`` is a key of that name, and not its name for whole values."""
    values = f"read_json({arguments}, columns={{'json': 'JSON'}}, records='false')"
    question = "bool_and(json_type(json) = 'OBJECT') AND bool_or(json_exists(json, '$.json'))"
    return bool(con.execute(f"SELECT {question} FROM {values}").fetchall()[0][0])  # noqa: S608 - quoted by the caller


def _columns(types: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{quote_literal(name)}: {quote_literal(type_)}" for name, type_ in types.items()) + "}"


def _no_objects(file: str) -> OsirisError:
    return OsirisError(
        f"{file} holds no objects, so it has no columns",
        'Each row has to be an object: {"column": value}.',
        code="extract.no_objects",
        exit_code=ExitCode.PIPELINE_FAILED,
        path=file,
    )
