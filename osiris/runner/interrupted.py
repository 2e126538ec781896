"""The pack of a run whose process died: from its first event, its manifest and what its own log still tells.

It is written by the command that notices, before that records the end. Nothing here keeps the end from being recorded:
what cannot be read is left out, and a disk that does not take the pack is a warning.
"""

from __future__ import annotations

import logging
from pathlib import Path

from osiris import durable
from osiris.clock import parse_rfc3339
from osiris.compiler.manifest import Manifest
from osiris.compiler.render import MANIFEST_FILE
from osiris.errors import OsirisError
from osiris.events.runs import RunInterrupted, RunStarted
from osiris.ledger.ledger import interruption
from osiris.locks import acquire
from osiris.project import Project
from osiris.runner.earlier import look_back, read_manifest
from osiris.runner.log_reader import read_events
from osiris.runner.pack import RunFacts, write_pack
from osiris.runner.run_log import LoggedEvent
from osiris.runner.status_file import write_status
from osiris.runner.summary import StepStatus, StepSummary, read_summary

_LOCK_NAME = "packs.lock"
_ENDINGS: dict[str, StepStatus] = {
    "step.finished": "success",
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
    directory, folder = project.path(started.aiop_path), project.path(started.run_logs_path)
    noticed_before = _noticed_before(directory, started)
    if noticed_before:
        return noticed_before
    manifest = read_manifest(project, started.manifest_path, started.manifest_hash, folder / MANIFEST_FILE)
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
    _clear(directory)
    write_pack(directory, facts, folder, events_tail=project.config.filesystem.artifacts.save_events_tail)
    if folder.is_dir():
        write_status(folder, started, ended)
    return noticed_at


def _noticed_before(directory: Path, started: RunStarted) -> str:
    """When the pack that stands was made; "" where none stands, or one that the run itself had time to make."""
    summary = read_summary(directory)
    if summary is None or summary.status != "interrupted" or summary.run_id != started.run_id:
        return ""
    try:
        parse_rfc3339(summary.completed_at)
    except ValueError:
        return ""
    return summary.completed_at


def _clear(directory: Path) -> None:
    """Take away what the dead run had begun, or had finished without coming to record it."""
    for begun in directory.parent.glob(f".{directory.name}.*.tmp"):
        durable.remove_tree(begun)
    if directory.exists():
        durable.remove_tree(directory)


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
