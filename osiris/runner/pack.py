"""The pack of a run: ``summary.json`` for programs, ``run-card.md`` for whoever reads first, person or model.

Both are pure functions of the run's event, its end, its steps, its manifest and the record of the run before.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from osiris import durable
from osiris.compiler.manifest import Manifest
from osiris.events.runs import RunError, RunFinished, RunStarted
from osiris.projections.runs import RunRecord
from osiris.runner.card import render_card
from osiris.runner.summary import SUMMARY_NAME, Artifact, RunSummary, StepSummary, delta_to

CARD_NAME = "run-card.md"


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a pack is made from. ``previous`` is the last successful run of the pipeline and profile."""

    started: RunStarted
    finished: RunFinished
    steps: tuple[StepSummary, ...]
    artifacts: tuple[Artifact, ...]
    manifest: Manifest
    previous: RunRecord | None


def summarise(facts: RunFacts) -> RunSummary:
    """The content of ``summary.json``."""
    started, finished = facts.started, facts.finished
    return RunSummary(
        run_id=started.run_id,
        pipeline_slug=started.pipeline_slug,
        profile=started.profile,
        manifest_hash=started.manifest_hash,
        manifest_short=started.manifest_short,
        started_at=started.started_at,
        completed_at=finished.finished_at,
        status=finished.status,
        rows_in=finished.rows_in,
        rows_out=finished.rows_out,
        duration_ms=finished.duration_ms,
        tags=started.tags,
        error=finished.error,
        steps=facts.steps,
        delta=delta_to(facts.previous, started, finished),
        evidence=_evidence(facts),
        artifacts=facts.artifacts,
    )


def write_pack(directory: Path, facts: RunFacts) -> None:
    """Put the pack into ``directory`` in one step; it was not there before. Raises ``OSError``."""
    summary = summarise(facts)
    durable.make_directory(directory.parent)
    temporary = durable.make_temporary_beside(directory)
    try:
        encoded = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
        durable.write_file(temporary / SUMMARY_NAME, encoded, sync=True)
        durable.write_file(
            temporary / CARD_NAME, render_card(summary, facts.manifest, facts.started).encode(), sync=True
        )
        durable.sync_directory(temporary)
        durable.move_into_place(temporary, directory)
    except BaseException:
        durable.remove_tree(temporary)
        raise


def _evidence(facts: RunFacts) -> dict[str, int | str]:
    """Facts under stable ids, which the card cites."""
    evidence: dict[str, int | str] = {
        "run.status": facts.finished.status,
        "run.duration_ms": facts.finished.duration_ms,
    }
    for step in facts.steps:
        for name, value in (("rows_in", step.rows_in), ("rows_out", step.rows_out)):
            if value is not None:
                evidence[f"step.{step.id}.{name}"] = value
    error: RunError | None = facts.finished.error
    if error:
        evidence["run.error"] = error.code
    return evidence
