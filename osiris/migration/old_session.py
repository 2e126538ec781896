"""The facts of one old session, as far as its files tell them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from osiris.errors import OsirisError
from osiris.events.runs import RunError
from osiris.ledger.runs import checked_tags
from osiris.migration.old_events import meaning_of
from osiris.migration.old_log import (
    Fields,
    OldLine,
    cleaned_text,
    count_of,
    duration_ms_of,
    is_cleaned,
    is_plain_file,
    read_lines,
    text_of,
    time_of,
)
from osiris.redaction import secret_shape
from osiris.runner.run_log import EVENTS_NAME, LOG_NAME, METRICS_NAME, storable

_OTHER_FILES = (LOG_NAME, "debug.log", "config.json", "manifest.yaml")
_LINES_TO_NAME = 5
_MOST_LINES_TO_LOOK_AT = 100_000
_NOT_RUNS = re.compile(
    r"(compile|validate|validation|chat|ephemeral|discover|discovery|connections?|oml|components?|init|aiop)(?=[_\-.0-9]|$)"
)
_NAMED_RUN = re.compile(r"run(?=[_\-]|$)")
_PIPELINE_KEYS = ("pipeline_slug", "pipeline_id", "pipeline", "pipeline_name", "oml_file", "oml_path", "pipeline_file")

OldStatus = Literal["success", "failed", "cancelled", "interrupted"]


class OldSession(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session. ``kind`` is "run", or what else it was. ``digest`` is of its events, 16 hex digits.

    ``finished_at`` of an interrupted one is its last event's time. ``notes`` say what could not be read or told.
    """

    name: str
    kind: str
    pipeline: str = ""
    profile: str = ""
    status: OldStatus = "interrupted"
    started_at: datetime
    finished_at: datetime
    duration_ms: int | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    error: RunError | None = None
    tags: tuple[str, ...] = ()
    user: str = ""
    digest: str
    notes: tuple[str, ...] = ()


class _Scan:
    """What one pass over the two files gathers."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.first: dict[str, str] = {}
        self.tags: tuple[str, ...] = ()
        self.times: list[datetime] = []  # the earliest and the latest
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.status: OldStatus = "interrupted"
        self.duration_ms: int | None = None
        self.rows: dict[str, dict[str, int]] = {"rows_in": {}, "rows_out": {}}
        self.said_rows: dict[str, int] = {}
        self.error: RunError | None = None
        self.is_run = False
        self.unknown: Counter[str] = Counter()
        self.unreadable: dict[str, list[int]] = {}
        self.secrets = 0

    def take_event(self, line: OldLine) -> None:
        """One line of ``events.jsonl``."""
        self.digest.update(line.raw)
        fields = line.fields
        if fields is None:
            self.unreadable.setdefault(EVENTS_NAME, []).append(line.number)
            return
        self.secrets += is_cleaned(fields)
        moment = time_of(fields)
        if moment:
            self.times = [min([moment, *self.times]), max([moment, *self.times])]
        for name, keys in (("pipeline", _PIPELINE_KEYS), ("profile", ("profile",)), ("user", ("user",))):
            if name not in self.first and (text := text_of(fields, *keys)):
                self.first[name] = text
        self.tags = self.tags or _tags(fields.get("tags"))
        name = text_of(fields, "event")
        meaning = meaning_of(name, text_of(fields, "status"))
        if meaning is None:
            self.unknown[name or "(no event)"] += 1
            return
        self.is_run = True
        if meaning.event == "run.started":
            self.started = self.started or moment
        elif meaning.event == "run.finished":
            self._end(fields, moment, meaning.status)
        elif meaning.event == "step.failed":
            self.error = _error(fields)

    def take_metric(self, line: OldLine) -> None:
        """One line of ``metrics.jsonl``; of a step's counts the last one holds."""
        if line.fields is None:
            self.unreadable.setdefault(METRICS_NAME, []).append(line.number)
            return
        self.secrets += is_cleaned(line.fields)
        field = {"rows_read": "rows_in", "rows_written": "rows_out"}.get(text_of(line.fields, "metric", "name"))
        rows = count_of(line.fields, "value")
        if field and rows is not None:
            self.rows[field][text_of(line.fields, "step_id", "step")] = rows

    def _end(self, fields: Fields, moment: datetime | None, status: str) -> None:
        self.ended = moment or self.ended
        self.duration_ms = duration_ms_of(fields)
        for name in ("rows_in", "rows_out"):
            rows = count_of(fields, name)
            if rows is not None:
                self.said_rows[name] = rows
        if self.status != "failed":  # what failed once did not succeed, whatever was written behind it
            self.status = "failed" if status == "failed" else "cancelled" if status == "cancelled" else "success"
        if status == "failed":
            self.error = self.error or _error(fields)

    def rows_of(self, name: str) -> int | None:
        """What the run's end says, else the sum over its steps; None where neither says anything."""
        counted = self.rows[name]
        return self.said_rows.get(name, sum(counted.values()) if counted else None)


