"""``filesystem.json_extractor``: rows of JSON files, one object each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext, quote_literal
from osiris.components.column_types import TEXT, UNSEEN, first_fit, plain_projection
from osiris.components.hive_partitions import Partitions, ReadsPartitions, find_partitions
from osiris.components.object_stores import SCHEMES, StoreConnection
from osiris.components.source_files import find_source_files, sql_file_list
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    import duckdb

# What DuckDB takes a string for is only kept where it gives the string back; a number keeps its digits as a decimal.
_TEMPORAL = ("DATE", "TIMESTAMP", "TIME")
_BORN_OF_STRINGS = ("DATE", "TIME", "UUID", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
# In STRUCT(DATE DATE, y "NULL")[] a type stands at the start or behind a name, and a name behind "(" or ",".
_NESTED_GUESS = re.compile(r'(?:^|(?<=[^,(] ))(?:DATE|TIME|UUID|TIMESTAMP(?:_NS| WITH TIME ZONE)?|"NULL")(?=$|[,)\[])')


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files are and how they are written."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="File or pattern, also s3://, gs:// or az://; .gz and .zst are unpacked",
            examples=["data/orders.jsonl"],
        ),
    ]
    format: Annotated[
        Literal["auto", "array", "newline_delimited"], Meta(description="One array of objects, or an object a line")
    ] = "auto"
    types: Annotated[
        dict[str, str], Meta(description="Column to DuckDB type; a value that does not fit is an error")
    ] = {}
    hive: ReadsPartitions = False
    connection: StoreConnection = ""


SPEC = ComponentSpec(
    name="filesystem.json_extractor",
    version="1.0.0",
    summary="Reads JSON files: an array of objects, or one object a line.",
    modes=("read",),
    path_schemes=SCHEMES,
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """The rows of the files. Names and types come from reading all of them once before."""
    files = find_source_files(ctx, config.path)
    reading = f"{sql_file_list(files)}, format={quote_literal(config.format)}"
    arguments = f"{reading}, hive_partitioning=false"
    whole = f"{arguments}, sample_size=-1, union_by_name=true, map_inference_threshold=-1"
    described = ctx.con.execute(f"DESCRIBE FROM read_json({whole})").fetchall()
    sniffed = {str(row[0]): str(row[1]) for row in described}
    if list(sniffed) == ["json"] and not _are_objects(ctx.con, arguments):
        raise _no_objects(files[0])
    partitions = find_partitions(files, ctx.project_root, sniffed, config.types) if config.hive else Partitions()
    given = {name: type_ for name, type_ in config.types.items() if name not in partitions.keys}
    types = _settled_types(ctx.con, arguments, sniffed, given)
    readable = {name: type_ if name in given else _reading_type(type_) for name, type_ in types.items()}
    # As it was read is as good as cast: a key of a folder has its type already.
    types |= dict.fromkeys(partitions.keys, TEXT)
    casting = {name: type_ if readable.get(name, type_) != type_ else TEXT for name, type_ in types.items()}
    source = f"read_json({reading}, {partitions.sql}, columns={_columns(readable)})"
    rows = ctx.con.sql(plain_projection(source, casting))
    return Produced(rows=rows, files=files)


def _settled_types(
    con: duckdb.DuckDBPyConnection, arguments: str, sniffed: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """The type of every column: the config's, or DuckDB's where it changes no value, found by reading everything."""
    unknown = [name for name in given if name not in sniffed]
    if unknown:
        problem = f"types names a column that the files have not: {unknown[0]}"
        raise OsirisError(problem, f"Their columns are {', '.join(sniffed)}.", code="config.unknown_column")
    open_questions = {
        name: ladder for name, type_ in sniffed.items() if name not in given and (ladder := _ladder(type_)) is not None
    }
    texts = dict.fromkeys(open_questions, TEXT)
    fits = first_fit(con, f"read_json({arguments}, columns={_columns(texts)})", open_questions) if texts else {}
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


def _reading_type(type_: str) -> str:
    """How the reader is told to read it: as the text it is, where the cast comes after."""
    return TEXT if type_.startswith("DECIMAL") or type_ in _TEMPORAL else type_


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
