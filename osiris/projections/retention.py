"""Which retention plans were begun and not finished: a state and no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from osiris.events.entry import Entry
from osiris.events.retention import PrunedRun, RetentionPlanned, RetentionPruned
from osiris.projections.base import Change, Projection

_Planned = tuple[str, str, str]


class RetentionState(msgspec.Struct, kw_only=True):
    """Plans by id, oldest first, each with the paths of which no later entry has said what became of them."""

    open: dict[str, RetentionPlanned] = {}


def planned(state: RetentionState, event: RetentionPlanned, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Open a plan."""
    if any(run.paths for run in event.runs):
        state.open[event.plan_id] = event
    return ()


def pruned(state: RetentionState, event: RetentionPruned, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Take from a plan what is gone or stays; a plan of which nothing is to go any more is finished."""
    plan = state.open.get(event.plan_id)
    if plan is not None:
        settled = set(_paths((*event.runs, *(event.left or ()))))
        runs = tuple(run for run in (_without(run, settled) for run in plan.runs) if run.paths)
        state.open[event.plan_id] = msgspec.structs.replace(plan, runs=runs)
        if not runs:
            del state.open[event.plan_id]
    return ()


def _paths(runs: Iterable[PrunedRun]) -> Iterable[_Planned]:
    return ((run.pipeline_slug, run.run_id, path) for run in runs for path in run.paths)


def _without(run: PrunedRun, settled: set[_Planned]) -> PrunedRun:
    paths = tuple(path for path in run.paths if (run.pipeline_slug, run.run_id, path) not in settled)
    return msgspec.structs.replace(run, paths=paths)


RETENTION = Projection("retention", RetentionState, {RetentionPlanned: planned, RetentionPruned: pruned})
