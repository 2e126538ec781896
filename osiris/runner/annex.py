"""``annex/``: the run's own log as a machine reads it, with milliseconds since the run's start on each line.

The log is streamed. A file takes the beginning and the end of a log that is longer than anybody reads; what was left
out of its middle is counted. So a pack stays small, and memory too, however much a component had to say.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from osiris import durable
from osiris.clock import parse_rfc3339
from osiris.events.runs import RunError
from osiris.runner.run_log import EVENTS_NAME, METRICS_NAME, LoggedEvent, LoggedMetric
from osiris.runner.summary import AnnexFile

ANNEX_NAME = "annex"
TIMELINE_NAME = "timeline.ndjson"
METRICS_ANNEX_NAME = "metrics.ndjson"
ERRORS_NAME = "errors.ndjson"
TAIL_NAME = "events-tail.ndjson"
ANNEX_NAMES = (TIMELINE_NAME, METRICS_ANNEX_NAME, ERRORS_NAME)

HALF_LINES = 10_000
HALF_BYTES = 4 << 20
_LONGEST_LINE_BYTES = 1 << 20
_WARNINGS_KEPT = 5
_KINDS = {"step.failed": "failure", "step.retried": "retry", "step.warning": "warning"}
_NEEDLES = tuple(f'"event":"{name}"'.encode() for name in _KINDS)

LineT = TypeVar("LineT", LoggedEvent, LoggedMetric)
_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(LoggedEvent).decode
_decode_metric = msgspec.json.Decoder(LoggedMetric).decode
_log = logging.getLogger("osiris.runner")


class TimelineLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of ``timeline.ndjson`` and ``events-tail.ndjson``: an event of the run's log, ``ms`` after its start.

    ``seq`` counts the log's lines, so that a gap shows where lines were left out. Fields that say nothing are left out.
    """

    ms: int
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


class MetricLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``metrics.ndjson``: one measurement."""

    ms: int
    at: str
    step: str
    metric: str
    value: float
    unit: str


class ErrorLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``errors.ndjson``; ``kind`` is ``failure``, ``retry`` or ``warning``.

    ``step`` is "" where it is the whole run's, ``attempt`` null where it is no try that failed.
    """

    ms: int
    at: str
    kind: str
    step: str
    code: str
    message: str
    attempt: int | None


