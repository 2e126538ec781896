"""``osiris components``: what a step can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from osiris.cli.complete import complete_components
from osiris.cli.component_page import component_lines, connection_schema, example_connection, example_step
from osiris.cli.output import Output
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.components import component_names, find_component
from osiris.components.base import Component, ComponentSpec
from osiris.documents import suggest
from osiris.errors import OsirisError


class ComponentsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris components list --json`` prints."""

    components: tuple[ComponentSpec, ...]


class ComponentDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris components show --json`` prints: the spec, the JSON Schemas of a step's config and of a connection.

    ``example`` is a step in OML; ``connection_example`` a file with a connection, empty where none is used.
    """

    spec: ComponentSpec
    config_schema: dict[str, Any]
    connection_schema: Mapping[str, Any] | None
    example: str
    connection_example: str


@click.group()
def command() -> None:
    """What a step can do."""


@command.command("list", cls=Verb, document=ComponentsDocument, examples=["osiris components list"])
@shared_options
@click.pass_obj
def list_command(settings: Settings) -> None:
    """List all components."""
    specs = tuple(_component(name).spec for name in component_names())
    output = Output(settings)
    rows = [(spec.name, spec.version, ",".join(spec.modes), spec.summary) for spec in specs]
    output.emit(ComponentsDocument(components=specs), output.table(("component", "version", "modes", "does"), rows))


@command.command(
    "show", cls=Verb, document=ComponentDocument, examples=["osiris components show filesystem.csv_extractor"]
)
@click.argument("name", shell_complete=complete_components)
@shared_options
@click.pass_obj
def show(settings: Settings, name: str) -> None:
    """Show all that is needed to write a step: keys, connection, an example."""
    component = _component(name)
    output = Output(settings)
    document = ComponentDocument(
        spec=component.spec,
        config_schema=msgspec.json.schema(component.config_type),
        connection_schema=connection_schema(component),
        example=example_step(component),
        connection_example=example_connection(component),
    )
    output.emit(document, component_lines(component, columns=output.columns if output.on_terminal else None))


def _component(name: str) -> Component:
    component = find_component(name)
    if component is None:
        hint = suggest(name, component_names()) or "See `osiris components list`."
        raise OsirisError(f"unknown component {name!r}", hint, code="component.unknown")
    return component
