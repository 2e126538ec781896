"""``supabase.extractor``: ``postgres.extractor`` with connections in Supabase's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from osiris.components import postgres_extractor
from osiris.components.base import Produced, StepContext
from osiris.components.postgres_extractor import Config
from osiris.families import supabase

if TYPE_CHECKING:
    import duckdb

__all__ = ["SPEC", "Config", "run"]

SPEC = msgspec.structs.replace(
    postgres_extractor.SPEC,
    name="supabase.extractor",
    summary="Reads a query or table of Supabase.",
    connection_family="supabase",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """The rows, not read yet."""
    conninfo = supabase.conninfo(ctx.connection or {}, ctx.project_root)
    return postgres_extractor.extract(ctx, config, supabase.SPEC, conninfo)
