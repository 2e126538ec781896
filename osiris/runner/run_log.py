"""The run's own files: ``events.jsonl`` and ``metrics.jsonl`` for programs, ``osiris.log`` for people."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO

import msgspec

from osiris import durable
from osiris.clock import Clock, rfc3339
from osiris.errors import disk_error
from osiris.redaction import Redactor

EVENTS_NAME = "events.jsonl"
METRICS_NAME = "metrics.jsonl"
LOG_NAME = "osiris.log"
_LONGEST_TEXT = 8_192

_encode = msgspec.json.Encoder().encode


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of ``events.jsonl``; ``seq`` counts from 1 without gaps. Fields that say nothing are left out."""

    seq: int
    at: str
    event: str
    step: str = ""
    status: str = ""
    rows_in: int | None = None
    rows_out: int | None = None
    duration_ms: int | None = None
    percent: float | None = None
    attempt: int | None = None
    code: str = ""
    message: str = ""


class LoggedMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``metrics.jsonl``."""

    at: str
    step: str
    metric: str
    value: float
    unit: str


class RunLog:
    """Writes the three files; any thread may call it. Secret values are scrubbed from every text.

    Exit 7 where the disk does not take a line.
    """

    def __init__(self, directory: Path, clock: Clock, redactor: Redactor) -> None:
        self._clock = clock
        self._redactor = redactor
        self._seq = 0
        self._lock = threading.Lock()
        self._events = _open(directory / EVENTS_NAME)
        self._metrics = _open(directory / METRICS_NAME)
        self._text = _open(directory / LOG_NAME)

    def event(self, event: LoggedEvent) -> None:
        """Record what happened; its ``seq`` and ``at`` are given here."""
        with self._lock:
            self._seq += 1
            message = self._scrubbed(event.message)
            event = msgspec.structs.replace(event, seq=self._seq, at=rfc3339(self._clock.now()), message=message)
            _write(self._events, _encode(event))
            _write(self._text, _readable(event).encode())

    def note(self, level: str, step: str, message: str, details: str = "") -> None:
        """What a component logged, for people: a line of ``osiris.log``, its details (a traceback) indented below."""
        with self._lock:
            line = "  ".join(
                [rfc3339(self._clock.now()), f"log.{level}", step, " ".join(self._scrubbed(message).split())]
            )
            below = "".join(f"\n    {detail}" for detail in self._scrubbed(details).splitlines())
            _write(self._text, (line + below).encode())

    def metric(self, step: str, name: str, value: float, unit: str) -> None:
        """Record one measurement of a step."""
        with self._lock:
            name, unit = self._scrubbed(name), self._scrubbed(unit)
            metric = LoggedMetric(at=rfc3339(self._clock.now()), step=step, metric=name, value=value, unit=unit)
            _write(self._metrics, _encode(metric))

    def _scrubbed(self, text: str) -> str:
        return storable(self._redactor.scrub(text))

    def close(self) -> None:
        """No more is written."""
        for file in (self._events, self._metrics, self._text):
            file.close()


def storable(text: str) -> str:
    """``text`` as it can be kept: encodable, and cut where it is longer than anybody reads."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}… ({len(text) - _LONGEST_TEXT:,} more characters)"


def logged(event: str, **fields: object) -> LoggedEvent:
    """An event that has no place in the log yet."""
    return msgspec.convert({"seq": 0, "at": "", "event": event, **fields}, LoggedEvent)


def _open(path: Path) -> IO[bytes]:
    return path.open("wb", buffering=0)  # a killed run's log ends with its last event, not somewhere before it


def _write(file: IO[bytes], line: bytes) -> None:
    try:
        durable.write_all(file.fileno(), line + b"\n")
    except OSError as cause:
        raise disk_error("write the run log", file.name, cause) from cause


def _readable(event: LoggedEvent) -> str:
    parts = [event.at, event.event, event.step, event.status]
    if event.rows_in is not None or event.rows_out is not None:
        parts.append(f"rows {_count(event.rows_in)} -> {_count(event.rows_out)}")
    if event.duration_ms is not None:
        parts.append(f"{event.duration_ms} ms")
    if event.percent is not None:
        parts.append(f"{event.percent:.0f} %")
    parts += [event.code, " ".join(event.message.split())]
    return "  ".join(part for part in parts if part)


def _count(rows: int | None) -> str:
    return "-" if rows is None else f"{rows}"
