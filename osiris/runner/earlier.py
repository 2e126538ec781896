"""The runs before this one: what this run is compared with."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from osiris.compiler.manifest import Manifest
from osiris.errors import OsirisError
from osiris.events.runs import RunStarted
from osiris.ledger.queries import RunFilter, list_runs
from osiris.project import Project
from osiris.projections.runs import RunRecord
from osiris.runner.comparison import ManifestChanges, changed_values, compare_manifests, compare_steps
from osiris.runner.run_files import read_configs, read_manifest
from osiris.runner.summary import Delta, PreviousAttempt, StepSummary, read_summary

_LOOKED_AT = 200
_log = logging.getLogger("osiris.runner")


class EarlierRuns(msgspec.Struct, frozen=True, kw_only=True):
    """``success`` is the last successful run of the pipeline and profile, ``last`` the last one that ended somehow.

    ``changes`` is None where the manifest of ``success`` or of this run is gone, ``steps`` where its pack is.
    ``unsuccessful_since`` counts the runs between ``success`` and this one, None where they were too many to look at.
    """

    success: RunRecord | None = None
    last: RunRecord | None = None
    unsuccessful_since: int | None = None
    changes: ManifestChanges | None = None
    steps: tuple[StepSummary, ...] | None = None


def look_back(project: Project, started: RunStarted, manifest: Manifest | None) -> EarlierRuns:
    """What is known of earlier runs; nothing where the index cannot tell, which is said as a warning."""
    try:
        recent = _ended(project, started)
        newest_first = (number for number, record in enumerate(recent) if record.status == "success")
        place = next(newest_first, None)
        success = recent[place] if place is not None else _last_success(project, started, recent)
    except OsirisError as error:
        _log.warning("this run is not compared with an earlier one: %s", error)
        return EarlierRuns()
    if success is None:
        return EarlierRuns(last=recent[0] if recent else None)
    summary = read_summary(project.path(success.aiop_path))
    return EarlierRuns(
        success=success,
        last=recent[0] if recent else None,
        unsuccessful_since=place,
        changes=_changes(project, success, started, manifest),
        steps=summary.steps if summary and summary.run_id == success.run_id else None,
    )


def delta_to(
    earlier: EarlierRuns,
    started: RunStarted,
    *,
    rows: tuple[int | None, int | None],
    duration_ms: int | None,
    steps: Sequence[StepSummary],
) -> Delta | None:
    """What changed; ``rows`` are those in and out. None where no run of the pipeline and profile has ended before."""
    before, last = earlier.success, _attempt(earlier.last)
    if before is None:
        nothing = Delta(previous_run_id=None, manifest_changed=None, rows_in=None, rows_out=None, duration_ms=None)
        return msgspec.structs.replace(nothing, last_attempt=last) if last else None
    return Delta(
        previous_run_id=before.run_id,
        manifest_changed=before.manifest_hash != started.manifest_hash,
        rows_in=_minus(rows[0], before.rows_in),
        rows_out=_minus(rows[1], before.rows_out),
        duration_ms=_minus(duration_ms, before.duration_ms),
        manifest=earlier.changes,
        environment=changed_values(before.runtime_env, started.runtime_env),
        steps=compare_steps(earlier.steps, steps) if earlier.steps is not None else None,
        last_attempt=last,
        unsuccessful_since=earlier.unsuccessful_since,
    )


def _ended(project: Project, started: RunStarted) -> list[RunRecord]:
    """The newest runs of the pipeline and profile that have ended, newest first, without this one."""
    wanted = RunFilter(pipeline=started.pipeline_slug, profile=started.profile)
    records = list_runs(project.ledger, wanted, _LOOKED_AT)
    # `seq` is 0 for what has no end in the journal, also if its process is dead: then its turn has not come yet.
    return [
        record
        for record in records
        if record.profile == started.profile and record.run_id != started.run_id and record.seq
    ]


def _last_success(project: Project, started: RunStarted, recent: Sequence[RunRecord]) -> RunRecord | None:
    """Behind those that were looked at already."""
    if len(recent) < _LOOKED_AT // 2:
        return None
    wanted = RunFilter(pipeline=started.pipeline_slug, profile=started.profile, status="success")
    records = list_runs(project.ledger, wanted, 1)
    return records[0] if records and records[0].profile == started.profile else None


def _changes(
    project: Project, before: RunRecord, started: RunStarted, manifest: Manifest | None
) -> ManifestChanges | None:
    if before.manifest_hash == started.manifest_hash:
        return ManifestChanges()
    old = read_manifest(project, before)
    if old is None or manifest is None:
        return None
    return compare_manifests(
        old,
        manifest,
        before_configs=read_configs(project, before, old),
        after_configs=read_configs(project, started, manifest),
    )


def _attempt(record: RunRecord | None) -> PreviousAttempt | None:
    if record is None:
        return None
    code, step = (record.error.code, record.error.step) if record.error else ("", "")
    return PreviousAttempt(run_id=record.run_id, status=record.status, error_code=code, error_step=step)


def _minus(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before
