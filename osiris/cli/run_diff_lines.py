"""The differences between two runs as a person reads them: a table of before and after, then long texts by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, NamedTuple

import click
import msgspec

from osiris.cli.output import Output, count, duration, one_line
from osiris.cli.run_diff import Pair, RunDiff
from osiris.cli.screen import Column, fitted_table, short_run_name
from osiris.events.runs import RunError
from osiris.ledger.queries import run_name
from osiris.projections.runs import RunRecord
from osiris.runner.comparison import ManifestChanges, StepComparison

_FIRST = ("pipeline_slug", "profile", "status", "error", "duration_ms", "rows_in", "rows_out", "manifest_hash")
_TITLES = {
    "pipeline_slug": "pipeline",
    "duration_ms": "duration",
    "rows_in": "rows in",
    "rows_out": "rows out",
    "manifest_hash": "manifest",
    "git_commit": "commit",
}
_HASHES = frozenset({"manifest_hash", "git_commit"})
_NOT_SHOWN = frozenset({"payload_digest"})
_SHORT_HASH = 7
_LONGEST_CELL = 40
_NEAR_MS = 100
_NEAR_SHARE = 0.1
_LINE_COLORS = {"-": "red", "+": "green"}
_SAID_ELSEWHERE = frozenset({"profile"})


class _Row(NamedTuple):
    """One difference: what it is of, the values as texts ("" for none), and what is worth saying of the change."""

    what: str
    before: str
    after: str
    change: str = ""


def diff_lines(diff: RunDiff, output: Output) -> Iterator[str]:
    """The differences, what is the same in a line each, and what could not be compared."""
    rows = [*_record_rows(diff), *_manifest_rows(diff), *_step_rows(diff.steps)]
    if output.on_terminal:
        yield from _terminal_table(rows, diff, output)
        yield from _long_texts(rows)
        yield from _same(diff)
    else:
        header = ("what", run_name(diff.before), run_name(diff.after), "change")
        yield from output.table(header, [tuple(map(_cell, row)) for row in rows])
    yield from (f"not compared: {one_line(sentence)}" for sentence in diff.not_compared)


def _terminal_table(rows: list[_Row], diff: RunDiff, output: Output) -> Iterator[str]:
    before, after = (short_run_name(run.pipeline_slug, run.run_id) for run in (diff.before, diff.after))
    if not rows:
        yield f"{before} and {after} do not differ."
        return
    yield f"{before} → {after}"
    columns = [
        Column("", [row.what for row in rows]),
        Column("before", [_coloured(row, row.before, output) for row in rows], least=10),
        Column("after", [_coloured(row, row.after, output) for row in rows], least=10),
        Column("change", [row.change for row in rows], 1),
    ]
    yield from fitted_table(columns, output)


def _record_rows(diff: RunDiff) -> Iterator[_Row]:
    for name in sorted(diff.record.keys() - _NOT_SHOWN, key=_place):
        before, after = diff.record[name]
        title = _TITLES.get(name, name.removeprefix("runtime_env."))
        match name:
            case "duration_ms":
                yield _Row(title, duration(before), duration(after), _percent(before, after))
            case "rows_in" | "rows_out":
                yield _Row(title, count(before), count(after), _percent(before, after))
            case "error":
                yield _Row(title, _error(before), _error(after))
            case "tags":
                yield _Row(title, ",".join(before), ",".join(after), _tag_change(before, after))
            case _ if name in _HASHES:
                yield _Row(title, before[:_SHORT_HASH], after[:_SHORT_HASH])
            case _:
                yield _Row(title, _text(before), _text(after))


def _place(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST)), name


def _manifest_rows(diff: RunDiff) -> Iterator[_Row]:
    changes = diff.manifest or ManifestChanges()
    for name, pair in changes.params.items():
        yield _Row(f"param {name}", _text(pair[0]), _text(pair[1]), _amount(pair))
    yield from (_Row(f"step {step}", "", "added") for step in changes.steps_added)
    yield from (_Row(f"step {step}", "", "removed") for step in changes.steps_removed)
    for step in changes.steps_changed:
        for key in step.keys:
            pair = diff.step_values[step.id][key]
            what = f"{step.id}: {key.removeprefix('config.')}"
            yield _Row(what, _text(pair[0]), _text(pair[1]), _amount(pair))
    for name, (old, new) in changes.components.items():
        yield _Row(f"component {name}", old or "", new or "")
    for name, (old, new) in changes.requires.items():
        yield _Row(f"requires {name}", old or "", new or "")
    yield from (_Row(name, "", "changed") for name in changes.other if name not in _SAID_ELSEWHERE)


def _step_rows(steps: tuple[StepComparison, ...]) -> Iterator[_Row]:
    for step in steps:
        if step.status[0] != step.status[1]:
            yield _Row(f"{step.id}: status", step.status[0] or "", step.status[1] or "")
        if None in step.status:
            continue
        for title, (old, new) in (("rows in", step.rows_in), ("rows out", step.rows_out)):
            if old != new:
                yield _Row(f"{step.id}: {title}", count(old), count(new), _percent(old, new))
        if not _is_near(*step.duration_ms):
            old, new = step.duration_ms
            yield _Row(f"{step.id}: duration", duration(old), duration(new), _percent(old, new))


def _same(diff: RunDiff) -> Iterator[str]:
    """What does not differ, condensed."""
    facts = ("pipeline_slug", "profile", "status", "rows_in", "rows_out", "manifest_hash", "tags", "git_commit")
    same = [_TITLES.get(name, name) for name in facts if name not in diff.record and _says(diff.after, name)]
    if same:
        yield f"same: {', '.join(same)}"
    steps = [step.id for step in diff.steps if not list(_step_rows((step,)))]
    if steps:
        yield f"same rows and about as long: {', '.join(steps)}"


def _says(record: RunRecord, name: str) -> bool:
    return getattr(record, name) not in ("", (), None)


def _long_texts(rows: list[_Row]) -> Iterator[str]:
    """Values that have no room in the table, line by line."""
    for row in rows:
        if max(map(len, (row.before, row.after))) > _LONGEST_CELL or "\n" in row.before + row.after:
            yield click.style(row.what, bold=True)
            for line in difflib.unified_diff(row.before.splitlines(), row.after.splitlines(), n=2, lineterm=""):
                if not line.startswith(("---", "+++", "@@")):
                    indent = " " * (len(line) - 1 - len(line[1:].lstrip()))
                    yield "  " + click.style(f"{line[0]} {indent}{one_line(line[1:])}", fg=_LINE_COLORS.get(line[0]))


def _coloured(row: _Row, value: str, output: Output) -> str:
    shown = _cell(value if "\n" not in value else f"{value.count(chr(10)) + 1} lines") or "-"
    return output.status(shown) if row.what.endswith("status") else shown


def _cell(value: str) -> str:
    """A value in one cell of a table: as JSON where it has line ends, tabs or the like."""
    return value if value.isprintable() else msgspec.json.encode(value).decode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _error(error: RunError | None) -> str:
    if error is None:
        return ""
    return f"{error.code}{f' (step {error.step})' if error.step else ''}: {one_line(error.message)}"


def _tag_change(before: tuple[str, ...], after: tuple[str, ...]) -> str:
    came = [f"+{tag}" for tag in after if tag not in before]
    return " ".join(came + [f"-{tag}" for tag in before if tag not in after])


def _amount(pair: Pair) -> str:
    before, after = pair
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in pair)
    return _percent(before, after) if numbers else ""


def _percent(before: float | None, after: float | None) -> str:
    """``+12.5 %``; nothing where one side is not known, is nothing, or both are the same."""
    if before is None or after is None or not before or before == after:
        return ""
    return f"{(after - before) / abs(before) * 100:+,.1f} %"


def _is_near(before: int | None, after: int | None) -> bool:
    """Whether two durations are about the same: up to a tenth or 100 ms apart."""
    if before is None or after is None:
        return before is after
    return abs(after - before) <= max(_NEAR_MS, before * _NEAR_SHARE)
