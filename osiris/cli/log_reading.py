"""The lines of a run's files as ``osiris logs show`` prints them: as they are, as JSON, and by their step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from osiris.cli.output import local_time, one_line
from osiris.errors import OsirisError
from osiris.runner.log_lines import LineFile
from osiris.runner.run_log import LoggedEvent, LoggedMetric

_IN_HEAD = frozenset({"seq", "at", "event", "step"})


class LogLine(NamedTuple):
    """One line of a file: its step, as JSON, and for people."""

    step: str
    encoded: bytes
    text: str


class WantedLines:
    """The lines of one file that are asked for."""

    def __init__(self, file: LineFile, read: Callable[[bytes], LogLine], step: str) -> None:
        self.file = file
        self._read = read
        self._step = step

    def blocks(self) -> Iterator[list[LogLine]]:
        """Those behind what was read already."""
        for block in self.file.blocks():
            yield list(self._wanted(block))

    def last(self, number: int) -> list[LogLine]:
        """The last so many that there are, oldest first."""
        return list(islice(self._wanted(self.file.backward()), number))[::-1]

    def _wanted(self, lines: Iterable[bytes]) -> Iterator[LogLine]:
        step = self._step.encode("utf-8", "backslashreplace")
        for line in lines:
            if step in line:  # most lines need no closer look
                found = self._line(line)
                if not step or found.step == self._step:
                    yield found

    def _line(self, line: bytes) -> LogLine:
        try:
            return self._read(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
            raise OsirisError(
                f"{self.file.path} has a line that is no line of a run: {cause}",
                "The file was changed after it was written; the ledger is not concerned.",
                code="logs.unreadable",
                path=str(self.file.path),
            ) from cause


def read_text(line: bytes) -> LogLine:
    """A line of ``osiris.log``: time, event and, for what happens to a step, its id; two spaces in between."""
    fields = line.split(b"  ", 3)
    step = fields[2].decode("utf-8", "replace") if len(fields) > 2 and fields[1].startswith(b"step.") else ""
    text = line.decode("utf-8", "backslashreplace")
    return LogLine(step, b"", text if text.isprintable() else one_line(text))


def read_event(line: bytes) -> LogLine:
    """A line of ``events.jsonl``."""
    event = msgspec.json.decode(line, type=LoggedEvent)
    fields = msgspec.to_builtins(event)
    said = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _IN_HEAD)
    text = "  ".join(part for part in (_time(event.at), f"{event.event:13}", event.step, said) if part)
    return LogLine(event.step, msgspec.json.encode(event), f"{event.seq:>4}  {one_line(text)}")


def read_metric(line: bytes) -> LogLine:
    """A line of ``metrics.jsonl``."""
    metric = msgspec.json.decode(line, type=LoggedMetric)
    text = f"{_time(metric.at)}  {metric.step}  {metric.metric}={metric.value:,.10g} {metric.unit}"
    return LogLine(metric.step, msgspec.json.encode(metric), one_line(text))


def _time(at: str) -> str:
    try:
        return local_time(at)
    except ValueError:  # the file may have been written by hand
        return at