class Annex(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the three files, as lines without their ends, and what was seen in the log on the way.

    ``last_events`` are the end of ``timeline``, without a gap. ``files`` says how many lines of each file's log were
    left out. ``retries`` are by step; ``first_warnings`` are pairs of a step and its words; ``last_ms`` is when the
    log's last line was written, None where there was none.
    """

    timeline: tuple[bytes, ...] = ()
    last_events: tuple[bytes, ...] = ()
    metrics: tuple[bytes, ...] = ()
    errors: tuple[bytes, ...] = ()
    files: tuple[AnnexFile, ...] = ()
    retries: dict[str, int] = {}
    warnings: int = 0
    first_warnings: tuple[tuple[str, str], ...] = ()
    last_ms: int | None = None


class Excerpt:
    """The beginning and the end of a stream of lines."""

    def __init__(self) -> None:
        self.cut = 0
        self._head: list[bytes] = []
        self._head_bytes = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0

    def add(self, line: bytes) -> None:
        """One more line, without its end."""
        if not self._tail and len(self._head) < HALF_LINES and self._head_bytes + len(line) <= HALF_BYTES:
            self._head.append(line)
            self._head_bytes += len(line)
            return
        self._tail.append(line)
        self._tail_bytes += len(line)
        while len(self._tail) > HALF_LINES or self._tail_bytes > HALF_BYTES:
            self._tail_bytes -= len(self._tail.popleft())
            self.cut += 1

    def lines(self) -> Iterator[bytes]:
        """What was kept, in order."""
        yield from self._head
        yield from self._tail

    def end(self) -> Iterator[bytes]:
        """The last lines, without a gap between them."""
        yield from self._tail if self.cut else deque(self.lines(), HALF_LINES)


def read_log(run_folder: Path, started_at: str, *, error: RunError | None, ended_at: str) -> Annex:
    """The annex of a run from the files in its folder; one that is not there or cannot be read gives no lines.

    ``error`` is the run's: it stands among the errors where it belongs to no step.
    """
    start = parse_rfc3339(started_at)
    events = _excerpt(run_folder / EVENTS_NAME)
    metrics = _excerpt(run_folder / METRICS_NAME)
    timeline = _timeline(events.lines(), start)
    measured = tuple(line for raw in metrics.lines() if (line := _metric_line(raw, start)))
    troubles = _Troubles(start)
    for raw in _whole_lines(run_folder / EVENTS_NAME, Excerpt()):
        if any(needle in raw for needle in _NEEDLES):
            troubles.add(raw)
    if error and not error.step:
        troubles.add_run_error(error, ended_at)
    errors = list(troubles.excerpt.lines())
    return Annex(
        timeline=timeline,
        last_events=_timeline(events.end(), start),
        metrics=measured,
        errors=tuple(errors),
        files=(
            AnnexFile(name=TIMELINE_NAME, lines=len(timeline), cut=events.cut),
            AnnexFile(name=METRICS_ANNEX_NAME, lines=len(measured), cut=metrics.cut),
            AnnexFile(name=ERRORS_NAME, lines=len(errors), cut=troubles.excerpt.cut),
        ),
        retries=dict(troubles.retries),
        warnings=troubles.warnings,
        first_warnings=tuple(troubles.first_warnings),
        last_ms=_decode_ms(timeline[-1]).ms if timeline else None,
    )


def write_annex(pack: Path, annex: Annex, *, tail: int) -> None:
    """Make all three files in ``pack/annex``, and beside it the last ``tail`` events if that is not 0.

    Raises ``OSError``.
    """
    folder = pack / ANNEX_NAME
    durable.make_directory(folder)
    for name, lines in zip(ANNEX_NAMES, (annex.timeline, annex.metrics, annex.errors), strict=True):
        durable.write_file(folder / name, _joined(lines), sync=True)
    durable.sync_directory(folder)
    if tail:
        durable.write_file(pack / TAIL_NAME, _joined(annex.last_events[-tail:]), sync=True)


class _Troubles:
    """Failures, retries and warnings, from the lines of ``events.jsonl`` that look like one."""

    def __init__(self, start: datetime) -> None:
        self.excerpt = Excerpt()
        self.retries: Counter[str] = Counter()
        self.warnings = 0
        self.first_warnings: list[tuple[str, str]] = []
        self._start = start

    def add(self, raw: bytes) -> None:
        """One line, if it is one after all."""
        event = _decoded(raw, _decode_event)
        kind = _KINDS.get(event.event) if event else None
        if event is None or kind is None:
            return
        if kind == "retry":
            self.retries[event.step] += 1
        elif kind == "warning":
            self.warnings += 1
            if len(self.first_warnings) < _WARNINGS_KEPT:
                self.first_warnings.append((event.step, event.message))
        line = ErrorLine(
            ms=_ms(event.at, self._start),
            at=event.at,
            kind=kind,
            step=event.step,
            code=event.code,
            message=event.message,
            attempt=event.attempt,
        )
        self.excerpt.add(_encode(line))

    def add_run_error(self, error: RunError, at: str) -> None:
        """What ended the run as a whole."""
        ms = _ms(at, self._start)
        line = ErrorLine(ms=ms, at=at, kind="failure", step="", code=error.code, message=error.message, attempt=None)
        self.excerpt.add(_encode(line))


class _Timed(msgspec.Struct):
    ms: int


_decode_ms = msgspec.json.Decoder(_Timed).decode


def _excerpt(path: Path) -> Excerpt:
    excerpt = Excerpt()
    for line in _whole_lines(path, excerpt):
        excerpt.add(line)
    return excerpt


def _whole_lines(path: Path, excerpt: Excerpt) -> Iterator[bytes]:
    """The lines of a log without their ends; what a kill cut is passed over, what is too long is counted as cut."""
    try:
        with path.open("rb") as file:
            is_inside = False
            while line := file.readline(_LONGEST_LINE_BYTES):
                ends = line.endswith(b"\n")
                if ends and not is_inside:
                    yield line[:-1]
                elif ends:
                    excerpt.cut += 1
                is_inside = not ends
    except FileNotFoundError:
        return
    except OSError as cause:
        _log.warning("the pack's annex lacks lines of %s: %s", path, cause)


def _timeline(events: Iterator[bytes], start: datetime) -> tuple[bytes, ...]:
    return tuple(line for raw in events if (line := _timeline_line(raw, start)))


def _timeline_line(raw: bytes, start: datetime) -> bytes | None:
    event = _decoded(raw, _decode_event)
    return _encode(TimelineLine(ms=_ms(event.at, start), **msgspec.structs.asdict(event))) if event else None


def _metric_line(raw: bytes, start: datetime) -> bytes | None:
    metric = _decoded(raw, _decode_metric)
    return _encode(MetricLine(ms=_ms(metric.at, start), **msgspec.structs.asdict(metric))) if metric else None


def _decoded(raw: bytes, decode: Callable[[bytes], LineT]) -> LineT | None:
    """None for a line that is none: the run's machine may have stopped in the middle of writing it."""
    try:
        line = decode(raw)
        parse_rfc3339(line.at)
    except (ValueError, msgspec.MsgspecError):
        return None
    return line


def _ms(at: str, start: datetime) -> int:
    """By the machine's clock, so it steps back where that was set back."""
    return round((parse_rfc3339(at) - start).total_seconds() * 1000)


def _joined(lines: tuple[bytes, ...]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
