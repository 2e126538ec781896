"""Every key of ``osiris.yaml`` by its dotted path, and where in the file the value of each stands.

Two pairs of blocks share their keys. ``filesystem.retention`` and ``filesystem.naming`` win over the older
``retention`` and ``determinism``; a key of either block of a pair counts in the other one as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from osiris.config.schema import CONFIG_NAME, OsirisConfig
from osiris.documents import Entry, Node, bind
from osiris.errors import Finding

ConfigValue = bool | int | float | str | tuple[str, ...]

SHARED_BLOCKS = (("filesystem.retention", "retention"), ("filesystem.naming", "determinism"))
"""Pairs of blocks, the winning one first."""


class Place(NamedTuple):
    """Where a value stands: the dotted path that is written there, and the entry in the file."""

    key: str
    entry: Entry

    @property
    def where(self) -> str:
        """``osiris.yaml:3``."""
        return f"{CONFIG_NAME}:{self.entry.line}"


def config_keys(block: msgspec.Struct | None = None, above: str = "") -> Iterator[str]:
    """The dotted path of every single value, in the order of the schema."""
    block = OsirisConfig() if block is None else block
    for name in block.__struct_fields__:
        value = getattr(block, name)
        if isinstance(value, msgspec.Struct):
            yield from config_keys(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def config_value(config: OsirisConfig, key: str) -> ConfigValue:
    """The value at a dotted path."""
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    found: ConfigValue = value
    return found


def with_value(config: OsirisConfig, key: str, value: object) -> OsirisConfig:
    """``config`` with another value at a dotted path."""
    changed: OsirisConfig = _replaced(config, key.split("."), value)
    return changed


def _replaced(block: Any, names: Sequence[str], value: object) -> Any:
    first, *rest = names
    below = _replaced(getattr(block, first), rest, value) if rest else value
    return msgspec.structs.replace(block, **{first: below})


def find_places(node: Node) -> dict[str, Place]:
    """Where the effective value of each key stands; a key that the file does not have is not in it."""
    places: dict[str, Place] = {}
    for key in config_keys():
        for written in _spellings(key):
            if entry := _entry(node, written):
                places[key] = Place(written, entry)
                break
    return places


def bind_shared(
    config: OsirisConfig, node: Node, places: dict[str, Place], findings: list[Finding]
) -> tuple[OsirisConfig, set[tuple[int, int]]]:
    """``config`` with the values that stand in the other block of a pair; line and column of all keys that do."""
    bound, guests = config, set()
    keys = tuple(config_keys())
    for key in keys:
        for written in _spellings(key):
            entry = _entry(node, written) if written != key else None
            if entry is None:
                continue
            guests.add((entry.line, entry.column))
            before = len(findings)
            if written in keys:  # both blocks have it, and it was bound with the one that it stands in
                value = config_value(config, written)
            else:
                value = bind(entry.value, _type_of(key), path=CONFIG_NAME, findings=findings, at=written)
            if len(findings) == before and places[key].key == written:
                bound = with_value(bound, key, value)
    return bound, guests


def _spellings(key: str) -> list[str]:
    """The dotted paths at which the value of ``key`` may stand, the winning one first."""
    block, _, name = key.rpartition(".")
    for pair in SHARED_BLOCKS:
        if block in pair:
            return [f"{one}.{name}" for one in pair]
    return [key]


def _entry(node: Node, key: str) -> Entry | None:
    entry: Entry | None = None
    for name in key.split("."):
        entry = node.entry(name)
        if entry is None:
            return None
        node = entry.value
    return entry


def _type_of(key: str) -> object:
    kind: Any = OsirisConfig
    for name in key.split("."):
        kind = next(field.type for field in msgspec.structs.fields(kind) if field.name == name)
    return kind
