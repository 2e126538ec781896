"""What a person sees while a run goes on: one line a step, redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence

import click

from osiris.cli.output import Output, count, duration
from osiris.cli.streams import ScrubbedStream
from osiris.compiler.manifest import ManifestStep
from osiris.runner.results import StepError, StepResult

_REDRAW_S = 0.1
_MARKS = {"waiting": "·", "running": "▸", "success": "✓", "reused": "=", "failed": "✗", "cancelled": "-"}
_INTEREST = ("failed", "running", "cancelled", "waiting", "success", "reused")
_COLORS = {"running": "cyan", "success": "green", "reused": "green", "failed": "red", "cancelled": "yellow"}


class PlainProgress:
    """A line when a step ends, for logs and pipes; nothing at all when ``quiet``."""

    def __init__(self, output: Output, *, quiet: bool) -> None:
        self._output = output
        self._quiet = quiet

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def step_started(self, step: ManifestStep) -> None:
        """Not shown: in a fused statement all begin at once."""

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        """Not shown."""

    def step_finished(self, result: StepResult) -> None:
        """Rows and time."""
        self._say(f"{result.id}: {result.status}, {_rows_and_time(result)}")

    def step_failed(self, result: StepResult) -> None:
        """How it ended."""
        self._say(f"{result.id}: {result.status} after {duration(result.duration_ms)}")

    def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
        """Why, and when it goes on."""
        self._say(f"{step_id}: try {attempt} failed ({error.code}); the next in {duration(delay_ms)}")

    def warning(self, step_id: str, message: str) -> None:
        """A warning."""
        self._say(f"{step_id}: {message}")

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        """Not shown."""

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._output.note(line)


class _Line:
    """One step on the screen: how it is, what there is to say, and since when it runs."""

    def __init__(self) -> None:
        self.state = "waiting"
        self.text = ""
        self.began_s = 0.0


class TerminalProgress:
    """One line a step on stderr, redrawn in place ten times a second; what others print meanwhile stands above it."""

    def __init__(self, steps: Sequence[str], output: Output, stream: ScrubbedStream) -> None:
        self._output = output
        self._stream = stream
        self._width = min(max(map(len, steps)), max(8, output.columns // 2))
        self._lines = {step: _Line() for step in steps}
        self._drawn_lines = 0
        self._ended = threading.Event()
        self._redrawing = threading.Thread(target=self._redraw, name="osiris-progress", daemon=True)

    def __enter__(self) -> TerminalProgress:
        self._stream.make_room = self._make_room
        self._draw(self._visible())
        self._redrawing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._redrawing.join()
        self._draw(list(self._lines))
        self._stream.make_room = str

    def step_started(self, step: ManifestStep) -> None:
        """The step's line lights up."""
        self._lines[step.id].began_s = time.monotonic()
        self._set(step.id, "running", "")

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        """How far it is, as far as anybody knows."""
        if rows is not None:
            elapsed_ms = int((time.monotonic() - self._lines[step_id].began_s) * 1000)
            self._set(step_id, "running", _rows_and_rate(rows, elapsed_ms))
        elif percent is not None:
            self._set(step_id, "running", f"{percent:.0f} %")

    def step_finished(self, result: StepResult) -> None:
        """Rows, rows a second, time."""
        self._set(result.id, result.status, _rows_and_time(result))

    def step_failed(self, result: StepResult) -> None:
        """How it ended."""
        self._set(result.id, result.status, f"{result.status} after {duration(result.duration_ms)}")

    def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
        """Why, and when it goes on."""
        self._set(step_id, "running", f"try {attempt} failed ({error.code}); the next in {duration(delay_ms)}")

    def warning(self, step_id: str, message: str) -> None:
        """A line of its own above the steps, which stays."""
        self._output.warn(f"{step_id}: {message}")

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        """Not shown."""

    def _set(self, step_id: str, state: str, text: str) -> None:
        with self._stream.lock:
            self._lines[step_id].state, self._lines[step_id].text = state, text

    def _redraw(self) -> None:
        while not self._ended.wait(_REDRAW_S):
            self._draw(self._visible())

    def _draw(self, steps: Sequence[str]) -> None:
        with self._stream.lock:
            lines = [self._line(step) for step in steps]
            if len(steps) < len(self._lines):
                lines.append(f"  … {len(self._lines) - len(steps)} more")
            # Cut by the terminal too, where a letter is wider than one column or the window has become narrower.
            self._output.draw(self._make_room() + "\x1b[?7l" + "\n".join(lines) + "\x1b[?7h\n")
            self._drawn_lines = len(lines)

    def _make_room(self) -> str:
        """Take the display away; what is written next stands in its place."""
        drawn, self._drawn_lines = self._drawn_lines, 0
        return f"\x1b[{drawn}F\x1b[J" if drawn else ""

    def _visible(self) -> list[str]:
        """The steps that fit the screen, which cannot be redrawn beyond its top: first those that are of interest."""
        room = shutil.get_terminal_size().lines - 2
        if len(self._lines) <= room:
            return list(self._lines)
        telling = sorted(self._lines, key=lambda step: _INTEREST.index(self._lines[step].state))[: max(room - 1, 1)]
        return [step for step in self._lines if step in telling]

    def _line(self, step: str) -> str:
        line = self._lines[step]
        elapsed = duration(int((time.monotonic() - line.began_s) * 1000)) if line.state == "running" else ""
        name = step if len(step) <= self._width else step[: self._width - 1] + "…"
        said = ", ".join(part for part in (line.text, elapsed) if part)
        mark = click.style(_MARKS[line.state], fg=_COLORS.get(line.state))
        return f"  {mark} " + f"{name:{self._width}}  {said}"[: max(self._output.columns - 4, 0)].rstrip()


def _rows_and_rate(rows: int, elapsed_ms: int) -> str:
    """``1,000,000 rows, 2,100,000 rows/s``; no rate where no time has passed."""
    rate = f", {count(int(rows * 1000 / elapsed_ms))} rows/s" if elapsed_ms > 0 else ""
    return f"{count(rows)} row{'' if rows == 1 else 's'}{rate}"


def _rows_and_time(result: StepResult) -> str:
    """Rows, rate and time; no rows where none were counted, no time where it did not run."""
    parts = [] if result.rows_out is None else [_rows_and_rate(result.rows_out, result.duration_ms)]
    if result.status != "reused":
        parts.append(duration(result.duration_ms))
    return ", ".join(parts)
