"""``filesystem.csv_extractor``: rows of CSV files, with types that change no value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext, quote_identifier, quote_literal
from osiris.components.column_types import TEXT, climb, first_fit, guarded_projection, plain_projection, possible_types
from osiris.components.csv_dialect import Dialect, Wish, find_dialect, reading_sql
from osiris.components.hive_partitions import Partitions, ReadsPartitions, find_partitions
from osiris.components.object_stores import SCHEMES, StoreConnection
from osiris.components.source_files import differing_files, find_source_files
from osiris.errors import OsirisError

if TYPE_CHECKING:
    import duckdb

_GLIMPSE_ROWS = 16
_SAMPLE_ROWS = 2_048
# The smallest that takes any line: DuckDB's own 32 MB would all be parsed for the sample's sake.
_SMALL_BUFFER = {"buffer_size": "4194304", "max_line_size": "2097152"}
_MUCH_MEMORY = ("GiB", "TiB", "PiB")

OneCharacter = Annotated[str, Meta(min_length=1, max_length=1)]
AtMostOneCharacter = Annotated[str, Meta(max_length=1)]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files are and how they are written."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="File or pattern, also s3://, gs:// or az://; .gz and .zst are unpacked",
            examples=["data/orders.csv"],
        ),
    ]
    delimiter: Annotated[OneCharacter | None, Meta(description="Left out: found in the first record")] = None
    header: Annotated[bool, Meta(description="Whether the first record holds the names of the columns")] = True
    quote: Annotated[AtMostOneCharacter, Meta(description="What stands around a quoted value; empty: nothing")] = '"'
    escape: Annotated[OneCharacter | None, Meta(description="Before a quote in a quoted value; left out: a quote")] = (
        None
    )
    encoding: Annotated[Literal["utf-8", "utf-16", "latin-1"], Meta(description="Of the files' text")] = "utf-8"
    null_values: Annotated[
        tuple[str, ...], Meta(min_length=1, description="Unquoted texts that mean NULL; a quoted value never does")
    ] = ("",)
    types: Annotated[
        dict[str, str], Meta(description="Column to DuckDB type; a value that does not fit is an error")
    ] = {}
    all_varchar: Annotated[bool, Meta(description="Every column that is not in types stays text")] = False
    dateformat: Annotated[str | None, Meta(description="Of the DATE columns in types, such as %d.%m.%Y")] = None
    timestampformat: Annotated[str | None, Meta(description="Of the TIMESTAMP columns in types")] = None
    skip: Annotated[int, Meta(ge=0, description="Lines before the header")] = 0
    hive: ReadsPartitions = False
    connection: StoreConnection = ""


SPEC = ComponentSpec(
    name="filesystem.csv_extractor",
    version="1.0.0",
    summary="Reads CSV files. A column gets a type only where that changes none of its values.",
    modes=("read",),
    path_schemes=SCHEMES,
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """The rows of the files, not read yet but for a sample of them."""
    files = find_source_files(ctx, config.path)
    dialect = _shared_dialect(ctx.con, files, config)
    partitions = find_partitions(files, ctx.project_root, dialect.names, config.types) if config.hive else Partitions()
    columns = (*dialect.names, *partitions.keys)
    _check_types(config, columns, files)
    given = {name: config.types.get(name, TEXT) for name in dialect.names}
    options = {**_options(config), **partitions.arguments}
    source = reading_sql(files, dialect, given, {**options, **_buffer_options(ctx.con)})
    guessing = [] if config.all_varchar else [name for name in dialect.names if name not in config.types]
    if not guessing:
        return Produced(rows=ctx.con.sql(plain_projection(source, dict.fromkeys(columns, TEXT))), files=files)

    sample_source = reading_sql(files, dialect, given, {**options, **_SMALL_BUFFER})
    guess, complete = _sample_types(ctx.con, sample_source, guessing)

    def projection_types(found: Mapping[str, str]) -> dict[str, str]:
        return {name: found.get(name, TEXT) for name in columns}

    if complete:
        return Produced(rows=ctx.con.sql(plain_projection(source, projection_types(guess))), files=files)

    def refine() -> duckdb.DuckDBPyRelation | None:
        exact = climb(ctx.con, source, guess)
        return None if exact == guess else ctx.con.sql(plain_projection(source, projection_types(exact)))

    rows = ctx.con.sql(guarded_projection(source, projection_types(guess)))
    return Produced(rows=rows, files=files, refine=refine)


def _shared_dialect(con: duckdb.DuckDBPyConnection, files: tuple[str, ...], config: Config) -> Dialect:
    wish = Wish(
        delimiter=config.delimiter,
        quote=config.quote,
        escape=config.quote if config.escape is None else config.escape,
        header=config.header,
        skip=config.skip,
        encoding=config.encoding,
    )
    dialect = find_dialect(con, files[0], wish)
    for other in files[1:]:
        if find_dialect(con, other, wish) != dialect:
            raise differing_files(files[0], other, "columns")
    return dialect


def _check_types(config: Config, columns: tuple[str, ...], files: tuple[str, ...]) -> None:
    unknown = [name for name in config.types if name not in columns]
    if unknown:
        raise OsirisError(
            f"types names a column that {files[0]} has not: {unknown[0]}",
            f"Its columns are {', '.join(columns)}.",
            code="config.unknown_column",
            path=files[0],
        )


def _options(config: Config) -> dict[str, str]:
    options = {"nullstr": "[" + ", ".join(map(quote_literal, config.null_values)) + "]"}
    if config.dateformat is not None:
        options["dateformat"] = quote_literal(config.dateformat)
    if config.timestampformat is not None:
        options["timestampformat"] = quote_literal(config.timestampformat)
    return options


def _buffer_options(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Small buffers under a small memory limit: DuckDB's own, 32 MB and several of them, would leave no room for it."""
    [(limit,)] = con.execute("SELECT current_setting('memory_limit')").fetchall()
    return {} if str(limit).endswith(_MUCH_MEMORY) else _SMALL_BUFFER


def _sample_types(con: duckdb.DuckDBPyConnection, source: str, names: list[str]) -> tuple[dict[str, str], bool]:
    """The types of the columns ``names`` over the first rows of ``source``, and whether there are no others."""
    columns = ", ".join(map(quote_identifier, names))
    sampling = f"SELECT {columns} FROM {source} LIMIT {_SAMPLE_ROWS}"  # noqa: S608 - quoted above
    sampled = con.execute(f"CREATE OR REPLACE TEMP TABLE sample AS {sampling}").fetchall()
    glimpse = con.execute(f"FROM sample LIMIT {_GLIMPSE_ROWS}").fetchall()
    seen = {name: [row[place] for row in glimpse if row[place] is not None] for place, name in enumerate(names)}
    ladders = {name: possible_types(values) for name, values in seen.items()}
    found = first_fit(con, "sample", {name: ladder for name, ladder in ladders.items() if ladder})
    con.execute("DROP TABLE sample")
    return {name: found.get(name) or TEXT for name in names}, sampled[0][0] < _SAMPLE_ROWS
