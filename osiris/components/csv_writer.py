"""``filesystem.csv_writer``: rows into one CSV file. NULL is nothing, an empty text is ``""``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ADDED_LATER, ComponentSpec, StepContext, Written, quote_literal
from osiris.components.file_output import TextCompression, sole_input, text_compression, write_rows
from osiris.components.folder_output import PartitionColumns, write_partitions
from osiris.components.object_stores import SCHEMES, StoreConnection

if TYPE_CHECKING:
    import duckdb

_ENDINGS = {"none": "", "gzip": ".gz", "zstd": ".zst"}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the file goes and how it is written."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="The file, also s3://, gs:// or az://; .gz and .zst are packed",
            examples=["out/orders.csv"],
        ),
    ]
    delimiter: Annotated[str, Meta(min_length=1, max_length=1, description="What stands between two values")] = ","
    header: Annotated[bool, Meta(description="Whether the first line holds the names of the columns")] = True
    null_value: Annotated[str, Meta(description="How NULL is written; a text that looks the same is quoted")] = ""
    compression: Annotated[
        TextCompression | None, Meta(description="Left out: by the path's ending", extra_json_schema=ADDED_LATER)
    ] = None
    partition_by: PartitionColumns = ()
    connection: StoreConnection = ""


SPEC = ComponentSpec(
    name="filesystem.csv_writer",
    version="1.0.0",
    summary="Writes rows to one CSV file (RFC 4180, UTF-8), or to a folder of them, replaced as a whole.",
    modes=("write",),
    path_schemes=SCHEMES,
    rows="none",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows; columns stand in the query's order."""
    options = {
        "FORMAT": "csv",
        "HEADER": str(config.header).lower(),
        "DELIMITER": quote_literal(config.delimiter),
        "NULLSTR": quote_literal(config.null_value),
        **text_compression(config.path, config.compression),
    }
    if config.partition_by:
        ending = _ENDINGS[config.compression or "none"]
        options |= {"FILE_EXTENSION": quote_literal(f"csv{ending}")}
        return write_partitions(ctx, config.path, sole_input(inputs), options, config.partition_by)
    return write_rows(ctx, config.path, sole_input(inputs), options)
