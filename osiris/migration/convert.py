"""An old session's log in today's form: the files that a run folder has, made from the old ones."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from osiris import durable
from osiris.events.runs import RunImported
from osiris.migration.old_events import meaning_of
from osiris.migration.old_log import (
    Fields,
    cleaned,
    cleaned_text,
    count_of,
    duration_ms_of,
    number_of,
    read_lines,
    text_of,
    time_of,
)
from osiris.redaction import Redactor
from osiris.runner.run_log import EVENTS_NAME, METRICS_NAME, LoggedEvent, RunLog, storable
from osiris.runner.status_file import STATUS_NAME, RunStatusFile

ARTIFACTS_NAME = "artifacts"
_TOLD = frozenset({"ts", "timestamp", "event", "session", "session_id", "step_id", "step", "duration_ms"})
_UNITS = {"rows_read": "rows", "rows_written": "rows", "rows_processed": "rows", "duration_ms": "ms", "bytes": "bytes"}


class _OldTimes:
    """A clock that shows the time of the line that is converted; one without a time has that of the line before."""

    def __init__(self, start: datetime) -> None:
        self.moment = start

    def now(self) -> datetime:
        """The time of the line."""
        return self.moment


def write_converted(session: Path, folder: Path, event: RunImported) -> None:
    """Write the log of the old ``session`` into the empty ``folder``, synced.

    ``events.jsonl`` has a line for each of the old one, in its order: known events under today's names, others as
    ``legacy.<name>``, what cannot be read as ``legacy.unreadable``. What a line says beyond today's fields stands in
    its message. Secrets are masked. Raises ``OSError``, and exit 7 for a line that the disk does not take.
    """
    clock = _OldTimes(datetime.fromisoformat(event.started_at).astimezone(UTC))
    log = RunLog(folder, clock, Redactor())
    try:
        for line in read_lines(session / EVENTS_NAME):
            clock.moment = (line.fields and time_of(line.fields)) or clock.moment
            log.event(_converted(line.fields, line.number))
        for line in read_lines(session / METRICS_NAME):
            if line.fields is not None:
                clock.moment = time_of(line.fields) or clock.moment
                _convert_metric(log, line.fields)
    finally:
        log.close()
    status = RunStatusFile(
        run_id=event.run_id,
        status=event.status,
        started_at=event.started_at,
        finished_at=event.finished_at,
        error=event.error,
    )
    encoded = msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n"
    durable.write_file(folder / STATUS_NAME, encoded, sync=True)
    for written in folder.iterdir():
        durable.sync_path(written)
    durable.make_directory(folder / ARTIFACTS_NAME)
    durable.sync_directory(folder)


def _converted(fields: Fields | None, number: int) -> LoggedEvent:
    if fields is None:
        message = f"line {number} of the old log is no JSON object; it stands in legacy/{EVENTS_NAME}"
        return LoggedEvent(seq=0, at="", event="legacy.unreadable", message=message)
    name = text_of(fields, "event") or "event"
    meaning = meaning_of(name, text_of(fields, "status"))
    error = text_of(fields, "error", "error_message") if meaning and meaning.status == "failed" else ""
    return LoggedEvent(
        seq=0,
        at="",
        event=meaning.event if meaning else f"legacy.{storable(name)}",
        step=storable(text_of(fields, "step_id", "step")),
        status=meaning.status if meaning else "",
        rows_in=count_of(fields, "rows_in", "rows_read"),
        rows_out=count_of(fields, "rows_out", "rows_written", "rows_processed", "rows"),
        duration_ms=duration_ms_of(fields),
        code="legacy.failed" if error else "",
        message=cleaned_text(error) if error else _rest(fields),
    )


def _rest(fields: Fields) -> str:
    """All that has no field of its own today, as JSON; ``""`` where there is nothing."""
    rest = {key: value for key, value in fields.items() if key not in _TOLD}
    return json.dumps(cleaned(rest), ensure_ascii=False) if rest else ""


def _convert_metric(log: RunLog, fields: Fields) -> None:
    """A metric that has no finite number stays in the old file alone."""
    name = storable(text_of(fields, "metric", "name"))
    value = number_of(fields, "value")
    if name and value is not None and math.isfinite(value):
        unit = storable(text_of(fields, "unit")) or _UNITS.get(name, "")
        log.metric(storable(text_of(fields, "step_id", "step")), name, value, unit)
