"""``filesystem.parquet_extractor``: rows of Parquet files; filters and projections reach the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ADDED_LATER, ComponentSpec, Produced, StepContext, quote_identifier
from osiris.components.hive_partitions import Partitions, ReadsPartitions, find_partitions
from osiris.components.object_stores import SCHEMES, StoreConnection
from osiris.components.source_files import differing_files, find_source_files, sql_file_list
from osiris.errors import OsirisError

if TYPE_CHECKING:
    import duckdb


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files are and what to take of them."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="File or pattern, also s3://, gs:// or az://",
            examples=["data/orders.parquet"],
        ),
    ]
    columns: Annotated[tuple[str, ...], Meta(description="Which columns to read, in this order; empty: all")] = ()
    hive: ReadsPartitions = False
    types: Annotated[
        dict[str, str], Meta(description="Partition key to DuckDB type", extra_json_schema=ADDED_LATER)
    ] = {}
    connection: StoreConnection = ""


SPEC = ComponentSpec(
    name="filesystem.parquet_extractor",
    version="1.0.0",
    summary="Reads Parquet files of one schema.",
    modes=("read",),
    path_schemes=SCHEMES,
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """The rows of the files, not read yet; their number stands in the files' footers."""
    files = find_source_files(ctx, config.path)
    schema = _schema(ctx.con, files[0])
    for other in files[1:]:
        if _schema(ctx.con, other) != schema:
            raise differing_files(files[0], other, "columns or types")
    names = [name for name, _ in schema]
    partitions = find_partitions(files, ctx.project_root, names, config.types) if config.hive else Partitions()
    _check_types(config, partitions)
    listed = sql_file_list(files)
    # fetchall, not fetchone: DuckDB 2.0 refuses other work on a connection with an unfinished result.
    [(counted,)] = ctx.con.execute(f"SELECT sum(num_rows) FROM parquet_file_metadata({listed})").fetchall()  # noqa: S608
    columns = ", ".join(map(quote_identifier, config.columns or (*names, *partitions.keys)))
    rows = ctx.con.sql(f"SELECT {columns} FROM read_parquet({listed}, {partitions.sql})")  # noqa: S608 - quoted
    return Produced(rows=rows, row_count=int(counted), files=files)


def _check_types(config: Config, partitions: Partitions) -> None:
    unknown = [name for name in config.types if name not in partitions.keys]
    if unknown:
        keys = ", ".join(partitions.keys)
        raise OsirisError(
            f"types names {unknown[0]}, which is not a partition key",
            f"The keys are {keys}." if keys else "A file's own columns have their types; with hive: true keys get one.",
            code="config.unknown_column",
        )


def _schema(con: duckdb.DuckDBPyConnection, file: str) -> list[tuple[str, str]]:
    call = f"read_parquet({sql_file_list((file,))}, hive_partitioning=false)"
    return con.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {call})").fetchall()  # noqa: S608 - quoted
