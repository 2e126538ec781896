"""Putting the bound parameters into the document's nodes, so that every value keeps its place in the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import msgspec

from osiris.compiler.notations import parse_rows_reference
from osiris.compiler.oml import ParamValue
from osiris.compiler.params import text_of
from osiris.documents import FREE_PREFIX, Node, Report, joined, shown

MAX_PUT_IN = 4 << 20
"""So many characters of parameters' values may be put into one document: ten lines could ask for gigabytes."""

_REFERENCE = re.compile(r"\$\{\s*params\.([^{}]*)\}")
# What people write who mean a parameter: ${param.x}, ${x}, $params.x, {{ params.x }}.
_SLIP = re.compile(
    r"\$\{\s*(?:(?:params?|parms|parameters?|vars?)\.)?([A-Za-z_][A-Za-z0-9_-]*)\s*\}|\$params\.([A-Za-z_][A-Za-z0-9_]*)|"
    r"\{\{\s*(?:params?\.)?([A-Za-z_][A-Za-z0-9_-]*)\s*\}\}",
    re.IGNORECASE,
)
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
    in once: a reference inside a parameter's value stays text. What is nearly a reference to a parameter is an error.
    """
    if sum(_put_in(root, interpolation.values)) > MAX_PUT_IN:
        problem = f"the parameters would put more than {MAX_PUT_IN} characters into the document"
        interpolation.report.add(root, "", problem, "Use shorter values, or refer to them less often.")
        return root
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


def _put_in(node: Node, values: Mapping[str, ParamValue]) -> Iterator[int]:
    """The lengths of the values that the references below ``node`` stand for."""
    for name in _names(node.raw):
        yield len(text_of(values.get(name, "")))
    for below in (*node.items, *(entry.value for entry in node.entries)):
        yield from _put_in(below, values)


def _names(raw: str) -> list[str]:
    return [name.strip() for name in _REFERENCE.findall(raw)] if "${" in raw else []


def _is_free(key: str, at: str) -> bool:
    # Inside a config an x- key may be an HTTP header's name, and stands for something.
    return key.startswith(FREE_PREFIX) and ".config" not in at


def _interpolate_scalar(node: Node, at: str, interpolation: Interpolation) -> Node:
    names = _names(node.raw)
    _check_slips(node, at, interpolation)
    if not names:
        return node
    for name in names:
        if name not in interpolation.declared:
            problem = f"${{params.{shown(name)[1:-1]}}} names no parameter"
            hint = interpolation.report.near(name, interpolation.declared, "Declared")
            interpolation.report.add(node, at, problem, hint)
    if any(name not in interpolation.values for name in names):
        interpolation.unresolved.add((node.line, node.column))
        return node
    whole = _REFERENCE.fullmatch(node.raw)
    if whole and not isinstance(value := interpolation.values[names[0]], str):
        return msgspec.structs.replace(node, raw=text_of(value), plain=True, value=value)
    text = _REFERENCE.sub(lambda match: text_of(interpolation.values[match[1].strip()]), node.raw)
    return msgspec.structs.replace(node, raw=text, plain=False, value=text)


def _check_slips(node: Node, at: str, interpolation: Interpolation) -> None:
    for match in _SLIP.finditer(node.raw) if "$" in node.raw or "{{" in node.raw else ():
        name = match[1] or match[2] or match[3]
        meant = _REFERENCE.fullmatch(match[0]) or parse_rows_reference(match[0])
        if name in interpolation.declared and not meant:
            problem = f"{shown(match[0])} is no reference to the parameter {shown(name)}"
            interpolation.report.add(node, at, problem, f"Write ${{params.{name}}}.")
