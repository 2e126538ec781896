"""``osiris discover``: the tables that a connection leads to, and a step that reads one."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta

import click
import msgspec

from osiris.cli.complete import complete_connections
from osiris.cli.connections import read_connections
from osiris.cli.output import Output, count, one_line
from osiris.cli.screen import Column, fitted_table
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.components import find_component
from osiris.connections.discovery import discover, find_table, full_name
from osiris.connections.variables import Variables
from osiris.errors import ExitCode, OsirisError
from osiris.families.base import Table

_NO_STEP_ID = re.compile(r"[^A-Za-z0-9_-]+")


class DiscoverDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris discover --json`` prints: all tables, or the one that was named; ``oml`` is empty without --oml."""

    connection: str
    asked_at: str
    from_cache: bool
    tables: tuple[Table, ...]
    oml: str


@click.command(
    cls=Verb,
    document=DiscoverDocument,
    exits=[ExitCode.DISK],
    examples=[
        "osiris discover @duckdb.shop",
        "osiris discover @duckdb.shop orders",
        "osiris discover @postgres.warehouse sales.orders --oml >> pipelines/orders.yaml",
    ],
)
@click.argument("connection", shell_complete=complete_connections)
@click.argument("table", metavar="[TABLE]", default="")
@click.option("--refresh", is_flag=True, help="Ask again, and do not take what was found within the last hour.")
@click.option("--oml", "as_oml", is_flag=True, help="A step that reads TABLE, to be put below `steps:`.")
@shared_options
@click.pass_obj
def command(settings: Settings, connection: str, table: str, refresh: bool, as_oml: bool) -> None:
    """List the tables and views that CONNECTION leads to, or the columns of TABLE (NAME, or SCHEMA.NAME)."""
    if as_oml and not table:
        raise OsirisError("--oml needs a table", "Name it behind the connection.", code="cli.usage")
    project = settings.open_project()
    output = Output(settings)
    wanted = read_connections(project, output).named(connection)
    cache_dir = project.path(project.config.filesystem.cache_dir)
    variables = Variables(project.root, os.environ)
    found, from_cache = discover(wanted, variables, project.root, cache_dir, project.clock, refresh=refresh)
    tables = (find_table(found.tables, table),) if table else found.tables
    oml = _step(wanted.family, wanted.name, tables[0]) if as_oml else ""
    document = DiscoverDocument(
        connection=found.connection, asked_at=found.asked_at, from_cache=from_cache, tables=tables, oml=oml
    )
    if from_cache:
        output.note(f"{_asked(found.age(project.clock.now()))}; --refresh asks again")
    lines = oml.splitlines() if as_oml else _columns(tables[0], output) if table else _tables(tables, output)
    output.emit(document, lines)


def _asked(age: timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    return f"asked {minutes} minute{'' if minutes == 1 else 's'} ago" if minutes else "asked less than a minute ago"


def _tables(tables: tuple[Table, ...], output: Output) -> list[str]:
    if not tables and output.on_terminal:
        return ["There are no tables."]
    columns = [
        Column("table", [one_line(full_name(table)) for table in tables]),
        Column("kind", [table.kind for table in tables], 2),
        Column("rows (estimate)", [count(table.rows) for table in tables], 1),
        Column("key", [one_line(",".join(table.primary_key)) or "-" for table in tables], 3, least=12),
        Column(
            "columns", [one_line(",".join(column.name for column in table.columns)) for table in tables], 4, least=16
        ),
    ]
    return fitted_table(columns, output)


def _columns(table: Table, output: Output) -> list[str]:
    columns = [
        Column("column", [one_line(column.name) for column in table.columns]),
        Column("type", [one_line(column.type) for column in table.columns]),
        Column("null", ["yes" if column.nullable else "no" for column in table.columns], 1),
        Column("key", ["key" if column.name in table.primary_key else "-" for column in table.columns], 2),
    ]
    return fitted_table(columns, output)


def _step(family: str, connection: str, table: Table) -> str:
    """A step that reads ``table`` and validates as it stands. JSON is what quotes a name in YAML, whatever it is."""
    name = f"{family}.extractor"
    component = find_component(name)
    if component is None:
        hint = "See `osiris components list`."
        raise OsirisError(f"there is no component {name} that could read it", hint, code="discover.no_extractor")
    config = {"connection": connection, "table": table.name}
    if table.schema and "schema" in component.config_type.__struct_fields__:
        config["schema"] = table.schema
    step_id = _NO_STEP_ID.sub("-", f"extract-{table.name}").strip("-_")[:64]
    values = [f"      {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in config.items()]
    return "\n".join([f"  - id: {step_id}", f"    component: {name}", "    mode: read", "    config:", *values])
