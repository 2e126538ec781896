"""``filesystem.json_writer``: rows into one JSON file, one object each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from osiris.components.base import ADDED_LATER, ComponentSpec, StepContext, Written
from osiris.components.file_output import TextCompression, sole_input, text_compression, write_rows
from osiris.components.object_stores import SCHEMES, StoreConnection

if TYPE_CHECKING:
    import duckdb

_LINE_ENDINGS = frozenset({".jsonl", ".ndjson"})


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the file goes and how it is written."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="The file, also s3://, gs:// or az://; .gz and .zst are packed",
            examples=["out/orders.jsonl"],
        ),
    ]
    format: Annotated[
        Literal["newline_delimited", "array"] | None,
        Meta(description="Left out: an object a line for .jsonl and .ndjson, else one array"),
    ] = None
    compression: Annotated[
        TextCompression | None, Meta(description="Left out: by the path's ending", extra_json_schema=ADDED_LATER)
    ] = None
    connection: StoreConnection = ""


SPEC = ComponentSpec(
    name="filesystem.json_writer",
    version="1.0.0",
    summary="Writes rows to one JSON file, which is replaced as a whole.",
    modes=("write",),
    path_schemes=SCHEMES,
    rows="none",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows; NULL is ``null``, and a decimal keeps all its digits."""
    by_ending = "newline_delimited" if _LINE_ENDINGS & set(Path(config.path.lower()).suffixes) else "array"
    array = str((config.format or by_ending) == "array").lower()
    options = {"FORMAT": "json", "ARRAY": array, **text_compression(config.path, config.compression)}
    return write_rows(ctx, config.path, sole_input(inputs), options)
