"""Fields that the page has no words for, under their own names: so a pack may grow without the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_SCALARS = (str, int, float, bool, type(None))


class ChangeTable(msgspec.Struct, frozen=True, kw_only=True):
    """Some more of the delta: ``rows`` of texts under ``header``."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def further(fields: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], tuple[ChangeTable, ...]]:
    """Fields of plain values: scalars and lists of them as facts, objects and lists of objects as tables."""
    facts: list[tuple[str, str]] = []
    tables: list[ChangeTable] = []
    for field, value in fields.items():
        name = field.replace("_", " ")
        if value is None or value in ([], {}):
            continue
        if isinstance(value, Mapping):
            tables.append(_table(name, _rows_of_mapping(value)))
        elif isinstance(value, Sequence) and not isinstance(value, str) and not all(map(_is_scalar, value)):
            tables.append(_table(name, [row if isinstance(row, Mapping) else {"": row} for row in value]))
        else:
            facts.append((name, _words(value)))
    return tuple(facts), tuple(tables)


def _rows_of_mapping(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{"": key, **(inner if isinstance(inner, Mapping) else {"value": inner})} for key, inner in value.items()]


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> ChangeTable:
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return ChangeTable(
        title=title,
        header=tuple(column.replace("_", " ") for column in columns),
        rows=tuple(tuple(_words(row.get(column)) for column in columns) for row in rows),
    )


def _is_scalar(value: object) -> bool:
    return isinstance(value, _SCALARS)


def _words(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(inner)}" for key, inner in value.items())
    return str(value)
