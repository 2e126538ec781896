"""What goes and why: a pure computation from the ledger's records, the rules, the time, and what exists.

Finish times are the ledger's, never those of files. The newest run is the one that ended last in the journal's order:
a clock may have been set back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from osiris.clock import parse_rfc3339
from osiris.config import RetentionConfig
from osiris.errors import OsirisError
from osiris.events.retention import RetentionPlanned
from osiris.events.runs import RunStarted
from osiris.projections.pipelines import PipelineSummary
from osiris.projections.runs import RunRecord, is_imported, run_key
from osiris.retention.planned import (
    Folder,
    KeptRuns,
    Obstacle,
    PlannedPath,
    Pointer,
    RetentionPlan,
    Root,
    Rule,
    UnfinishedPlan,
)
from osiris.retention.walls import REFUSED, Walls, annex_of, refused

_FOLDERS = 2
"""A run has a run folder and an annex; an imported one has no annex."""
_MICROSECOND = timedelta(microseconds=1)
_DAY_US = timedelta(days=1) // _MICROSECOND


class History(NamedTuple):
    """What the ledger says. ``ended`` has every run that has ended, the one that ended last first."""

    ended: Iterable[RunRecord]
    open: Sequence[RunStarted]
    pointers: frozenset[Pointer]
    unfinished: Sequence[RetentionPlanned]


Look = Callable[[PlannedPath], Folder | None]
"""Looks for a folder: None if there is nothing, an ``OsirisError`` if what is there must not or cannot be deleted."""


def pointers_of(pipelines: Mapping[str, PipelineSummary]) -> frozenset[Pointer]:
    """What the files in ``latest/`` name: of each pipeline the newest build, and the newest of each profile."""
    found = set()
    for slug, pipeline in pipelines.items():
        newest = max((compiled.seq for compiled in pipeline.last_compile.values()), default=0)
        for profile, compiled in pipeline.last_compile.items():
            if profile or compiled.seq == newest:
                found.add((slug, profile, compiled.manifest_hash))
    return frozenset(found)


def plan_retention(history: History, policy: RetentionConfig, now: datetime, look: Look) -> RetentionPlan:
    """Decide what goes."""
    walls = Walls()
    for started in history.open:
        walls.keep(started)
    kept, due, begun = Counter({"running": len(history.open)}), list[PlannedPath](), dict[str, RunRecord]()
    unfinished_runs = {run_key(run.pipeline_slug, run.run_id) for plan in history.unfinished for run in plan.runs}
    ranks = Counter[tuple[str, str]]()
    pointed = set(history.pointers)
    for record in history.ended:
        pipeline = (record.pipeline_slug, record.profile)
        is_ranked = not is_imported(record)  # an import ends in the journal long after it ended
        rank, ranks[pipeline] = ranks[pipeline], ranks[pipeline] + is_ranked
        pointer = (*pipeline, record.manifest_hash)
        found: list[PlannedPath] = []
        walls.protect_pack(record)
        if pointer in pointed:
            pointed.remove(pointer)  # of several runs of one build the newest counts
            reason = "latest"
        elif is_ranked and rank < policy.aiop_keep_runs_per_pipeline:
            reason = "newest"
        else:
            age_us = _age_us(record, now)
            found = list(_due(record, policy, age_us)) if age_us >= 0 else []
            reason = "young" if age_us >= 0 else "unclear"
        due += found
        walls.keep(record, but={path.path for path in found})
        if len(found) < (_FOLDERS if record.aiop_path else 1):
            kept[reason] += 1
        if (key := run_key(record.pipeline_slug, record.run_id)) in unfinished_runs:
            begun.setdefault(key, record)
    survey = _Survey(walls, look)
    unfinished = tuple(survey.unfinished(plan, begun) for plan in history.unfinished)
    paths = tuple(seen for path in reversed(due) if (seen := survey.seen(path)) and seen.folder)
    return RetentionPlan(
        policy=policy,
        pointers=history.pointers,
        unfinished=unfinished,
        paths=paths,
        obstacles=tuple(survey.obstacles),
        kept=KeptRuns(**kept),
    )


class _Survey:
    """Looks for each path once, and keeps what is in the way."""

    def __init__(self, walls: Walls, look: Look) -> None:
        self.obstacles: list[Obstacle] = []
        self._walls = walls
        self._look = look
        self._paths: set[str] = set()

    def seen(self, wanted: PlannedPath) -> PlannedPath | None:
        """``wanted`` with its folder, or with None where nothing is there; None if it stays or was asked for before."""
        if wanted.path in self._paths:
            return None
        self._paths.add(wanted.path)
        try:
            folder = self._look(wanted)
            if folder is not None:
                self._walls.check(wanted.path, wanted.run)
        except OsirisError as error:
            self.obstacles.append(obstacle(wanted, error))
            return None
        return msgspec.structs.replace(wanted, folder=folder)

    def unfinished(self, plan: RetentionPlanned, records: Mapping[str, RunRecord]) -> UnfinishedPlan:
        """What is left of ``plan``, however the rules would decide today: part of it may be deleted already."""
        paths, gone, released = list[PlannedPath](), list[PlannedPath](), list[PlannedPath]()
        for wanted in _left_of(plan, records):
            before = len(self.obstacles)
            if not wanted.manifest_hash:
                self.obstacles.append(obstacle(wanted, _foreign(wanted, plan)))
            elif seen := self.seen(wanted):
                (gone if seen.folder is None else paths).append(seen)
            if any(found.code == REFUSED for found in self.obstacles[before:]):
                released.append(wanted)
        return UnfinishedPlan(
            plan_id=plan.plan_id,
            planned_at=plan.planned_at,
            named=tuple(path for run in plan.runs for path in run.paths),
            paths=tuple(paths),
            gone=tuple(gone),
            released=tuple(released),
        )


def obstacle(wanted: PlannedPath, error: OsirisError) -> Obstacle:
    """Why ``wanted`` stays."""
    return Obstacle(path=wanted.path, run=wanted.run, problem=error.problem, hint=error.hint, code=error.code)


def _age_us(record: RunRecord, now: datetime) -> int:
    """How long ago a run finished, in microseconds; below 0 in the future, and where nobody knows."""
    try:
        return (now - parse_rfc3339(record.finished_at or "")) // _MICROSECOND
    except ValueError:
        return -1


def _due(record: RunRecord, policy: RetentionConfig, age_us: int) -> Iterator[PlannedPath]:
    """What goes of a run that nothing keeps, latest first. Exactly so many days old is not more than so many."""
    days = age_us // _DAY_US
    ago = f"it finished {_days(days)} ago"
    annex = annex_of(record.aiop_path)
    if not record.aiop_path:
        pass  # an imported run has no pack
    elif policy.aiop_keep_runs_per_pipeline:  # whoever ranks among them has been kept
        reason = f"of its pipeline and profile, the newest {policy.aiop_keep_runs_per_pipeline} keep theirs"
        yield _path(record, annex, "aiop_dir", "aiop_keep_runs_per_pipeline", reason)
    elif 0 < policy.annex_keep_days * _DAY_US < age_us:
        yield _path(
            record, annex, "aiop_dir", "annex_keep_days", f"{ago}; an annex is kept {_days(policy.annex_keep_days)}"
        )
    if 0 < policy.run_logs_days * _DAY_US < age_us:
        reason = f"{ago}; a run folder is kept {_days(policy.run_logs_days)}"
        yield _path(record, record.run_logs_path, "run_logs_dir", "run_logs_days", reason)


def _days(number: int) -> str:
    return f"{number} day{'' if number == 1 else 's'}"


def _path(record: RunRecord, path: str, root: Root, rule: Rule, reason: str) -> PlannedPath:
    return PlannedPath(
        path=path,
        root=root,
        run_id=record.run_id,
        pipeline_slug=record.pipeline_slug,
        profile=record.profile,
        manifest_hash=record.manifest_hash,
        finished_at=record.finished_at or "",
        rule=rule,
        reason=reason,
    )


def _left_of(plan: RetentionPlanned, records: Mapping[str, RunRecord]) -> Iterator[PlannedPath]:
    """The paths of an unfinished plan; one that is no folder of its run comes without a manifest hash."""
    reason = f"a clean planned it at {plan.planned_at} and did not come to its end"
    for run in plan.runs:
        record = records.get(run_key(run.pipeline_slug, run.run_id))
        for path in run.paths:
            if record and path in (record.run_logs_path, annex_of(record.aiop_path)):
                root: Root = "run_logs_dir" if path == record.run_logs_path else "aiop_dir"
                yield _path(record, path, root, "unfinished", reason)
            else:
                yield PlannedPath(
                    path=path,
                    root="run_logs_dir",
                    run_id=run.run_id,
                    pipeline_slug=run.pipeline_slug,
                    profile="",
                    manifest_hash="",
                    finished_at="",
                    rule="unfinished",
                    reason=reason,
                )


def _foreign(wanted: PlannedPath, plan: RetentionPlanned) -> OsirisError:
    return refused(
        wanted.path,
        f"the plan {plan.plan_id} names it, and it is no folder of {wanted.run}, or that run has no end",
        "Nothing has to be done; the plan lets go of it.",
    )
