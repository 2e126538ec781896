"""What changed since the last successful run: the pack's delta as sentences, measures and tables.

A field that this page has no words for is shown under its own name, so a delta may grow without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from osiris.runner.summary import RunSummary

_MEASURES = {"rows_in": "rows read", "rows_out": "rows written", "duration_ms": "duration"}
_TOLD = frozenset({"previous_run_id", "manifest_changed", *_MEASURES})
_SCALARS = (str, int, float, bool, type(None))


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A number of this run beside that of the run before; all None where one of them was not counted."""

    name: str
    in_ms: bool
    before: int | None
    now: int | None
    difference: int | None


class ChangeTable(msgspec.Struct, frozen=True, kw_only=True):
    """Some more of the delta: ``rows`` of texts under ``header``."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a delta."""

    previous_run_id: str
    manifest_changed: bool
    measures: tuple[Measure, ...]
    facts: tuple[tuple[str, str], ...]
    tables: tuple[ChangeTable, ...]


def changes_of(summary: RunSummary) -> Changes | None:
    """The delta of a pack; None where there was no run to compare with."""
    if summary.delta is None or summary.delta.previous_run_id is None:
        return None
    measures = tuple(
        _measure(name, field, getattr(summary, field), getattr(summary.delta, field))
        for field, name in _MEASURES.items()
    )
    more: dict[str, Any] = msgspec.to_builtins(summary.delta)
    facts, tables = further({field: value for field, value in more.items() if field not in _TOLD})
    return Changes(
        previous_run_id=summary.delta.previous_run_id,
        manifest_changed=bool(summary.delta.manifest_changed),
        measures=measures,
        facts=facts,
        tables=tables,
    )


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


def _measure(name: str, field: str, now: int | None, difference: int | None) -> Measure:
    before = None if now is None or difference is None else now - difference
    return Measure(name=name, in_ms=field.endswith("_ms"), before=before, now=now, difference=difference)


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
