"""``filesystem.parquet_writer``: rows into one Parquet file, with types that Parquet can hold whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, StepContext, Written, quote_identifier
from osiris.components.file_output import sole_input, write_rows
from osiris.components.folder_output import PartitionColumns, write_partitions
from osiris.components.object_stores import SCHEMES, StoreConnection

if TYPE_CHECKING:
    import duckdb

# DuckDB would write 128-bit integers as doubles, move a time with zone to UTC and cut an interval to milliseconds.
_HELD_WHOLE = {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "TIME WITH TIME ZONE": "VARCHAR",
    "INTERVAL": "VARCHAR",
}
_NAMES_AND_TYPES = re.compile(r'"(?:[^"]|"")*"|\b(?:U?HUGEINT|TIME WITH TIME ZONE|INTERVAL)\b')


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the file goes and how it is packed."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="The file, also s3://, gs:// or az://",
            examples=["out/orders.parquet"],
        ),
    ]
    compression: Annotated[
        Literal["snappy", "zstd", "gzip", "uncompressed"], Meta(description="How its pages are packed")
    ] = "snappy"
    partition_by: PartitionColumns = ()
    connection: StoreConnection = ""


SPEC = ComponentSpec(
    name="filesystem.parquet_writer",
    version="1.0.0",
    summary="Writes rows to one Parquet file, or to a folder of them, replaced as a whole.",
    modes=("write",),
    path_schemes=SCHEMES,
    rows="none",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows; a sum of integers, which DuckDB makes a HUGEINT, becomes DECIMAL(38,0)."""
    relation = sole_input(inputs)
    casts = [
        f"CAST({quote_identifier(name)} AS {whole}) AS {quote_identifier(name)}"
        for name, type_ in zip(relation.columns, map(str, relation.types), strict=True)
        if (whole := _NAMES_AND_TYPES.sub(lambda found: _HELD_WHOLE.get(found[0], found[0]), type_)) != type_
    ]
    select = f"* REPLACE ({', '.join(casts)})" if casts else "*"
    options = {"FORMAT": "parquet", "COMPRESSION": config.compression}
    if config.partition_by:
        return write_partitions(ctx, config.path, relation, options, config.partition_by, select)
    return write_rows(ctx, config.path, relation, options, select)
