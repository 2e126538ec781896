"""Runs made of words: what the page of a run is made from, with any text in every place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec

from osiris.cli.report.sources import FoundFile, Sources, href
from osiris.clock import parse_rfc3339, rfc3339
from osiris.compiler.manifest import Fingerprints, Manifest, ManifestPipeline, ManifestStep
from osiris.events.runs import RunError
from osiris.projections.runs import RunRecord
from osiris.runner.comparison import ManifestChanges, StepChange, StepComparison
from osiris.runner.run_log import LoggedEvent
from osiris.runner.summary import Artifact, Delta, PreviousAttempt, RunSummary, StepSummary

START = "2026-11-21T00:40:00.000000Z"
Word = Callable[[], str]


def at(ms: float) -> str:
    """A time so long after the start."""
    return rfc3339(parse_rfc3339(START) + timedelta(milliseconds=ms))


def record_of(word: Word, **more: object) -> RunRecord:
    """A failed run, every text of which is a ``word``."""
    fields: dict[str, object] = {
        **{name: word() for name in RunRecord.__struct_fields__},
        "status": "failed",
        "duration_ms": 1000,
        "tags": [word()],
        "started_at": START,
        "finished_at": at(1000),
        "rows_in": 3,
        "rows_out": None,
        "error": RunError(code=word(), message=word(), step=word(), line=1, hint=word()),
        "runtime_env": {word(): word()},
        "seq": 3,
        "pruned_at": None,
        **more,
    }
    return msgspec.convert(fields, RunRecord)


def sources_of(word: Word) -> Sources:
    """A run with one of everything that the page shows."""
    steps = tuple(
        StepSummary(id=f"{n}{word()}", component=word(), status="success", rows_in=n, rows_out=None, duration_ms=n)
        for n in range(3)
    )
    files = tuple(
        FoundFile(group=group, path=f"{n}/{word()}", href=href(Path(f"/r/{n}x"), Path("/r")), bytes=n, exists=True)
        for n, group in enumerate(("outputs", "pack", "log", "build"))
    )
    artifacts = (Artifact(path=files[0].path, bytes=7, sha256=word(), step=word()),)
    manifest = Manifest(
        oml_version="0.1.0",
        pipeline=ManifestPipeline(slug=word(), name=word(), intent=word()),
        profile=word(),
        params={word(): word()},
        requires={},
        steps=tuple(
            ManifestStep(
                id=step.id,
                component=word(),
                component_version="1",
                mode="read",
                needs=(word(),),
                config="",
                config_digest="",
            )
            for step in steps
        ),
        fingerprints=Fingerprints(oml="", params="", components={}, compiler=""),
    )
    return Sources(
        record=record_of(word),
        summary=msgspec.structs.replace(summary_of(steps, artifacts), delta=delta_of(word)),
        between=(record_of(word),),
        events=(
            LoggedEvent(seq=1, at=at(0), event="step.started", step=steps[0].id),
            LoggedEvent(
                seq=2, at=at(1), event="step.retried", step=steps[0].id, attempt=1, code=word(), message=word()
            ),
            LoggedEvent(seq=3, at=at(2), event="step.warning", step=word(), message=word()),
        ),
        events_problem=word(),
        manifest=manifest,
        query=word(),
        files=files,
    )


def delta_of(word: Word) -> Delta:
    """A delta with one of everything, every text of which is a ``word``."""
    return Delta(
        previous_run_id=word(),
        manifest_changed=True,
        rows_in=1,
        rows_out=None,
        duration_ms=-1,
        manifest=ManifestChanges(
            params={word(): (word(), word())},
            steps_added=(word(),),
            steps_removed=(word(),),
            steps_changed=(StepChange(id=word(), keys=(word(),)),),
            components={word(): (word(), word())},
            requires={word(): (None, word())},
            other=(word(), word()),
        ),
        environment={word(): (word(), None)},
        steps=(
            StepComparison(
                id=word(), status=("success", "failed"), rows_in=(1, 1), rows_out=(1, 2), duration_ms=(1, 2)
            ),
        ),
        last_attempt=PreviousAttempt(run_id=word(), status="failed", error_code=word(), error_step=word()),
        unsuccessful_since=3,
    )


def summary_of(
    steps: tuple[StepSummary, ...], artifacts: tuple[Artifact, ...] = (), previous: str = "run-000001"
) -> RunSummary:
    """A pack with these steps."""
    return RunSummary(
        run_id="run-000002",
        pipeline_slug="orders",
        profile="dev",
        manifest_hash="",
        manifest_short="",
        started_at=START,
        completed_at=at(1000),
        status="success",
        rows_in=3,
        rows_out=None,
        duration_ms=1000,
        tags=(),
        error=None,
        steps=steps,
        delta=Delta(previous_run_id=previous, manifest_changed=True, rows_in=1, rows_out=None, duration_ms=-1),
        evidence={},
        artifacts=artifacts,
    )
