"""``filesystem.json_extractor``: rows of JSON files, one object each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext
from osiris.components.hive_partitions import ReadsPartitions
from osiris.components.json_rows import json_rows
from osiris.components.object_stores import SCHEMES, StoreConnection
from osiris.components.source_files import find_source_files

if TYPE_CHECKING:
    import duckdb


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
    found = json_rows(ctx, files, config.format, config.types, hive=config.hive)
    return Produced(rows=found.rows, files=found.files)