def read_session(folder: Path) -> OldSession:
    """The session in ``folder``. Nothing in it is an error but a disk that does not give it (exit 7)."""
    scan = _Scan()
    kind = _kind_by_name(folder.name)
    if not kind:
        for line in read_lines(folder / EVENTS_NAME):
            scan.take_event(line)
        for line in read_lines(folder / METRICS_NAME):
            scan.take_metric(line)
    notes = _notes(scan, folder)
    if scan.times:
        started = scan.started or scan.times[0]
        finished = max(scan.ended or scan.times[1], started)
    else:
        started = finished = _file_time(folder)
        notes.append("no event has a time: its times are those of its files")
    ended = scan.status != "interrupted"
    measured = int((finished - started).total_seconds() * 1000)
    is_run = scan.is_run or bool(_NAMED_RUN.match(folder.name))
    return OldSession(
        name=folder.name,
        kind=kind or ("run" if is_run else "without a run in its log"),
        pipeline=scan.first.get("pipeline", ""),
        profile=scan.first.get("profile", ""),
        status=scan.status,
        started_at=started,
        finished_at=finished,
        duration_ms=(measured if scan.duration_ms is None else scan.duration_ms) if ended else None,
        rows_in=scan.rows_of("rows_in"),
        rows_out=scan.rows_of("rows_out"),
        error=_reason(scan),
        tags=scan.tags,
        user=storable(scan.first.get("user", "")),
        digest=scan.digest.hexdigest()[:16],
        notes=tuple(notes),
    )


def _kind_by_name(name: str) -> str:
    found = _NOT_RUNS.match(name.lower())
    return f"a {found[1]} session" if found else ""


def _reason(scan: _Scan) -> RunError | None:
    if scan.status == "failed":
        return scan.error or RunError(code="legacy.failed", message="its log does not say why")
    if scan.status == "interrupted":
        message = scan.error.message if scan.error else "its log has no end"
        return RunError(code="legacy.unfinished", message=message, step=scan.error.step if scan.error else "")
    return None


def _error(fields: Fields) -> RunError:
    error = fields.get("error")
    inner = error if isinstance(error, dict) else {}
    message = (
        text_of(fields, "error", "error_message", "message") or text_of(inner, "message") or "no reason was logged"
    )
    return RunError(
        code="legacy.failed",
        message=storable(cleaned_text(message)),
        step=storable(text_of(fields, "step_id", "step")),
    )


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    try:
        return tuple(sorted(set(checked_tags(tag for tag in value if isinstance(tag, str)))))
    except OsirisError:
        return ()


def _file_time(folder: Path) -> datetime:
    events = folder / EVENTS_NAME
    return datetime.fromtimestamp((events if is_plain_file(events) else folder).lstat().st_mtime, UTC)


def _notes(scan: _Scan, folder: Path) -> list[str]:
    notes = []
    for file, numbers in scan.unreadable.items():
        first = ", ".join(map(str, numbers[:_LINES_TO_NAME])) + (", …" if len(numbers) > _LINES_TO_NAME else "")
        notes.append(f"{len(numbers)} unreadable lines in {file} (line {first})")
    if scan.unknown:
        named = ", ".join(f"{name} ({number})" for name, number in sorted(scan.unknown.items())[:_LINES_TO_NAME])
        more = ", …" if len(scan.unknown) > _LINES_TO_NAME else ""
        notes.append(storable(f"{scan.unknown.total()} events of types unknown here, kept as they are: {named}{more}"))
    if scan.secrets or any(_holds_secret(folder / name) for name in _OTHER_FILES):
        notes.append("there are secrets in it: masked in the new log, but not in the old files, kept in legacy/")
    return notes


def _holds_secret(path: Path) -> bool:
    for number, line in enumerate(read_lines(path)):
        if secret_shape(line.raw.decode("utf-8", "replace")) or (line.fields and is_cleaned(line.fields)):
            return True
        if number > _MOST_LINES_TO_LOOK_AT:
            break
    return False
