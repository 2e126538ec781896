"""``supabase.writer``: ``postgres.writer`` with connections in Supabase's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from osiris.components import postgres_writer
from osiris.components.base import StepContext, Written
from osiris.components.postgres_writer import Config
from osiris.families import supabase

if TYPE_CHECKING:
    import duckdb

__all__ = ["SPEC", "Config", "run"]

SPEC = msgspec.structs.replace(
    postgres_writer.SPEC,
    name="supabase.writer",
    summary="Writes rows to a table of Supabase in one transaction.",
    connection_family="supabase",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows."""
    conninfo = supabase.conninfo(ctx.connection or {}, ctx.project_root)
    return postgres_writer.write(ctx, config, inputs, supabase.SPEC, conninfo)
