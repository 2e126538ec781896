"""Fingerprints of what a build was made from, besides the pipeline's own text."""

from __future__ import annotations

from typing import Any

import msgspec

from osiris.canonical import digest
from osiris.components.base import Component

COMPILER_VERSION = "1"
"""Raised when the same pipeline compiles to another manifest. The version of Osiris does not enter: an upgrade that
changes nothing in the compiler must leave every manifest hash, and so every build, as it is."""

_WORDING = frozenset({"description", "title"})
_NAMED_SCHEMAS = ("properties", "$defs")


def component_fingerprint(component: Component) -> str:
    """SHA-256 over a component's spec and the JSON Schema of its config.

    The wording for people (the summary, titles, descriptions) is left out: a better sentence changes no manifest.
    """
    spec: dict[str, Any] = msgspec.to_builtins(component.spec)
    del spec["summary"]
    if not component.spec.connection_family:
        del spec["connection_family"]  # so that a component without connections kept its fingerprint when they came
    schema = msgspec.json.schema(component.config_type)
    return digest({"spec": spec, "config": _without_wording(schema)})


def _without_wording(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_wording(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS:  # here the keys are names of fields, not words of the schema
            kept[key] = {name: _without_wording(below) for name, below in value.items()}
        elif key not in _WORDING:
            kept[key] = value if key == "default" else _without_wording(value)
    return kept
