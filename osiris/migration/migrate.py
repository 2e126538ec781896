"""The migration: recorded first, then moved, so that a kill at any point is finished by the next try.

Until its last step a session stands in the old folder under its name, so a later try finds it there. The steps are:
``run.imported`` in the journal, with the place where the run's files will be; the new log, written beside that place
and renamed to it; the old ``artifacts/``; the rest of the old folder, which becomes ``legacy/`` in the new one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import msgspec

from osiris import durable
from osiris.errors import OsirisError, disk_error
from osiris.layout.paths import is_below
from osiris.ledger.runs import import_runs
from osiris.locks import acquire
from osiris.migration.convert import ARTIFACTS_NAME, write_converted
from osiris.migration.moving import bring
from osiris.migration.plan import LEGACY_NAME, LeftAlone, PlannedRun, Wishes, make_plan
from osiris.project import Project

_LOCK_NAME = "migration.lock"
_AT_ONCE = 100
"""So many runs share a sync of the journal."""


class MigratedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run: where it lay, where it goes, and what is recorded of it. Paths as in the journal, times in UTC."""

    source: str
    run_logs_path: str
    run_id: str
    pipeline_slug: str
    profile: str
    status: Literal["success", "failed", "cancelled", "interrupted"]
    started_at: str
    finished_at: str
    duration_ms: int | None
    rows_in: int | None
    rows_out: int | None
    notes: tuple[str, ...]


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be where ``applied`` is false; ``removed_logs`` says that the old folder is gone."""

    logs: str
    applied: bool
    runs: tuple[MigratedRun, ...]
    left_alone: tuple[LeftAlone, ...]
    removed_logs: bool


def plan_migration(project: Project, logs: Path, wishes: Wishes) -> Migration:
    """What :func:`migrate` would do. Writes nothing."""
    plan = make_plan(project, _checked(project, logs), wishes)
    return _migration(logs, plan.runs, plan.left, applied=False, removed=False)


def migrate(project: Project, logs: Path, wishes: Wishes) -> Migration:
    """Record and move every run in ``logs``; a second call has nothing to do.

    Raises what recording raises, exit 6 where another migration is on its way, exit 7 where the disk fails; what was
    moved by then stays moved, and the next call goes on.
    """
    _checked(project, logs)
    sessions = project.path(project.config.filesystem.sessions_dir)
    try:
        durable.make_directory(sessions)
    except OSError as cause:
        raise disk_error("create", sessions, cause) from cause
    timeout_s = project.config.ledger.lock_timeout_s
    with acquire(sessions / _LOCK_NAME, timeout_s=timeout_s, purpose="the migration"):
        _sweep(logs)
        plan = make_plan(project, logs, wishes)
        moved, left = [], list(plan.left)
        for start in range(0, len(plan.runs), _AT_ONCE):
            batch = plan.runs[start : start + _AT_ONCE]
            import_runs(project.ledger, [run.event for run in batch])
            for run in batch:
                refusal = _place(project, run)
                if refusal:
                    left.append(LeftAlone(source=run.event.source, reason=refusal, is_refused=True))
                else:
                    moved.append(run)
        return _migration(logs, tuple(moved), tuple(left), applied=True, removed=_removed_if_empty(logs))


def _checked(project: Project, logs: Path) -> Path:
    """The old folder may be missing, but it is neither a link nor a place of the layout itself."""
    filesystem = project.config.filesystem
    ours = [filesystem.run_logs_dir, filesystem.build_dir, filesystem.aiop_dir, filesystem.pipelines_dir, ".osiris"]
    resolved = logs.resolve()
    if logs.is_symlink() or (logs.exists() and not logs.is_dir()):
        problem = f"{logs} is a link or a file"
    elif any(place == resolved or place in resolved.parents for place in (project.path(o).resolve() for o in ours)):
        problem = f"{logs} is a place of the new layout"
    elif resolved in (project.root.resolve(), *project.root.resolve().parents):
        problem = f"{logs} holds the project itself"
    else:
        return logs
    raise OsirisError(
        problem, "Name the folder with the old sessions: --logs DIR.", code="migration.bad_folder", path=str(logs)
    )


def _sweep(logs: Path) -> None:
    """What a kill left of sessions that stand whole at their new places."""
    try:
        for left in logs.glob(".*.migrated.tmp"):
            durable.remove_tree(left)
    except OSError as cause:
        raise disk_error("empty", logs, cause) from cause


def _place(project: Project, run: PlannedRun) -> str:
    """Make the run's folder and move its files there; why not, if something else is in the way."""
    root = project.config.filesystem.run_logs_dir
    if not is_below(run.event.run_logs_path, root):  # recorded by an earlier try, and edited since, or renamed
        return f"the journal says that its place is {run.event.run_logs_path}, which is not below {root}/"
    target = project.path(run.event.run_logs_path)
    try:
        if not target.is_dir():
            temporary = target.with_name(f".{target.name}.migrating.tmp")
            durable.make_directory(target.parent)
            durable.remove_tree(temporary)
            temporary.mkdir()
            write_converted(run.folder, temporary, run.event)
            durable.move_into_place(temporary, target)
        bring(run.folder / ARTIFACTS_NAME, target / ARTIFACTS_NAME)
        bring(run.folder, target / LEGACY_NAME)
    except OsirisError as refusal:
        if refusal.code.startswith("migration."):
            return refusal.problem
        raise
    except OSError as cause:
        raise disk_error("move", f"{run.folder} to {target}", cause) from cause
    return ""


def _removed_if_empty(logs: Path) -> bool:
    with contextlib.suppress(OSError):  # it has something in it, or is not ours to remove
        logs.rmdir()
        durable.sync_directory(logs.parent)
        return True
    return False


def _migration(
    logs: Path, runs: tuple[PlannedRun, ...], left: tuple[LeftAlone, ...], *, applied: bool, removed: bool
) -> Migration:
    return Migration(
        logs=str(logs), applied=applied, runs=tuple(map(_migrated, runs)), left_alone=left, removed_logs=removed
    )


def _migrated(run: PlannedRun) -> MigratedRun:
    event = run.event
    return MigratedRun(
        source=event.source,
        run_logs_path=event.run_logs_path,
        run_id=event.run_id,
        pipeline_slug=event.pipeline_slug,
        profile=event.profile,
        status=event.status,
        started_at=event.started_at,
        finished_at=event.finished_at,
        duration_ms=event.duration_ms,
        rows_in=event.rows_in,
        rows_out=event.rows_out,
        notes=run.notes,
    )
