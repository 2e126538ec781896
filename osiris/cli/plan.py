"""``osiris run --dry-run``: what would run as one statement, and how rows go from step to step."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from osiris.compiler.manifest import Manifest
from osiris.compiler.project_build import build_tokens
from osiris.project import Project
from osiris.runner.plan import plan_execution
from osiris.runner.step_configs import component


class EdgeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that go from one step to another: as a ``view``, a ``stream``, ``shared`` or ``parquet``."""

    producer: str
    consumer: str
    kind: str


class StageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Steps that run as one statement, and the edges that lead into them."""

    steps: tuple[str, ...]
    edges: tuple[EdgeDocument, ...]


class PlanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris run --dry-run --json`` prints; nothing was written.

    ``kept`` says that what steps give is kept in the run folder, which makes all of it Parquet. ``reused`` are the
    steps that a resumed run would take over; they are in no statement.
    """

    pipeline_slug: str
    profile: str
    manifest_hash: str
    build_exists: bool
    kept: bool
    reused: tuple[str, ...]
    stages: tuple[StageDocument, ...]


def plan_document(project: Project, manifest: Manifest, *, kept: bool, reused: Collection[str]) -> PlanDocument:
    """The plan of a manifest whose steps' outputs are ``kept`` or not, and of which some are ``reused``."""
    rows = {step.id: component(step.component).spec.rows for step in manifest.steps}
    plan = plan_execution(manifest.steps, rows, kept=kept)
    by_id = {step.id: step for step in manifest.steps}
    stages = tuple(
        StageDocument(
            steps=stage.steps,
            edges=tuple(
                EdgeDocument(producer=producer, consumer=step, kind=plan.carriers[producer])
                for step in stage.steps
                for producer in sorted(set(by_id[step].inputs.values()))
            ),
        )
        for stage in plan.stages
        if stage.sink not in reused
    )
    return PlanDocument(
        pipeline_slug=manifest.pipeline.slug,
        profile=manifest.profile,
        manifest_hash=manifest.manifest_hash,
        build_exists=project.path(project.contract.manifest_dir(build_tokens(manifest))).is_dir(),
        kept=kept,
        reused=tuple(reused),
        stages=stages,
    )


def plan_lines(plan: PlanDocument) -> Iterator[str]:
    """The plan for a person."""
    profile = f" ({plan.profile})" if plan.profile else ""
    state = "stands already" if plan.build_exists else "would be compiled"
    yield f"{plan.pipeline_slug}{profile}: build {plan.manifest_hash[:7]} {state}; nothing was changed"
    if plan.reused:
        yield f"  reused: {', '.join(plan.reused)}"
    for number, stage in enumerate(plan.stages, start=1):
        yield f"  statement {number}: {', '.join(stage.steps)}"
        for edge in stage.edges:
            why = _KEPT if plan.kept else _WHY[edge.kind]
            yield f"    {edge.producer} -> {edge.consumer}: {why}"


_WHY = {
    "view": "view (one consumer: filters and projections reach the scan)",
    "stream": "stream (one consumer, read once)",
    "shared": "shared (several consumers in one statement: read once)",
    "parquet": "Parquet in the work folder (consumers in several statements, or none)",
}
_KEPT = "Parquet in the run folder (kept, so that the run can be resumed)"
