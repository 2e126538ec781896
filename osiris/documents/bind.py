"""From nodes to typed values: every problem becomes a Finding with its place, and none stops the others.

Types are read through ``msgspec.inspect``; a message names the dotted path, what is allowed and the near miss, and
never repeats a value that may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, TypeVar, cast, overload

from msgspec import inspect as kinds

from osiris.documents.choice import choose_option, wanted
from osiris.documents.leaves import (
    Report,
    bind_bool,
    bind_choice,
    bind_float,
    bind_int,
    bind_null,
    bind_text,
    check_numbers,
)
from osiris.documents.nodes import FREE_PREFIX, Entry, Node, to_builtins
from osiris.documents.scalars import resolve_plain
from osiris.documents.wording import joined, listed, shown, suggest
from osiris.errors import Finding

T = TypeVar("T")

_CollectionKind = kinds.ListType | kinds.VarTupleType | kinds.SetType | kinds.FrozenSetType
_COLLECTIONS: dict[type[kinds.Type], Callable[[list[Any]], object]] = {
    kinds.ListType: list,
    kinds.VarTupleType: tuple,
    kinds.SetType: set,
    kinds.FrozenSetType: frozenset,
}


@overload
def bind(
    node: Node,
    type_: type[T],
    *,
    path: str,
    findings: list[Finding],
    at: str = "",
    unknown: list[Finding] | None = None,
) -> T | None:
    """For a class: a value of it, or None."""


@overload
def bind(
    node: Node,
    type_: object,
    *,
    path: str,
    findings: list[Finding],
    at: str = "",
    unknown: list[Finding] | None = None,
) -> Any:
    """For a union or another form that is no class."""


def bind(
    node: Node,
    type_: object,
    *,
    path: str,
    findings: list[Finding],
    at: str = "",
    unknown: list[Finding] | None = None,
) -> Any:
    """``node`` as a value of ``type_``, or None with everything that is wrong appended to ``findings``.

    ``type_`` may be made of Structs, ``str``, ``int``, ``float``, ``bool``, lists, tuples, sets, dicts, Literals,
    enums, unions, ``Annotated`` limits, ``Any`` and ``Node`` itself. ``path`` is the file's name, ``at`` the dotted
    path of ``node`` in it. A key that a Struct does not know is a finding where the Struct forbids unknown fields;
    elsewhere it goes to ``unknown``, or nowhere. Where None is a value of ``type_``, compare ``len(findings)`` before
    and after.
    """
    return _bind(node, _kind_of(type_), at, Report(path, findings, unknown))


def bind_fields(
    node: Node,
    struct: type[Any],
    *,
    path: str,
    findings: list[Finding],
    at: str = "",
    unknown: list[Finding] | None = None,
) -> dict[str, Any]:
    """Those fields of ``struct`` that could be bound, by name; for going on although others are wrong."""
    kind = _kind_of(cast(object, struct))
    assert isinstance(kind, kinds.StructType)
    return _bind_fields(node, kind, at, Report(path, findings, unknown))


@lru_cache(maxsize=256)
def _kind_of(type_: object) -> kinds.Type:
    return kinds.type_info(type_)


def _bind(node: Node, kind: kinds.Type, at: str, report: Report) -> Any:
    if isinstance(kind, kinds.Metadata):
        return _bind(node, kind.type, at, report)
    binder = _BINDERS.get(type(kind))
    if binder is None:
        raise TypeError(f"a document value cannot be bound to {kind!r}")
    return binder(node, kind, at, report)


def _bind_any(node: Node, _kind: kinds.AnyType, at: str, report: Report) -> Any:
    before = len(report.findings)
    check_numbers(node, at, report)
    return to_builtins(node) if len(report.findings) == before else None


def _bind_literal(node: Node, kind: kinds.LiteralType, at: str, report: Report) -> object:
    return bind_choice(node, kind.values, at, report)


def _bind_enum(node: Node, kind: kinds.EnumType, at: str, report: Report) -> object:
    value = bind_choice(node, [member.value for member in kind.cls], at, report)
    return None if value is None else kind.cls(value)


def _bind_collection(node: Node, kind: _CollectionKind, at: str, report: Report) -> object:
    if not _is_list(node, at, report):
        return None
    for limit, wrong, words in (
        (kind.min_length, len(node.items) < (kind.min_length or 0), "at least"),
        (kind.max_length, kind.max_length is not None and len(node.items) > kind.max_length, "at most"),
    ):
        if wrong:
            report.add(node, at, f"must have {words} {limit} item{'' if limit == 1 else 's'}")
            return None
    before = len(report.findings)
    values = [_bind(item, kind.item_type, f"{at}[{place}]", report) for place, item in enumerate(node.items)]
    return _COLLECTIONS[type(kind)](values) if len(report.findings) == before else None


def _bind_tuple(node: Node, kind: kinds.TupleType, at: str, report: Report) -> object:
    if not _is_list(node, at, report):
        return None
    if len(node.items) != len(kind.item_types):
        report.add(node, at, f"must have {len(kind.item_types)} items, has {len(node.items)}")
        return None
    before = len(report.findings)
    pairs = zip(node.items, kind.item_types, strict=True)
    values = [_bind(item, below, f"{at}[{place}]", report) for place, (item, below) in enumerate(pairs)]
    return tuple(values) if len(report.findings) == before else None


def _is_list(node: Node, at: str, report: Report) -> bool:
    if node.kind == "list" or node.is_empty:
        return True
    hint = "Write it as a list: [one, two]." if node.kind == "scalar" else "Begin each of its items with '- '."
    report.expected(node, at, "a list", hint)
    return False


def _is_map(node: Node, at: str, report: Report, keys: Collection[str] = ()) -> bool:
    if node.kind == "map" or node.is_empty:
        return True
    hint = f"Write it as a map with keys from these: {listed(keys)}." if keys else "Write it as key: value."
    report.expected(node, at, "a map", hint)
    return False


def _bind_dict(node: Node, kind: kinds.DictType, at: str, report: Report) -> object:
    if not _is_map(node, at, report):
        return None
    before = len(report.findings)
    values = {
        _bind_key(entry, kind.key_type, joined(at, entry.key), report): _bind(
            entry.value, kind.value_type, joined(at, entry.key), report
        )
        for entry in node.entries
    }
    return values if len(report.findings) == before else None


def _bind_key(entry: Entry, kind: kinds.Type, at: str, report: Report) -> Any:
    value = entry.key if isinstance(kind, kinds.AnyType | kinds.StrType) else resolve_plain(entry.key)
    key = Node(kind="scalar", line=entry.line, column=entry.column, raw=entry.key, value=value)
    return _bind(key, kind, at, report)


def _bind_struct(node: Node, kind: kinds.StructType, at: str, report: Report) -> Any:
    if kind.cls is Node:
        return node
    before = len(report.findings)
    values = _bind_fields(node, kind, at, report)
    if len(report.findings) > before:
        return None
    try:
        return kind.cls(**values)
    except (TypeError, ValueError) as error:  # what a Struct's __post_init__ refuses
        report.add(node, at, str(error))
        return None


def _bind_fields(node: Node, kind: kinds.StructType, at: str, report: Report) -> dict[str, Any]:
    fields = {field.encode_name: field for field in kind.fields}
    if not _is_map(node, at, report, fields):
        return {}
    values: dict[str, Any] = {}
    for entry in node.entries:
        field = fields.get(entry.key)
        if field is None:
            _unknown_key(entry, kind, at, report)
            continue
        before = len(report.findings)
        value = _bind(entry.value, field.type, joined(at, entry.key), report)
        if len(report.findings) == before:
            values[field.name] = value
    # A misspelt key has been named with its right form; that it is missing as well would be the same news twice.
    strangers = [entry.key for entry in node.entries if entry.key not in fields] if kind.forbid_unknown_fields else []
    misspelt = " ".join(suggest(stranger, fields) for stranger in strangers)
    for name, field in fields.items():
        if field.required and node.entry(name) is None and f"'{name}'" not in misspelt:
            report.add(node, at, f"'{name}' is missing", f"Add {name}: …")
    return values


def _unknown_key(entry: Entry, kind: kinds.StructType, at: str, report: Report) -> None:
    if entry.key.startswith(FREE_PREFIX) or entry.key == kind.tag_field:
        return
    allowed = [field.encode_name for field in kind.fields]
    hint = suggest(entry.key, allowed) or f"Known here: {', '.join(allowed)}."
    problem = f"unknown key {shown(entry.key)}"
    if kind.forbid_unknown_fields:
        report.add(entry, at, problem, hint)
    elif report.unknown is not None:
        Report(report.path, report.unknown).add(entry, at, problem, hint)


def _bind_union(node: Node, kind: kinds.UnionType, at: str, report: Report) -> Any:
    options = [option.type if isinstance(option, kinds.Metadata) else option for option in kind.types]
    if node.is_null and any(isinstance(option, kinds.NoneType) for option in options):
        return None
    options = [option for option in options if not isinstance(option, kinds.NoneType)]
    chosen = options[0] if len(options) == 1 else choose_option(node, options)
    if chosen is not None:
        return _bind(node, chosen, at, report)
    report.expected(node, at, " or ".join(wanted(option) for option in options))
    return None


_BINDERS = cast(
    dict[type[kinds.Type], Callable[[Node, kinds.Type, str, Report], Any]],
    {
        kinds.AnyType: _bind_any,
        kinds.NoneType: bind_null,
        kinds.StrType: bind_text,
        kinds.BoolType: bind_bool,
        kinds.IntType: bind_int,
        kinds.FloatType: bind_float,
        kinds.LiteralType: _bind_literal,
        kinds.EnumType: _bind_enum,
        kinds.UnionType: _bind_union,
        kinds.StructType: _bind_struct,
        kinds.DictType: _bind_dict,
        kinds.TupleType: _bind_tuple,
        **dict.fromkeys(_COLLECTIONS, _bind_collection),
    },
)
