"""Which option of a union a node is meant for, and how the options are named in a message."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import inspect as kinds

from osiris.documents.leaves import match_choice
from osiris.documents.nodes import Node

_LISTS: tuple[type[kinds.Type], ...] = (
    kinds.ListType,
    kinds.VarTupleType,
    kinds.SetType,
    kinds.FrozenSetType,
    kinds.TupleType,
)
_MAPS: tuple[type[kinds.Type], ...] = (kinds.StructType, kinds.DictType)
_BY_VALUE: dict[type[object], tuple[type[kinds.Type], ...]] = {
    bool: (kinds.BoolType, kinds.StrType),
    int: (kinds.IntType, kinds.FloatType, kinds.StrType),
    float: (kinds.FloatType, kinds.StrType),
    str: (kinds.StrType,),
}
_WANTED: dict[type[kinds.Type], str] = {
    kinds.StrType: "text",
    kinds.IntType: "a whole number",
    kinds.FloatType: "a number",
    kinds.BoolType: "true or false",
    **dict.fromkeys(_LISTS, "a list"),
    **dict.fromkeys(_MAPS, "a map"),
}


def choose_option(node: Node, options: Sequence[kinds.Type]) -> kinds.Type | None:
    """The option that fits a node of this kind: the exact one before the wider one, or None."""
    if node.kind == "list":
        return _first(options, (*_LISTS, kinds.AnyType))
    if node.kind == "map" or node.is_empty:
        return _first(options, (*_MAPS, kinds.AnyType))
    for option in options:
        if isinstance(option, kinds.LiteralType) and match_choice(node, option.values)[0]:
            return option
    for wider in _BY_VALUE.get(type(node.value), ()):
        if (widened := _first(options, (wider,))) is not None:
            return widened
    return _first(options, (kinds.LiteralType, kinds.AnyType))


def wanted(option: kinds.Type) -> str:
    """What an option of a union asks for, in words."""
    if isinstance(option, kinds.LiteralType):
        return " or ".join(str(value) for value in option.values)
    return _WANTED.get(type(option), "another value")


def _first(options: Sequence[kinds.Type], wanted_kinds: tuple[type[kinds.Type], ...]) -> kinds.Type | None:
    return next((option for option in options if isinstance(option, wanted_kinds)), None)
