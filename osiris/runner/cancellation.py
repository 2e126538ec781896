"""Stopping: a whole run from outside, and one stage with the reason why."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Literal

import duckdb

StopReason = Literal["cancelled", "timeout", "other_failed"]


class Cancellation:
    """The run's stop button. ``cancel`` may be called from a signal handler and from any thread."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self.reason = ""

    def cancel(self, reason: str = "stopped by the user") -> None:
        """Stop the run; the first reason stays."""
        if not self._stopped.is_set():
            self.reason = reason
            self._stopped.set()

    @property
    def cancelled(self) -> bool:
        """Whether the run is being stopped."""
        return self._stopped.is_set()


class StageControl:
    """The handle by which the scheduler stops a stage that runs in another thread, and asks how far it is.

    An interrupt reaches only a statement that is running, so the scheduler repeats it until the stage has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._deadline_s: float | None = None
        self.reason: StopReason | None = None
        self.current_step = ""

    @property
    def cancelled(self) -> bool:
        """Whether the stage has to end; this is the cancel token of its steps."""
        return self._stopped.is_set()

    def stop(self, reason: StopReason) -> None:
        """End the stage; the first reason stays, but a time-out, which may lead to another try."""
        if self.reason in (None, "timeout"):
            self.reason = reason
        self._stopped.set()

    def attach(self, cursor: duckdb.DuckDBPyConnection, timeout_ms: int | None) -> None:
        """A new try begins on ``cursor`` and has ``timeout_ms``."""
        with self._lock:
            self._cursor = cursor
            self._deadline_s = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000

    def detach(self) -> None:
        """The try is over and its cursor is about to be closed."""
        with self._lock:
            self._cursor = None
            self._deadline_s = None

    def tick(self) -> float | None:
        """Enforce the time-out, interrupt if the stage has to end, and give the statement's progress in percent."""
        with self._lock:
            if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
                self.stop("timeout")
            if self._cursor is None:
                return None
            if self.cancelled:
                self._cursor.interrupt()
                return None
            with contextlib.suppress(duckdb.Error):
                percent = float(self._cursor.query_progress())
                return percent if percent >= 0 else None
            return None

    def rest(self, delay_ms: int) -> bool:
        """Wait for the next try and forget that the last one ran out of time; False if the stage has to end."""
        with self._lock:
            if self.reason == "timeout":
                self.reason = None
                self._stopped.clear()
        return not self._stopped.wait(delay_ms / 1000)
