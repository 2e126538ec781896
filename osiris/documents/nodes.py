"""What a YAML document is made of: nodes that know their place in the file."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FREE_PREFIX = "x-"
"""Keys of a map that start so are the author's own: they are bound to nothing and never unknown."""

Scalar = str | int | float | bool | None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a document with its place; lines and columns count from 1.

    A scalar has ``raw`` (the text as written, without quotes), ``plain`` (it stands unquoted) and ``value`` (resolved
    by the YAML 1.2 core schema). A map has ``entries`` in the file's order, a list has ``items``.
    """

    kind: Literal["map", "list", "scalar"]
    line: int
    column: int
    raw: str = ""
    plain: bool = False
    value: Scalar = None
    entries: tuple[Entry, ...] = ()
    items: tuple[Node, ...] = ()

    @property
    def is_null(self) -> bool:
        """Whether this is a null scalar: ``null``, ``~`` or nothing at all."""
        return self.kind == "scalar" and self.value is None

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is written here, as after ``steps:`` at the end of a line."""
        return self.is_null and self.raw == ""

    def entry(self, key: str) -> Entry | None:
        """The entry of a map by its key's text, or None."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def child(self, *keys: str | int) -> Node:
        """The node that ``keys`` lead to from here, or the last one on that way that exists."""
        node = self
        for key in keys:
            if isinstance(key, int):
                below = node.items[key] if key < len(node.items) else None
            else:
                entry = node.entry(key)
                below = entry.value if entry else None
            if below is None:
                return node
            node = below
        return node


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a map, as written, with the key's place and its value."""

    key: str
    line: int
    column: int
    value: Node


def without_free(node: Node, key: str) -> Node:
    """The map ``node``, but for the free keys (``x-…``) in the map under its ``key``, which has no fixed keys."""
    entries = tuple(
        msgspec.structs.replace(entry, value=_without_free(entry.value)) if entry.key == key else entry
        for entry in node.entries
    )
    return msgspec.structs.replace(node, entries=entries)


def _without_free(node: Node) -> Node:
    kept = tuple(entry for entry in node.entries if not entry.key.startswith(FREE_PREFIX))
    return msgspec.structs.replace(node, entries=kept)


def to_builtins(node: Node) -> Any:
    """The node as plain dicts, lists and scalars, resolved by the YAML 1.2 core schema; keys are always text."""
    if node.kind == "map":
        return {entry.key: to_builtins(entry.value) for entry in node.entries}
    if node.kind == "list":
        return [to_builtins(item) for item in node.items]
    return node.value
