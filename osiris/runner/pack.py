"""The pack of a run: ``summary.json`` for programs, ``run-card.md`` for whoever reads first, ``annex/`` for detail.

Summary and card are pure functions of the run's first and last event, its steps, its log, its manifest and what is
known of the runs before. ``docs/pack.md`` says what each field means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from osiris import durable
from osiris.compiler.manifest import Manifest
from osiris.events.runs import RunError, RunFinished, RunInterrupted, RunStarted
from osiris.runner.annex import Annex, read_log, write_annex
from osiris.runner.card import render_card
from osiris.runner.earlier import EarlierRuns, delta_to
from osiris.runner.evidence import collect_evidence
from osiris.runner.summary import CARD_NAME, SUMMARY_NAME, Artifact, RunSummary, StepSummary


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a pack is made from, but the run's own log. ``manifest`` is None where it is gone."""

    started: RunStarted
    finished: RunFinished | RunInterrupted
    steps: tuple[StepSummary, ...]
    artifacts: tuple[Artifact, ...]
    manifest: Manifest | None
    earlier: EarlierRuns


class _End(NamedTuple):
    """The run's last event, whichever it is; ``rows`` are in and out."""

    status: Literal["success", "failed", "cancelled", "interrupted"]
    at: str
    error: RunError | None
    duration_ms: int | None = None
    rows: tuple[int | None, int | None] = (None, None)


def _end(last: RunFinished | RunInterrupted) -> _End:
    if isinstance(last, RunInterrupted):
        return _End("interrupted", last.noticed_at, last.error)
    return _End(last.status, last.finished_at, last.error, last.duration_ms, (last.rows_in, last.rows_out))


def summarise(facts: RunFacts, annex: Annex) -> RunSummary:
    """The content of ``summary.json``."""
    started, end = facts.started, _end(facts.finished)
    summary = RunSummary(
        run_id=started.run_id,
        pipeline_slug=started.pipeline_slug,
        profile=started.profile,
        manifest_hash=started.manifest_hash,
        manifest_short=started.manifest_short,
        started_at=started.started_at,
        completed_at=end.at,
        status=end.status,
        rows_in=end.rows[0],
        rows_out=end.rows[1],
        duration_ms=end.duration_ms,
        tags=started.tags,
        error=end.error,
        steps=facts.steps,
        delta=delta_to(facts.earlier, started, rows=end.rows, duration_ms=end.duration_ms, steps=facts.steps),
        evidence={},
        artifacts=facts.artifacts,
        annex=annex.files,
        resumed_from=started.resumed_from,
    )
    evidence = collect_evidence(
        summary,
        planned_steps=len(facts.manifest.steps) if facts.manifest else len(facts.steps),
        annex=annex,
        success=facts.earlier.success,
        previous_steps=facts.earlier.steps or (),
    )
    return msgspec.structs.replace(summary, evidence=evidence)


def write_pack(directory: Path, facts: RunFacts, run_folder: Path, *, events_tail: int = 0) -> None:
    """Put the pack into ``directory`` in one step; it was not there before. Raises ``OSError``.

    ``events_tail`` is how many of the last events also stand beside the summary, where they outlive the annex.
    """
    end = _end(facts.finished)
    annex = read_log(run_folder, facts.started.started_at, error=end.error, ended_at=end.at)
    summary = summarise(facts, annex)
    card = render_card(summary, annex, facts.manifest, facts.started)
    durable.make_directory(directory.parent)
    temporary = durable.make_temporary_beside(directory)
    try:
        encoded = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
        durable.write_file(temporary / SUMMARY_NAME, encoded, sync=True)
        durable.write_file(temporary / CARD_NAME, card.encode(), sync=True)
        write_annex(temporary, annex, tail=events_tail)
        durable.sync_directory(temporary)
        durable.move_into_place(temporary, directory)
    except BaseException:
        durable.remove_tree(temporary)
        raise
