"""What the engine tells, written to the run's log."""

from __future__ import annotations

from osiris.compiler.manifest import ManifestStep
from osiris.runner.results import Listener, StepError, StepResult
from osiris.runner.run_log import RunLog, logged


class LogListener:
    """A :class:`~osiris.runner.results.Listener` that keeps everything but repeated progress."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._tenths: dict[str, int] = {}

    def step_started(self, step: ManifestStep) -> None:
        """``step.started``."""
        self._log.event(logged("step.started", step=step.id))

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        """``step.progress``, at most once for each tenth of the way."""
        tenth = int(percent // 10) if percent is not None else -1
        if tenth > self._tenths.get(step_id, 0):
            self._tenths[step_id] = tenth
            self._log.event(logged("step.progress", step=step_id, percent=percent, rows_out=rows))

    def step_finished(self, result: StepResult) -> None:
        """``step.finished``, with rows and bytes as metrics; of a step that did not run, ``step.reused``."""
        if result.status == "reused":
            given = {"rows_in": result.rows_in, "rows_out": result.rows_out}
            self._log.event(logged("step.reused", step=result.id, status=result.status, **given))
            return
        self._log.event(
            logged(
                "step.finished",
                step=result.id,
                status=result.status,
                rows_in=result.rows_in,
                rows_out=result.rows_out,
                duration_ms=result.duration_ms,
            )
        )
        self._log.metric(result.id, "duration", result.duration_ms, "ms")
        for name, rows in (("rows_in", result.rows_in), ("rows_out", result.rows_out)):
            if rows is not None:
                self._log.metric(result.id, name, rows, "rows")
        for file in result.files:
            self._log.metric(result.id, "bytes_written", file.bytes, "bytes")

    def step_failed(self, result: StepResult) -> None:
        """``step.failed`` with code and message, or ``step.cancelled``."""
        code, message = (result.error.code, result.error.message) if result.error else ("", "")
        name = "step.failed" if result.status == "failed" else "step.cancelled"
        self._log.event(
            logged(
                name, step=result.id, status=result.status, duration_ms=result.duration_ms, code=code, message=message
            )
        )

    def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
        """``step.retried``: the try that failed, and why."""
        self._log.event(
            logged(
                "step.retried",
                step=step_id,
                attempt=attempt,
                duration_ms=delay_ms,
                code=error.code,
                message=error.message,
            )
        )

    def warning(self, step_id: str, message: str) -> None:
        """``step.warning``."""
        self._log.event(logged("step.warning", step=step_id, message=message))

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        """A measurement that a component made."""
        self._log.metric(step_id, name, value, unit)


class Listeners:
    """Several listeners as one; each is told in turn."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def step_started(self, step: ManifestStep) -> None:
        """See :class:`Listener`, as for all methods here."""
        for listener in self._listeners:
            listener.step_started(step)

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        """Progress."""
        for listener in self._listeners:
            listener.step_progress(step_id, rows=rows, percent=percent)

    def step_finished(self, result: StepResult) -> None:
        """Success."""
        for listener in self._listeners:
            listener.step_finished(result)

    def step_failed(self, result: StepResult) -> None:
        """Failure or cancellation."""
        for listener in self._listeners:
            listener.step_failed(result)

    def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
        """Another try."""
        for listener in self._listeners:
            listener.step_retried(step_id, attempt=attempt, delay_ms=delay_ms, error=error)

    def warning(self, step_id: str, message: str) -> None:
        """A warning."""
        for listener in self._listeners:
            listener.warning(step_id, message)

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        """A measurement."""
        for listener in self._listeners:
            listener.metric(step_id, name, value, unit)
