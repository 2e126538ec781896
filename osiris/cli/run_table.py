"""Runs as a table for a screen, as columns for a pipe, as CSV, and as a table that is drawn anew."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NoReturn

import msgspec

from osiris.cli.output import Output, count, duration, local_time
from osiris.cli.screen import Column, fitted_table, short_run_name
from osiris.cli.verb import Settings
from osiris.clock import parse_rfc3339
from osiris.ledger.queries import journal_end
from osiris.project import Project
from osiris.projections.runs import RunRecord

_ERROR_FIELDS = ("code", "message", "step", "line", "hint", "column")
_FIELDS = tuple(field for field in RunRecord.__struct_fields__ if field != "error")
_REDRAW_S = 1.0
_POLL_S = 0.1


def run_table(records: Sequence[RunRecord], output: Output, now: datetime, *, indent: int = 0) -> list[str]:
    """The runs as a person reads them: what fits the terminal there, all columns and whole ids elsewhere.

    ``indent`` is how many columns the caller puts before each line.
    """
    if not output.on_terminal:
        return _plain_table(records, output)
    if not records:
        return ["No runs match."]
    columns = [
        Column("run", [short_run_name(record.pipeline_slug, record.run_id) for record in records]),
        Column("profile", [record.profile or "-" for record in records], 3),
        Column("status", [output.status(record.status) for record in records]),
        Column("started", [local_time(record.started_at) for record in records], 1),
        Column("duration", [duration(_elapsed(record, now)) for record in records], 2),
        Column("rows in", [count(record.rows_in) for record in records], 6),
        Column("rows out", [count(record.rows_out) for record in records], 2),
        Column("tags", [",".join(record.tags) or "-" for record in records], 4, least=12),
        Column("error", [record.error.code if record.error else "-" for record in records], 5, least=12),
        Column("commit", [record.git_commit[:7] or "-" for record in records], 7),
    ]
    return fitted_table(columns, output, indent=indent)


def csv_lines(records: Sequence[RunRecord]) -> Iterator[str]:
    """The runs as RFC 4180 says, a header first: all fields of the record, times in UTC. Each line ends with its CR."""
    yield from _csv_line([*_FIELDS, *(f"error_{name}" for name in _ERROR_FIELDS)])
    for record in records:
        # What is 0 is not known: a column is not even there then.
        error = [(getattr(record.error, name) or 0) if record.error else "" for name in _ERROR_FIELDS]
        yield from _csv_line([_csv_value(getattr(record, name)) for name in _FIELDS] + error)


def watch(project: Project, settings: Settings, read: Callable[[], Sequence[RunRecord]]) -> NoReturn:
    """Draw the table again each second and whenever the journal grows, until Ctrl-C."""
    while True:
        end = journal_end(project.ledger)
        output = Output(settings)  # the window may have another size by now
        output.redraw(run_table(read(), output, project.clock.now()))
        due = time.monotonic() + _REDRAW_S
        while time.monotonic() < due and journal_end(project.ledger) == end:
            time.sleep(_POLL_S)


def _plain_table(records: Sequence[RunRecord], output: Output) -> list[str]:
    rows = [
        (
            record.run_id,
            record.pipeline_slug,
            record.profile or "-",
            record.status,
            local_time(record.started_at),
            duration(record.duration_ms),
            count(record.rows_out),
            ",".join(record.tags) or "-",
        )
        for record in records
    ]
    header = ("run", "pipeline", "profile", "status", "started", "duration", "rows out", "tags")
    return output.table(header, rows) if rows else []


def _elapsed(record: RunRecord, now: datetime) -> int | None:
    """How long a run took, or has been going on, in milliseconds; None for one that was interrupted."""
    if record.status != "running":
        return record.duration_ms
    return max(0, int((now - parse_rfc3339(record.started_at)).total_seconds() * 1000))


def _csv_line(values: Sequence[object]) -> Iterator[str]:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    yield text.getvalue().removesuffix("\n")  # whoever prints it ends the line


def _csv_value(value: object) -> object:
    if isinstance(value, tuple):
        return ",".join(value)
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else value
