"""The engine: a plan is recorded, then the folders go, then what is gone is recorded.

A process that dies in between leaves a plan in the journal that is not finished; the next clean finishes it first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from osiris import durable
from osiris.clock import next_ulid, rfc3339
from osiris.config import RetentionConfig
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.entry import MAX_EVENT_BYTES
from osiris.events.retention import PrunedRun, RetentionPlanned, RetentionPruned
from osiris.ledger.ledger import Transaction
from osiris.ledger.queries import ended_runs
from osiris.locks import try_acquire
from osiris.project import Project
from osiris.retention.folders import Place, look, remove
from osiris.retention.plan import History, obstacle, plan_retention, pointers_of
from osiris.retention.planned import Folder, Obstacle, PlannedPath, Pointer, RetentionPlan, UnfinishedPlan
from osiris.retention.walls import REFUSED, Walls

_LOCK = "retention.lock"
_FRAME_BYTES = 4096
"""What a retention event has besides its paths: names of fields, the plan's id, a time."""


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """What a clean did: the ``plan`` that it made, the paths that are ``gone``, and what is in the way of others."""

    plan: RetentionPlan
    gone: tuple[PlannedPath, ...]
    obstacles: tuple[Obstacle, ...]


def survey(project: Project, policy: RetentionConfig) -> RetentionPlan:
    """What a clean would do now. Takes no lock and writes nothing but what brings the index up to the journal's end."""
    now = project.ledger.peek()
    history = History(
        ended=ended_runs(project.ledger),
        open=tuple(now.open_runs().values()),
        pointers=pointers_of(now.pipelines()),
        unfinished=now.open_plans(),
    )

    def look_in_project(wanted: PlannedPath) -> Folder | None:
        return look(_place(project, wanted))

    return plan_retention(history, policy, now.moment, look_in_project)


def clean(project: Project, policy: RetentionConfig) -> Cleaned:
    """Finish what an earlier clean left, then delete what is due, in batches of ``retention.batch_size`` paths.

    A path that stays for a reason of its own is an obstacle, and all others go. Raises exit 6 while another clean is
    at work, 7 where nothing can be recorded: then no further path is deleted.
    """
    with _alone(project):
        plan = survey(project, policy)
        done = _Progress(project, plan)
        for unfinished in plan.unfinished:
            done.finish(unfinished)
        for batch in _batches(plan.paths, project.config.retention.batch_size):
            done.carry_out(batch)
        return Cleaned(plan=plan, gone=tuple(done.gone), obstacles=tuple(done.obstacles))


class _Progress:
    """One clean at work: what is gone so far, and what was in the way."""

    def __init__(self, project: Project, plan: RetentionPlan) -> None:
        self.gone: list[PlannedPath] = []
        self.obstacles = list(plan.obstacles)
        self._project = project
        self._plan = plan

    def carry_out(self, batch: Sequence[PlannedPath]) -> None:
        """Record that ``batch`` goes, without what has changed since the plan was made, and delete it."""
        with self._project.ledger.transaction() as transaction:
            batch = _still_due(batch, transaction, self._plan.pointers)
            plan_id = next_ulid(transaction.moment, after=transaction.last_id)
            if batch:
                planned_at = rfc3339(transaction.moment)
                transaction.add(RetentionPlanned(plan_id=plan_id, planned_at=planned_at, runs=_by_run(batch)))
        self._delete(plan_id, batch, (), ())

    def finish(self, unfinished: UnfinishedPlan) -> None:
        """Delete what is left of a plan that was recorded before."""
        with self._project.ledger.transaction() as transaction:  # refuses what a newer Osiris may have decided
            paths = _still_due(unfinished.paths, transaction, pointers_of(transaction.pipelines()))
        self._delete(unfinished.plan_id, paths, unfinished.gone, unfinished.released)

    def _delete(
        self,
        plan_id: str,
        paths: Sequence[PlannedPath],
        gone_before: Sequence[PlannedPath],
        released: Sequence[PlannedPath],
    ) -> None:
        gone, left = list(gone_before), list(released)
        for path in paths:
            try:
                assert path.folder is not None
                remove(_place(self._project, path), path.folder)
            except OsirisError as error:
                self.obstacles.append(obstacle(path, error))
                if error.code == REFUSED:
                    left.append(path)
                continue
            gone.append(path)
            self.gone.append(path)
        if gone or left:
            pruned_at = rfc3339(self._project.clock.now())
            stays = _by_run(left) or msgspec.UNSET
            self._project.ledger.record(
                RetentionPruned(plan_id=plan_id, pruned_at=pruned_at, runs=_by_run(gone), left=stays)
            )


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    path = project.path(project.config.filesystem.sessions_dir) / _LOCK
    try:
        durable.make_directory(path.parent)
    except OSError as cause:
        raise disk_error("create", path.parent, cause) from cause
    held = try_acquire(path)
    if held is None:
        raise OsirisError(
            f"another `osiris maintenance clean` is deleting already: it holds {path}",
            "Let it finish, then clean again if anything is left.",
            code="retention.locked",
            exit_code=ExitCode.LOCKED,
            path=str(path),
        )
    with held:
        yield


def _still_due(
    paths: Sequence[PlannedPath], transaction: Transaction, pointers: Collection[Pointer]
) -> list[PlannedPath]:
    """``paths`` but those of runs that are alive, that a living run has, or that a pointer leads to by now."""
    alive = Walls()
    for started in transaction.open_runs().values():
        alive.keep(started)
    pointed = pointers_of(transaction.pipelines()).difference(pointers)
    return [
        path
        for path in paths
        if path.run not in transaction.open_runs()
        and (path.pipeline_slug, path.profile, path.manifest_hash) not in pointed
        and alive.permits(path.path, path.run)
    ]


def _batches(paths: Sequence[PlannedPath], batch_size: int) -> Iterator[list[PlannedPath]]:
    """``paths`` in turn, so many at a time, and no more than one entry of the journal holds."""
    batch, room = list[PlannedPath](), MAX_EVENT_BYTES - _FRAME_BYTES
    for path in paths:
        size = len(msgspec.json.encode(_pruned_run(path.pipeline_slug, path.run_id, [path]))) + 1
        if batch and (len(batch) == batch_size or size > room):
            yield batch
            batch, room = [], MAX_EVENT_BYTES - _FRAME_BYTES
        batch.append(path)
        room -= size
    if batch:
        yield batch


def _by_run(paths: Sequence[PlannedPath]) -> tuple[PrunedRun, ...]:
    runs: dict[tuple[str, str], list[PlannedPath]] = {}
    for path in paths:
        runs.setdefault((path.pipeline_slug, path.run_id), []).append(path)
    return tuple(_pruned_run(*run, its_paths) for run, its_paths in runs.items())


def _pruned_run(slug: str, run_id: str, paths: Sequence[PlannedPath]) -> PrunedRun:
    return PrunedRun(run_id=run_id, pipeline_slug=slug, paths=tuple(path.path for path in paths))


def _place(project: Project, path: PlannedPath) -> Place:
    root: str = getattr(project.config.filesystem, path.root)
    return Place(project.root, root, path.path)
