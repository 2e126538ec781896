"""All that a person needs to write a step with a component, made from its spec and its schemas."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from osiris.components.base import Component
from osiris.families import find_family
from osiris.families.base import ConnectionField

_TYPES = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "null": "null"}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "pattern": "matching {}",
}
_SHORT_LENGTHS = {(1, 1): "one character", (1, None): "not empty", (None, 1): "at most one character"}
_PLAIN_VALUES = {"string": "text", "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
_WHOLE = 10_000

Schema = Mapping[str, Any]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a config or of a connection, as its schema describes it."""

    name: str
    schema: Schema
    required: bool
    secret: bool


def component_lines(component: Component, *, columns: int | None) -> Iterator[str]:
    """The page of a component; ``columns`` is how wide the terminal is, None where lines stay whole."""
    spec = component.spec
    width = columns or _WHOLE
    yield f"{spec.name}  {spec.version}  ({', '.join(spec.modes)})"
    yield from textwrap.wrap(spec.summary, width)
    if spec.requires:
        yield f"Needs {', '.join(spec.requires)}."
    yield from ["", "config"]
    yield from _field_lines(config_fields(component), width)
    if spec.connection_family:
        yield from ["", f"connection, of the family {spec.connection_family} in osiris_connections.yaml"]
        yield from _field_lines(connection_fields(component), width)
    yield from ["", "example step"]
    yield from textwrap.indent(example_step(component), "  ").splitlines()
    if spec.connection_family:
        yield from ["", "example osiris_connections.yaml"]
        yield from textwrap.indent(example_connection(component), "  ").splitlines()


def config_fields(component: Component) -> list[Field]:
    """The keys of the component's config."""
    return _fields(component.config_type, component.spec.secret_fields)


def connection_fields(component: Component) -> list[Field]:
    """The keys of its connection: a family's of Osiris, or what its module says; none where that says nothing."""
    family = find_family(component.spec.connection_family)
    if family is None:
        return _fields(component.connection_type, component.spec.secret_fields)
    return [
        Field(name=field.name, schema=_text_schema(field), required=field.required, secret=field.secret)
        for field in family.spec.fields
    ]


def connection_schema(component: Component) -> Schema | None:
    """The JSON Schema of its connection; None where it uses none."""
    family = component.spec.connection_family
    if not family:
        return None
    if find_family(family) is None:
        return msgspec.json.schema(component.connection_type)
    fields = connection_fields(component)
    properties = {field.name: field.schema for field in fields}
    return {"type": "object", "properties": properties, "required": [each.name for each in fields if each.required]}


def example_step(component: Component) -> str:
    """A step that validates behind one that gives rows: what is required or has an example in the schema."""
    spec, mode = component.spec, component.spec.modes[0]
    config = [field for field in config_fields(component) if field.required or field.schema.get("examples")]
    lines = [f"- id: {mode}", f"  component: {spec.name}", f"  mode: {mode}", *(["  config:"] if config else [])]
    lines += [f"    {field.name}: {_yaml(_example(field.schema))}" for field in config]
    return "\n".join(lines) + "\n"


def example_connection(component: Component) -> str:
    """A file with one connection of the family, whose secrets are variables; empty where it uses none."""
    family = component.spec.connection_family
    if not family:
        return ""
    lines = ["connections:", f"  {family}:", "    main:", "      default: true"]
    for field in connection_fields(component):
        if field.required or field.secret:
            variable = f"${{{family}_{field.name}}}".replace("-", "_").upper()
            lines.append(f"      {field.name}: {variable if field.secret else _yaml(_example(field.schema))}")
    return "\n".join(lines) + "\n"


def _fields(struct: type[msgspec.Struct], secret: tuple[str, ...]) -> list[Field]:
    schema = msgspec.json.schema(struct)
    definition = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    required = definition.get("required", [])
    return [
        Field(name=name, schema=_resolved(below, schema["$defs"]), required=name in required, secret=name in secret)
        for name, below in definition["properties"].items()
    ]


def _text_schema(field: ConnectionField) -> Schema:
    default = {"default": field.default} if field.default else {}
    return {"type": "string", "description": field.description, **default}


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """A named schema, such as an enum's, in the place of a reference to it."""
    for option in schema.get("anyOf", ()):
        if "$ref" in option:
            schema = {**schema, **option}
    return {**definitions[schema["$ref"].rsplit("/", 1)[1]], **schema} if "$ref" in schema else schema


def _field_lines(fields: list[Field], width: int) -> Iterator[str]:
    margin = 4 + max((len(field.name) for field in fields), default=0)
    for field in fields:
        facts = [_type(field.schema), *_bounds(field.schema), _presence(field), *(["secret"] if field.secret else [])]
        texts = [", ".join(facts), field.schema.get("description", "")]
        wrapped = [line for text in texts for line in textwrap.wrap(text, max(width - margin, 20))]
        yield f"  {field.name:{margin - 4}}  {wrapped[0]}"
        yield from (" " * margin + line for line in wrapped[1:])
        yield from (f"    {line}" for line in _field_lines(_fields_below(field.schema), width - 4))


def _fields_below(schema: Schema) -> list[Field]:
    """The keys of a map that has keys of its own."""
    required = schema.get("required", [])
    return [
        Field(name=name, schema=below, required=name in required, secret=False)
        for name, below in schema.get("properties", {}).items()
    ]


def _presence(field: Field) -> str:
    if field.required:
        return "required"
    default = field.schema.get("default")
    return "optional" if default is None else f"default {_yaml(default)}"


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object":
        below = schema.get("additionalProperties", {})
        return f"map of text to {_type(below)}" if isinstance(below, dict) else "map"
    return _TYPES.get(kind, "any value")


def _bounds(schema: Schema) -> list[str]:
    """The limits in words, those of an optional value's alternatives as well."""
    lengths = schema.get("minLength"), schema.get("maxLength")
    if lengths in _SHORT_LENGTHS:
        own = [_SHORT_LENGTHS[lengths]]
    else:
        own = [words.format(schema[name]) for name, words in _BOUNDS.items() if name in schema]
    return own + [bound for option in schema.get("anyOf", ()) for bound in _bounds(option)]


def _example(schema: Schema) -> object:
    """The first example, else a value that fits most schemas of its kind."""
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("enum"):
        return schema["enum"][0]
    return _PLAIN_VALUES.get(schema.get("type", ""), "text")


def _yaml(value: object) -> str:
    """``value`` in one line; JSON is YAML, and a word needs no quotes around it."""
    return json.dumps(value, ensure_ascii=False)
