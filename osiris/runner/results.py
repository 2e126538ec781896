"""What comes out of executing a manifest, and who is told while it goes on."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from osiris.compiler.manifest import ManifestStep
from osiris.components.base import WrittenFile

StepStatus = Literal["success", "reused", "failed", "cancelled", "skipped"]


class StepError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step failed. ``line`` and ``column`` are the place in the step's query, from 1, where it is known."""

    code: str
    message: str
    hint: str
    step: str
    line: int | None = None
    column: int | None = None


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one step ended. Rows are exact; None means that nobody counted them, never zero.

    Steps that run as one statement share its end, so their durations overlap.
    """

    id: str
    component: str
    status: StepStatus
    rows_in: int | None = None
    rows_out: int | None = None
    started_at: datetime | None = None
    duration_ms: int = 0
    files: tuple[WrittenFile, ...] = ()
    error: StepError | None = None


class ExecutionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the whole manifest ended: ``steps`` in the manifest's order; ``error`` is the first that failed it."""

    status: Literal["success", "failed", "cancelled"]
    steps: tuple[StepResult, ...]
    error: StepError | None = None


class RuntimeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """``memory_limit`` as DuckDB writes it (``4GB``), None for 60 % of the machine; ``threads`` None for all cores."""

    memory_limit: str | None = None
    threads: int | None = None


class Listener(Protocol):
    """Is told what happens. Calls come from several threads, never two at once for one step."""

    def step_started(self, step: ManifestStep) -> None:
        """The step's ``run`` is about to be called for the first time."""
        ...

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        """Rows handled so far as the component says, or how far DuckDB thinks the statement is, 0 to 100."""
        ...

    def step_finished(self, result: StepResult) -> None:
        """The step has succeeded, or its kept output is reused."""
        ...

    def step_failed(self, result: StepResult) -> None:
        """The step was started and has failed or was cancelled; steps never started are not reported."""
        ...

    def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
        """The try number ``attempt`` (from 1) failed; the next one begins after ``delay_ms``."""
        ...

    def warning(self, step_id: str, message: str) -> None:
        """Something that a person should know, though the step goes on."""
        ...

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        """One measurement that a component made."""
        ...
