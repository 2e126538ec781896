"""What a person sees while a run goes on: one line a step, redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import click

from osiris.cli.output import Output, count, duration
from osiris.compiler.manifest import ManifestStep
from osiris.runner.results import StepError, StepResult

_REDRAW_S = 0.1
_MARKS = {"waiting": "·", "running": "▸", "success": "✓", "reused": "=", "failed": "✗", "cancelled": "-"}
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


class TerminalProgress:
    """One line a step on stderr, redrawn in place ten times a second."""

    def __init__(self, steps: Sequence[str], output: Output) -> None:
        self._output = output
        self._width = max(map(len, steps))
        self._lines: dict[str, str] = dict.fromkeys(steps, "")
        self._states = dict.fromkeys(steps, "waiting")
        self._began: dict[str, float] = {}
        self._lock = threading.Lock()
        self._drawn_lines = 0
        self._drawn_at = 0.0

    def __enter__(self) -> TerminalProgress:
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._draw()

    def step_started(self, step: ManifestStep) -> None:
        """The step's line lights up."""
        self._began[step.id] = time.monotonic()
        self._set(step.id, "running", "")

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        """How far it is, as far as anybody knows."""
        elapsed_s = time.monotonic() - self._began.get(step_id, time.monotonic())
        parts = [f"{percent:3.0f} %" if percent is not None else "", f"{count(rows)} rows" if rows else ""]
        parts.append(duration(int(elapsed_s * 1000)))
        self._set(step_id, "running", "  ".join(part for part in parts if part))

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
        """Shown behind the step's name."""
        self._set(step_id, self._states.get(step_id, "running"), message)

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        """Not shown."""

    def _set(self, step_id: str, state: str, line: str) -> None:
        with self._lock:
            changed = self._states.get(step_id) != state
            self._states[step_id], self._lines[step_id] = state, line
            due = time.monotonic() - self._drawn_at > _REDRAW_S
        if changed or due:
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            lines = [self._line(step) for step in self._lines]
            up = f"\x1b[{self._drawn_lines}F" if self._drawn_lines else ""
            self._output.draw(up + "".join(f"\x1b[2K{line}\n" for line in lines))
            self._drawn_lines, self._drawn_at = len(lines), time.monotonic()

    def _line(self, step: str) -> str:
        state = self._states[step]
        mark = click.style(_MARKS[state], fg=_COLORS.get(state))
        return f"  {mark} {step:{self._width}}  {self._lines[step]}"[: self._output.columns + len(mark)]


def _rows_and_time(result: StepResult) -> str:
    """``1,000,000 rows, 2,100,000 rows/s, 476 ms``; no rows where none were counted, no time where it did not run."""
    parts = []
    if result.rows_out is not None:
        parts.append(f"{count(result.rows_out)} row{'' if result.rows_out == 1 else 's'}")
    if result.rows_out is not None and result.duration_ms > 0:
        parts.append(f"{count(int(result.rows_out * 1000 / result.duration_ms))} rows/s")
    if result.status != "reused":
        parts.append(duration(result.duration_ms))
    return ", ".join(parts)
