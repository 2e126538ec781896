"""Fingerprints of what a build was made from, besides the pipeline's own text."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from osiris.canonical import digest
from osiris.components.base import ADDED_LATER, Component

COMPILER_VERSION = "1"
"""Raised when the same pipeline compiles to another manifest. The version of Osiris does not enter: an upgrade that
changes nothing in the compiler must leave every manifest hash, and so every build, as it is."""

_WORDING = frozenset({"description", "title", "examples"})
_NAMED_SCHEMAS = ("properties", "$defs")


def component_fingerprint(component: Component) -> str:
    """SHA-256 over a component's spec and the JSON Schema of its config.

    What is for people (the summary, titles, descriptions, examples) is left out: a better sentence changes no manifest.
    So are fields of the config that were added later: see ``ADDED_LATER``.
    """
    spec: dict[str, Any] = msgspec.to_builtins(component.spec)
    del spec["summary"]
    if not component.spec.connection_family:
        del spec["connection_family"]  # so that a component without connections kept its fingerprint when they came
    if not component.spec.connection_unless:
        del spec["connection_unless"]
    del spec["path_schemes"]  # so did those that came to read and write object stores
    schema = msgspec.json.schema(component.config_type)
    return digest({"spec": spec, "config": _without_wording(schema)})


def rendered_config(config: msgspec.Struct) -> dict[str, Any]:
    """What stands in a build of a step's config: all fields but those added later that have their default."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    defaults = _later_defaults(type(config))
    return {name: value for name, value in fields.items() if name not in defaults or value != defaults[name]}


@cache
def _later_defaults(config_type: type[msgspec.Struct]) -> dict[str, Any]:
    schema = msgspec.json.schema(config_type)
    properties = schema["$defs"][schema["$ref"].rpartition("/")[2]]["properties"]
    return {name: field["default"] for name, field in properties.items() if _is_added_later(field)}


def _is_added_later(field: dict[str, Any]) -> bool:
    return ADDED_LATER.items() <= field.items()


def _without_wording(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_wording(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS:  # here the keys are names of fields, not words of the schema
            kept[key] = {name: _without_wording(below) for name, below in value.items() if not _is_added_later(below)}
        elif key not in _WORDING:
            kept[key] = value if key == "default" else _without_wording(value)
    return kept
