"""One stage from its first try to its end: retries, time-outs, wrong guesses, and whose fault a failure is."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime

import duckdb
import msgspec

from osiris.clock import epoch_ms
from osiris.compiler.manifest import ManifestStep, RetryPolicy
from osiris.runner.attempt import Attempt, Sunk
from osiris.runner.cancellation import StageControl
from osiris.runner.database import open_cursor
from osiris.runner.failures import StepFailure, may_be_a_wrong_guess, may_be_another_step
from osiris.runner.plan import Stage
from osiris.runner.results import StepError, StepResult, StepStatus
from osiris.runner.row_counts import rows_in
from osiris.runner.setting import Setting
from osiris.runner.step_context import remove_own_folders
from osiris.runner.stored_rows import StoredRows

# The same query on the same tables fails the same way: no retry.
_LASTING = (
    "transform.sql_syntax",
    "transform.sql_binding",
    "transform.sql_catalog",
    "transform.sql_not_a_select",
    "write.outcome_unknown",  # the rows may be there already: a second try could double them
)


class StageOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a stage ended: the results of the steps that were started, and its failure if it has one."""

    results: tuple[StepResult, ...]
    stored: StoredRows | None = None
    error: StepError | None = None


class StageRun:
    """One stage on cursors of its own; ``run`` is called once, in a thread of the scheduler."""

    def __init__(self, setting: Setting, stage: Stage, database: duckdb.DuckDBPyConnection) -> None:
        self.stage = stage
        self.control = StageControl()
        self._setting = setting
        self._database = database
        self._steps = [setting.steps[step_id] for step_id in stage.steps]
        self._started: dict[str, datetime] = {}

    def run(self, rows_before: Mapping[str, int | None]) -> StageOutcome:
        """Try until it works or no try is left; ``rows_before`` are the rows of the steps of earlier stages."""
        policy = _policy(self._steps)
        failed = 0
        while True:
            try:
                sunk = self._try_once()
                return StageOutcome(results=self._successes(sunk, rows_before), stored=sunk.stored)
            except StepFailure as failure:
                error = self.as_stopped(failure.error)
                failed += 1
                lasting = error.code in _LASTING or self.control.reason not in (None, "timeout")
                if failed > policy.max or lasting:
                    return StageOutcome(results=self.failures(error), error=error)
            delay_ms = policy.delay_ms * (2 ** (failed - 1) if policy.backoff == "exp" else 1)
            self._setting.listener.step_retried(error.step, attempt=failed, delay_ms=delay_ms, error=error)
            if not self.control.rest(delay_ms):
                error = self.as_stopped(error)
                return StageOutcome(results=self.failures(error), error=error)
            for step in self._steps:
                remove_own_folders(self._setting, step.id)

    def failures(self, error: StepError) -> tuple[StepResult, ...]:
        """The results when ``error`` ended the stage.

        Its steps are one statement, so none of them came to its end: beside the one to blame, all were stopped.
        """
        stopped = self.control.reason in ("cancelled", "other_failed")
        results = []
        for step in self._steps:
            if step.id not in self._started:
                continue
            blamed = step.id == error.step and not stopped
            status: StepStatus = "failed" if blamed else "cancelled"
            results.append(self._result(step, status, error=error if blamed or stopped else None))
        return tuple(results)

    def as_stopped(self, error: StepError) -> StepError:
        """A stage that was stopped fails by that, whatever its statement died of."""
        reason = self.control.reason
        if reason == "timeout":
            slow = min(
                (step for step in self._steps if step.timeout_ms is not None), key=lambda step: step.timeout_ms or 0
            )
            message = f"it took longer than its timeout of {(slow.timeout_ms or 0) / 1000:g} s"
            hint = "Raise the step's timeout, or make its query read less."
            return StepError(code="runtime.timeout", message=message, hint=hint, step=slow.id)
        if reason is None:
            return error
        message = "the run was cancelled" if reason == "cancelled" else "stopped because another step failed"
        return StepError(code="runtime.cancelled", message=message, hint="Run the pipeline again.", step=error.step)

    def _try_once(self) -> Sunk:
        timeouts = [step.timeout_ms for step in self._steps if step.timeout_ms is not None]
        cursor = open_cursor(self._database)
        self.control.attach(cursor, min(timeouts, default=None))
        try:
            return self._try_with(cursor, {})
        finally:
            self.control.detach()
            cursor.close()

    def _try_with(self, cursor: duckdb.DuckDBPyConnection, refined: Mapping[str, duckdb.DuckDBPyRelation]) -> Sunk:
        with contextlib.ExitStack() as held:
            attempt = Attempt(
                self._setting, self.stage, cursor, self.control, on_start=self._start, held=held, refined=refined
            )
            corrected = self._sink_or_correct(attempt, refined)
            if isinstance(corrected, Sunk):
                return corrected
        return self._try_with(cursor, corrected)

    def _sink_or_correct(
        self, attempt: Attempt, refined: Mapping[str, duckdb.DuckDBPyRelation]
    ) -> Sunk | dict[str, duckdb.DuckDBPyRelation]:
        try:
            return attempt.run()
        except StepFailure as failure:
            cause = failure.__cause__
            if self.control.cancelled:
                raise
            corrected = attempt.corrections() if not refined and may_be_a_wrong_guess(cause) else {}
            if not corrected:
                if attempt.sinking and may_be_another_step(cause):
                    attempt.blame()
                raise
            return corrected

    def _start(self, step: ManifestStep) -> None:
        self.control.current_step = step.id
        if step.id not in self._started:
            self._started[step.id] = self._setting.clock.now()
            self._setting.listener.step_started(step)

    def _successes(self, sunk: Sunk, rows_before: Mapping[str, int | None]) -> tuple[StepResult, ...]:
        rows_out = {**rows_before, **sunk.rows_out}
        results = []
        for step in self._steps:
            taken = rows_in(step.inputs, rows_out)
            if step.mode == "write" and sunk.written is not None:
                results.append(self._result(step, "success", taken, sunk.written.rows, files=sunk.written.files))
            else:
                results.append(self._result(step, "success", taken, rows_out[step.id]))
        return tuple(results)

    def _result(
        self,
        step: ManifestStep,
        status: StepStatus,
        taken: int | None = None,
        given: int | None = None,
        **more: object,
    ) -> StepResult:
        started_at = self._started[step.id]
        duration_ms = epoch_ms(self._setting.clock.now()) - epoch_ms(started_at)
        result = StepResult(
            id=step.id,
            component=step.component,
            status=status,
            rows_in=taken,
            rows_out=given,
            started_at=started_at,
            duration_ms=max(duration_ms, 0),
        )
        return msgspec.structs.replace(result, **more)


def _policy(steps: list[ManifestStep]) -> RetryPolicy:
    """A stage is retried as a whole: as often as the step of it that wants it most."""
    return max((step.retry for step in steps if step.retry), key=lambda policy: policy.max, default=RetryPolicy())
