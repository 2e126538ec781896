"""What ``summary.json`` holds, in the order of its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from osiris.events.runs import RunError
from osiris.runner.comparison import ManifestChanges, StepComparison

SUMMARY_NAME = "summary.json"
CARD_NAME = "run-card.md"

StepStatus = Literal["success", "reused", "failed", "cancelled", "skipped", "interrupted"]
COMPLETED: tuple[StepStatus, ...] = ("success", "reused")
"""What a step that does what it should can be; its output is there."""


class StepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Row counts are exact; null where the engine fused the step into another and nothing was counted.

    Steps that were fused into one statement ran at the same time, so their durations overlap. ``started_at`` is null
    where the step never began, ``duration_ms`` where it was interrupted: nobody knows when its process died. Both are
    null where the step was ``reused``: its rows are those that the resumed run had kept.
    """

    id: str
    component: str
    status: StepStatus
    rows_in: int | None
    rows_out: int | None
    duration_ms: int | None
    started_at: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a step put in place."""

    path: str
    bytes: int
    sha256: str
    step: str


class AnnexFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of ``annex/``: its lines, and how many lines of the run's log were left out of its middle."""

    name: str
    lines: int
    cut: int


class PreviousAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """The run of this pipeline and profile that ended last before this one; ``error_*`` are "" where it succeeded."""

    run_id: str
    status: str
    error_code: str = ""
    error_step: str = ""


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the last successful run of the pipeline and profile; null where it cannot be compared.

    ``rows_in``, ``rows_out`` and ``duration_ms`` are this run's minus that one's. ``manifest`` is null where that
    run's manifest is gone, ``steps`` where its pack is. ``environment`` has the versions that differ. All of these are
    null before the first success. ``last_attempt`` is the run before this one, however it ended;
    ``unsuccessful_since`` how many runs between the last success and this one did not succeed.
    """

    previous_run_id: str | None
    manifest_changed: bool | None
    rows_in: int | None
    rows_out: int | None
    duration_ms: int | None
    manifest: ManifestChanges | None = None
    environment: dict[str, tuple[str | None, str | None]] | None = None
    steps: tuple[StepComparison, ...] | None = None
    last_attempt: PreviousAttempt | None = None
    unsuccessful_since: int | None = None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of ``summary.json``. Rows of reused steps count as if these had run.

    ``duration_ms`` and both row counts are null for an interrupted run, whose ``completed_at`` is when it was noticed.
    """

    run_id: str
    pipeline_slug: str
    profile: str
    manifest_hash: str
    manifest_short: str
    started_at: str
    completed_at: str
    status: Literal["success", "failed", "cancelled", "interrupted"]
    rows_in: int | None
    rows_out: int | None
    duration_ms: int | None
    tags: tuple[str, ...]
    error: RunError | None
    steps: tuple[StepSummary, ...]
    delta: Delta | None
    evidence: dict[str, int | str]
    artifacts: tuple[Artifact, ...]
    annex: tuple[AnnexFile, ...] = ()
    resumed_from: str = ""


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
