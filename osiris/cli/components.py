"""``osiris components``: what a step can do."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from osiris.cli.complete import complete_components
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
    """What ``osiris components show --json`` prints: the spec, and the JSON Schema of the step's config."""

    spec: ComponentSpec
    config_schema: dict[str, Any]


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
    """Show one component with the keys of its config."""
    component = _component(name)
    schema = msgspec.json.schema(component.config_type)
    output = Output(settings)
    output.emit(ComponentDocument(spec=component.spec, config_schema=schema), _lines(component, schema, output))


def _component(name: str) -> Component:
    component = find_component(name)
    if component is None:
        hint = suggest(name, component_names()) or "See `osiris components list`."
        raise OsirisError(f"unknown component {name!r}", hint, code="component.unknown")
    return component


def _lines(component: Component, schema: dict[str, Any], output: Output) -> list[str]:
    spec = component.spec
    definition = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    required = definition.get("required", [])
    rows = [
        (
            name,
            _type(field),
            "required" if name in required else json.dumps(field.get("default")),
            field.get("description", ""),
        )
        for name, field in definition["properties"].items()
    ]
    head = [f"{spec.name}  {spec.version}  ({', '.join(spec.modes)})", spec.summary, ""]
    return [*head, *output.table(("key", "type", "default", "meaning"), rows)]


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return "|".join(map(str, field["enum"]))
    if "anyOf" in field:
        return "|".join(_type(option) for option in field["anyOf"])
    return str(field.get("type", "any"))
