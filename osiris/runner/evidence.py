"""Evidence: every number that a card cites, under an id that stays the same from run to run.

    id       = "run." key | "step." step "." key | "artifact." n ".bytes" | "annex." file "." ("lines" | "cut")
             | "delta." key | "previous." key | "previous.step." step "." key

``step`` is the step's id, ``n`` counts from 1. A value that is not known has no id. ``docs/pack.md`` lists the keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from osiris.projections.runs import RunRecord
from osiris.runner.annex import Annex
from osiris.runner.summary import AnnexFile, Artifact, Delta, RunSummary, StepSummary

Value = int | str
_STEP_KEYS = ("rows_in", "rows_out", "duration_ms")
_RUN_KEYS = ("status", "started_at", "completed_at", "duration_ms", "rows_in", "rows_out")


def collect_evidence(
    summary: RunSummary,
    *,
    planned_steps: int,
    annex: Annex,
    success: RunRecord | None,
    previous_steps: Sequence[StepSummary],
) -> dict[str, Value]:
    """All evidence of a run; ``summary`` is whole but for it. ``success`` is the run that ``delta`` is against."""
    found: dict[str, Value | None] = {f"run.{key}": getattr(summary, key) for key in _RUN_KEYS}
    found |= {"run.steps": planned_steps, "run.warnings": annex.warnings, "run.last_event_ms": annex.last_ms}
    if summary.error:
        found |= {"run.error": summary.error.code, "run.error_line": summary.error.line or None}
        found["run.error_column"] = summary.error.column or None
    found |= dict(_of_steps(summary.steps, "step"))
    found |= {f"step.{step}.retries": retries for step, retries in annex.retries.items()}
    found |= dict(_of_files(summary.artifacts, summary.annex))
    if summary.delta:
        found |= dict(_of_delta(summary.delta))
    if success:
        found |= {f"previous.{key}": getattr(success, key) for key in ("started_at", *_STEP_KEYS)}
        found |= {key: value for key, value in _of_steps(previous_steps, "previous.step") if not key.endswith("status")}
    return {key: value for key, value in found.items() if value is not None}


def _of_steps(steps: Sequence[StepSummary], prefix: str) -> Iterator[tuple[str, Value | None]]:
    for step in steps:
        yield f"{prefix}.{step.id}.status", step.status
        if step.status != "skipped":
            yield from ((f"{prefix}.{step.id}.{key}", getattr(step, key)) for key in _STEP_KEYS)


def _of_files(artifacts: Sequence[Artifact], annex: Sequence[AnnexFile]) -> Iterator[tuple[str, Value | None]]:
    for number, artifact in enumerate(artifacts, start=1):
        yield f"artifact.{number}.bytes", artifact.bytes
    for file in annex:
        name = file.name.partition(".")[0]
        yield f"annex.{name}.lines", file.lines
        yield f"annex.{name}.cut", file.cut


def _of_delta(delta: Delta) -> Iterator[tuple[str, Value | None]]:
    for key in ("rows_in", "rows_out", "duration_ms", "unsuccessful_since"):
        yield f"delta.{key}", getattr(delta, key)
