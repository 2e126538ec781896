"""The pack of a run whose process died: from its first event, its manifest and what its own log still tells.

It is written by the command that notices, before that records the end. Nothing here keeps the end from being recorded:
what cannot be read is left out, and a disk that does not take the pack is a warning. The places come from the journal,
which somebody may have edited: nothing is written outside the layout, and nothing is removed but this run's own pack.
"""

from __future__ import annotations

import glob
import logging
import os
from pathlib import Path

from osiris import durable
from osiris.clock import parse_rfc3339
from osiris.compiler.manifest import Manifest
from osiris.errors import OsirisError
from osiris.events.runs import RunInterrupted, RunStarted
from osiris.layout.paths import is_below
from osiris.ledger.ledger import interruption
from osiris.locks import acquire
from osiris.project import Project
from osiris.runner.earlier import look_back
from osiris.runner.log_reader import read_events
from osiris.runner.pack import RunFacts, write_pack
from osiris.runner.run_files import read_manifest
from osiris.runner.run_log import LoggedEvent
from osiris.runner.status_file import write_status
from osiris.runner.summary import RunSummary, StepStatus, StepSummary, read_summary

_LOCK_NAME = "packs.lock"
_ENDINGS: dict[str, StepStatus] = {
    "step.finished": "success",
    "step.reused": "reused",
    "step.failed": "failed",
    "step.cancelled": "cancelled",
}
_log = logging.getLogger("osiris.runner")


def pack_interrupted(project: Project, started: RunStarted, noticed_at: str) -> str:
    """Write pack and status of a run that was found dead; returns when it counts as noticed.

    That is ``noticed_at``, or earlier where another command noticed it before: its pack stands and is left as it is.
    """
    lock = project.path(project.config.filesystem.sessions_dir) / _LOCK_NAME
    try:
        with acquire(lock, timeout_s=project.config.ledger.lock_timeout_s, purpose="packing a run that was killed"):
            return _pack(project, started, noticed_at)
    except (OSError, ValueError, OsirisError) as cause:
        _log.warning("the interrupted run %s has no pack: %s", started.run_id, cause)
        return noticed_at


def _pack(project: Project, started: RunStarted, noticed_at: str) -> str:
    filesystem = project.config.filesystem
    _refuse_elsewhere(started.aiop_path, filesystem.aiop_dir)
    _refuse_elsewhere(started.run_logs_path, filesystem.run_logs_dir)
    directory, folder = project.path(started.aiop_path), project.path(started.run_logs_path)
    standing = read_summary(directory)
    is_own = standing is not None and (standing.pipeline_slug, standing.run_id) == _name(started)
    if standing is not None and is_own and (noticed_before := _noticed_before(standing)):
        return noticed_before
    manifest = read_manifest(project, started)
    ended = RunInterrupted(
        run_id=started.run_id,
        pipeline_slug=started.pipeline_slug,
        noticed_at=noticed_at,
        error=interruption(started),
    )
    facts = RunFacts(
        started=started,
        finished=ended,
        steps=_steps(folder, manifest),
        artifacts=(),
        manifest=manifest,
        earlier=look_back(project, started, manifest),
    )
    _clear(directory, is_own=is_own)
    write_pack(directory, facts, folder, events_tail=filesystem.artifacts.save_events_tail)
    if folder.is_dir():
        write_status(folder, started, ended)
    return noticed_at


def _name(started: RunStarted) -> tuple[str, str]:
    return started.pipeline_slug, started.run_id


def _refuse_elsewhere(path: str, root: str) -> None:
    if not is_below(path, root):
        raise OsirisError(
            f"its journal entry names {path!r}, which is no place below {root}/",
            "The journal was edited, or that folder was renamed in osiris.yaml.",
            code="pack.misplaced",
            path=path,
        )


def _noticed_before(standing: RunSummary) -> str:
    """When the run's pack that stands was made; "" where it is one that the run itself had time to make."""
    try:
        parse_rfc3339(standing.completed_at)
    except ValueError:
        return ""
    return standing.completed_at if standing.status == "interrupted" else ""


def _clear(directory: Path, *, is_own: bool) -> None:
    """Take away what the dead run had begun, or had finished without coming to record it; else it is an error."""
    for begun in directory.parent.glob(f".{glob.escape(directory.name)}.*.tmp"):
        durable.remove_tree(begun)
    if is_own:
        durable.remove_tree(directory)
    elif os.path.lexists(directory):
        raise OsirisError(
            f"{directory} is in its place, and is not its pack",
            "Look what it is; Osiris removes nothing that it does not know.",
            code="pack.occupied",
            path=str(directory),
        )


def _steps(folder: Path, manifest: Manifest | None) -> tuple[StepSummary, ...]:
    """The steps as far as the log tells: in the manifest's order, or in that of the log where it is gone."""
    begun: dict[str, str] = {}
    ended: dict[str, LoggedEvent] = {}
    try:
        for event in read_events(folder):
            if event.event == "step.started":
                begun[event.step] = event.at
            elif event.event in _ENDINGS:
                ended[event.step] = event
    except OsirisError as error:  # its lines up to here are good
        _log.warning("the log of a killed run is not whole: %s", error)
    components = {step.id: step.component for step in manifest.steps} if manifest else dict.fromkeys(begun, "")
    return tuple(
        _step(step_id, component, begun.get(step_id), ended.get(step_id)) for step_id, component in components.items()
    )


def _step(step_id: str, component: str, began: str | None, ended: LoggedEvent | None) -> StepSummary:
    if ended is None:
        status: StepStatus = "interrupted" if began else "skipped"
    else:
        status = _ENDINGS[ended.event]
    return StepSummary(
        id=step_id,
        component=component,
        status=status,
        rows_in=ended.rows_in if ended else None,
        rows_out=ended.rows_out if ended else None,
        duration_ms=ended.duration_ms if ended else 0 if status == "skipped" else None,
        started_at=began,
    )
