"""What ``summary.json`` holds, in the order of its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from osiris.events.runs import RunError, RunFinished, RunStarted
from osiris.projections.runs import RunRecord

SUMMARY_NAME = "summary.json"

StepStatus = Literal["success", "failed", "cancelled", "skipped"]


class StepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Row counts are exact; null where the engine fused the step into another and nothing was counted.

    Steps that were fused into one statement ran at the same time, so their durations overlap. ``started_at`` is null
    where the step never began.
    """

    id: str
    component: str
    status: StepStatus
    rows_in: int | None
    rows_out: int | None
    duration_ms: int
    started_at: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a step put in place."""

    path: str
    bytes: int
    sha256: str
    step: str


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """This run minus the last successful one of the pipeline and profile; null where one side was not counted."""

    previous_run_id: str
    manifest_changed: bool
    rows_in: int | None
    rows_out: int | None
    duration_ms: int | None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of ``summary.json``."""

    run_id: str
    pipeline_slug: str
    profile: str
    manifest_hash: str
    manifest_short: str
    started_at: str
    completed_at: str
    status: Literal["success", "failed", "cancelled"]
    rows_in: int | None
    rows_out: int | None
    duration_ms: int
    tags: tuple[str, ...]
    error: RunError | None
    steps: tuple[StepSummary, ...]
    delta: Delta | None
    evidence: dict[str, int | str]
    artifacts: tuple[Artifact, ...]


def delta_to(previous: RunRecord | None, started: RunStarted, finished: RunFinished) -> Delta | None:
    """What changed since ``previous``; None where there is nothing to compare with."""
    if previous is None:
        return None
    return Delta(
        previous_run_id=previous.run_id,
        manifest_changed=previous.manifest_hash != started.manifest_hash,
        rows_in=_minus(finished.rows_in, previous.rows_in),
        rows_out=_minus(finished.rows_out, previous.rows_out),
        duration_ms=_minus(finished.duration_ms, previous.duration_ms),
    )


def read_summary(directory: Path) -> RunSummary | None:
    """The summary of the pack in ``directory``; None where there is no pack or it cannot be read."""
    try:
        return msgspec.json.decode((directory / SUMMARY_NAME).read_bytes(), type=RunSummary)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def read_steps(directory: Path) -> tuple[StepSummary, ...]:
    """The steps as the pack in ``directory`` tells them; none where there is no pack or it cannot be read."""
    summary = read_summary(directory)
    return summary.steps if summary else ()


def _minus(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before
