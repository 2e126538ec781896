"""Putting the bound parameters into the document's nodes, so that every value keeps its place in the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

from osiris.compiler.oml import ParamValue
from osiris.compiler.params import text_of
from osiris.documents import FREE_PREFIX, Node, Report, joined, shown, suggest

_REFERENCE = re.compile(r"\$\{\s*params\.([^{}]*?)\s*\}")
_LITERAL_SECTIONS = frozenset({"oml_version", "params", "profiles"})


class Interpolation(msgspec.Struct, frozen=True):
    """The values to put in, the names that are declared, and where findings go.

    ``unresolved`` collects the line and column of each value left as it was because its parameter has no good value.
    """

    values: Mapping[str, ParamValue]
    declared: Collection[str]
    report: Report
    unresolved: set[tuple[int, int]]


def interpolate_pipeline(root: Node, interpolation: Interpolation) -> Node:
    """The document with every ``${params.x}`` outside ``params`` and ``profiles`` resolved.

    A reference that is the whole value keeps the parameter's type; inside a longer text it becomes text. Values are put
    in once: a reference inside a parameter's value stays text.
    """
    entries = tuple(
        entry
        if entry.key in _LITERAL_SECTIONS or entry.key.startswith(FREE_PREFIX)
        else msgspec.structs.replace(entry, value=_interpolate(entry.value, entry.key, interpolation))
        for entry in root.entries
    )
    return msgspec.structs.replace(root, entries=entries)


def _interpolate(node: Node, at: str, interpolation: Interpolation) -> Node:
    if node.kind == "scalar":
        return _interpolate_scalar(node, at, interpolation)
    entries = tuple(
        entry
        if _is_free(entry.key, at)
        else msgspec.structs.replace(entry, value=_interpolate(entry.value, joined(at, entry.key), interpolation))
        for entry in node.entries
    )
    items = tuple(_interpolate(item, f"{at}[{place}]", interpolation) for place, item in enumerate(node.items))
    return msgspec.structs.replace(node, entries=entries, items=items)


def _is_free(key: str, at: str) -> bool:
    # Inside a config an x- key may be an HTTP header's name, and stands for something.
    return key.startswith(FREE_PREFIX) and ".config" not in at


def _interpolate_scalar(node: Node, at: str, interpolation: Interpolation) -> Node:
    names = _REFERENCE.findall(node.raw)
    if not names:
        return node
    for name in names:
        if name not in interpolation.declared:
            problem = f"${{params.{shown(name)[1:-1]}}} names no parameter"
            hint = suggest(name, interpolation.declared) or f"Declare {shown(name)} under params."
            interpolation.report.add(node, at, problem, hint)
    if any(name not in interpolation.values for name in names):
        interpolation.unresolved.add((node.line, node.column))
        return node
    whole = _REFERENCE.fullmatch(node.raw)
    if whole and not isinstance(value := interpolation.values[whole[1]], str):
        return msgspec.structs.replace(node, raw=text_of(value), plain=True, value=value)
    text = _REFERENCE.sub(lambda match: text_of(interpolation.values[match[1]]), node.raw)
    return msgspec.structs.replace(node, raw=text, plain=False, value=text)
