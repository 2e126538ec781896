"""The steps of a run: what its pack tells, and, where there is none, what its log and its manifest tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from osiris.cli.report.sources import Sources
from osiris.cli.report.wording import moment
from osiris.compiler.manifest import ManifestStep
from osiris.projections.runs import RunStatus
from osiris.runner.run_log import LoggedEvent
from osiris.runner.summary import StepSummary

StepState = Literal["success", "reused", "failed", "cancelled", "running", "interrupted", "waiting", "not run"]
_ENDS: dict[str, StepState] = {
    "step.finished": "success",
    "step.reused": "reused",
    "step.failed": "failed",
    "step.cancelled": "cancelled",
}


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A try that failed, ``at_ms`` after the run's start; the next one began ``delay_ms`` later."""

    at_ms: float
    attempt: int
    delay_ms: int
    code: str
    message: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. ``at_ms`` counts from the run's start; None where the step never began, or nobody knows when.

    ``duration_ms`` is None where it has not ended. ``fused`` says that its rows went into the next step uncounted.
    """

    id: str
    component: str
    state: StepState
    needs: tuple[str, ...] = ()
    at_ms: float | None = None
    duration_ms: int | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    fused: bool = False
    percent: float | None = None
    retries: tuple[Retry, ...] = ()

    @property
    def rows_per_second(self) -> int | None:
        """The rows that it gave, or else took, by the time that it took; None where one of them is not known."""
        rows = self.rows_out if self.rows_out is not None else self.rows_in
        return None if rows is None or not self.duration_ms else rows * 1000 // self.duration_ms


def steps_of(sources: Sources) -> tuple[Step, ...]:
    """All steps in the manifest's order, else in that of the pack or the log."""
    summaries = {step.id: step for step in sources.summary.steps} if sources.summary else {}
    planned = {step.id: step for step in sources.manifest.steps} if sources.manifest else {}
    logged: dict[str, list[LoggedEvent]] = {}
    for event in sources.events:
        if event.step:
            logged.setdefault(event.step, []).append(event)
    start = moment(sources.record.started_at)
    ids = dict.fromkeys((*planned, *summaries, *logged))
    return tuple(
        _step(planned.get(id_), summaries.get(id_), logged.get(id_, []), id_, sources.record.status, start)
        for id_ in ids
    )


def after_ms(start: datetime | None, at: str | None) -> float | None:
    """Milliseconds from ``start`` to the time ``at``; never less than 0, for a clock may be set back."""
    then = moment(at)
    return None if start is None or then is None else max(0.0, (then - start).total_seconds() * 1000)


def _step(
    planned: ManifestStep | None,
    summary: StepSummary | None,
    events: Sequence[LoggedEvent],
    id_: str,
    status: RunStatus,
    start: datetime | None,
) -> Step:
    began = next((event.at for event in events if event.event == "step.started"), None)
    ended = next((event for event in reversed(events) if event.event in _ENDS), None)
    step = Step(
        id=id_,
        component=planned.component if planned else "",
        state=_ENDS[ended.event] if ended else _open_state(status, began=began is not None),
        needs=tuple(dict.fromkeys((*planned.needs, *planned.inputs.values()))) if planned else (),
        at_ms=after_ms(start, began),
        duration_ms=ended.duration_ms if ended else None,
        rows_in=ended.rows_in if ended else None,
        rows_out=ended.rows_out if ended else None,
        percent=next((event.percent for event in reversed(events) if event.percent is not None), None),
        retries=tuple(_retry(event, start) for event in events if event.event == "step.retried"),
    )
    if summary:
        began = summary.started_at or began
        step = msgspec.structs.replace(
            step,
            component=summary.component,
            state="not run" if summary.status == "skipped" else summary.status,
            at_ms=after_ms(start, began),
            duration_ms=summary.duration_ms if began or summary.status != "skipped" else None,
            rows_in=summary.rows_in,
            rows_out=summary.rows_out,
        )
    uncounted = step.state == "success" and step.rows_out is None
    return msgspec.structs.replace(step, fused=uncounted and planned is not None and planned.mode != "write")


def _open_state(status: RunStatus, *, began: bool) -> StepState:
    """A step without an end: what became of it follows from what became of the run."""
    if status == "running":
        return "running" if began else "waiting"
    return "interrupted" if began else "not run"


def _retry(event: LoggedEvent, start: datetime | None) -> Retry:
    return Retry(
        at_ms=after_ms(start, event.at) or 0.0,
        attempt=event.attempt or 0,
        delay_ms=event.duration_ms or 0,
        code=event.code,
        message=event.message,
    )
