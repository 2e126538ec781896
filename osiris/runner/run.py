"""A run from its number to its last event: recorded first, then folders, steps, pack, and the end in the ledger."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from osiris import durable
from osiris.clock import rfc3339
from osiris.compiler.project_build import PipelineBuild
from osiris.config import RuntimeConfig
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.runs import RunError, RunFinished, RunStarted
from osiris.ledger.runs import RunRequest, StartedRun, finish_run, start_run
from osiris.project import Project
from osiris.projections.runs import RunRecord, ended_record
from osiris.redaction import Redactor
from osiris.runner.cancellation import Cancellation
from osiris.runner.database import DatabaseOpening
from osiris.runner.earlier import look_back
from osiris.runner.engine import execute
from osiris.runner.environment import RunEnvironment, observe
from osiris.runner.failures import from_root
from osiris.runner.log_listener import Listeners, LogListener
from osiris.runner.pack import RunFacts, write_pack
from osiris.runner.results import ExecutionOutcome, Listener, RuntimeLimits, StepError, StepResult
from osiris.runner.resume import open_outputs
from osiris.runner.run_connections import RunConnections, resolve_connections
from osiris.runner.run_log import RunLog, logged, storable
from osiris.runner.scrubbing import ScrubbedListener, scrubbed_environment, scrubbed_outcome
from osiris.runner.status_file import write_status
from osiris.runner.step_configs import load_configs
from osiris.runner.step_logging import logged_to
from osiris.runner.summary import COMPLETED, Artifact, StepSummary
from osiris.runner.work_folders import WorkFolders

_log = logging.getLogger("osiris.runner")


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller chose for this run; the tokens are checked. Variables of connections come from ``environ``.

    ``resumes`` is a run of the same manifest that it goes on with, as ``find_resumable`` gives it.
    """

    run_id_tokens: tuple[str, ...]
    tags: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}
    resumes: RunRecord | None = None


class CompletedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has its end in the ledger: its record and its steps."""

    record: RunRecord
    steps: tuple[StepSummary, ...]


class Execution(NamedTuple):
    """What the steps of one run need."""

    build: PipelineBuild
    started: RunStarted
    configs: Mapping[str, msgspec.Struct]
    database: DatabaseOpening
    connections: RunConnections
    resumes: RunRecord | None


def run_pipeline(
    project: Project,
    build: PipelineBuild,
    options: RunOptions,
    *,
    database: DatabaseOpening,
    listener: Listener,
    cancel: Cancellation,
) -> CompletedRun:
    """Run a build. Whatever happens to it after it got its number, its end is recorded, with the reason.

    Raises where the run could not be started (a connection that is not there), and, after recording it as failed, where
    its own files cannot be written (exit 7) or Osiris has a bug.
    """
    configs = load_configs(build, project.path(build.manifest_path).parent)
    connections = resolve_connections(project.root, build.manifest, configs, options.environ)
    environment = scrubbed_environment(observe(project.root), connections.redactor)
    run = start_run(project.ledger, _request(project, build, options, environment), project.contract)
    started_ns = time.monotonic_ns()
    outcome = _failed("runtime.not_started", "the run ended before its first step")
    try:
        execution = Execution(build, run.started, configs, database, connections, options.resumes)
        outcome = _execute(project, execution, listener, cancel)
    except OsirisError as error:
        outcome = _failed(error.code, error.problem, error.hint)
        if error.exit_code != ExitCode.PIPELINE_FAILED:
            raise
    except BaseException as bug:
        outcome = _failed("runtime.bug", f"{type(bug).__name__}: {bug}")
        raise
    finally:
        outcome = scrubbed_outcome(_placeless(outcome, project.root), connections.redactor)
        done = _finish(project, build, run, outcome, (time.monotonic_ns() - started_ns) // 1_000_000)
    return done


def runtime_limits(config: RuntimeConfig) -> RuntimeLimits:
    """The engine's limits as the project's configuration has them."""
    return RuntimeLimits(memory_limit=config.memory_limit or None, threads=config.threads or None)


def _request(project: Project, build: PipelineBuild, options: RunOptions, environment: RunEnvironment) -> RunRequest:
    return RunRequest(
        build=build.facts(),
        run_id_tokens=options.run_id_tokens,
        run_ts_format=project.config.filesystem.naming.run_ts_format,
        manifest_version=build.manifest.oml_version,
        tags=options.tags,
        branch=environment.branch,
        user=environment.user,
        git_commit=environment.git_commit,
        pid=os.getpid(),
        runtime_env=environment.runtime_env,
        resumed_from=options.resumes.run_id if options.resumes else "",
    )


def _execute(project: Project, execution: Execution, listener: Listener, cancel: Cancellation) -> ExecutionOutcome:
    """The run folder with its log, and all steps in it."""
    started = execution.started
    folder = project.path(started.run_logs_path)
    redactor = execution.connections.redactor
    log = _open_folder(project, execution.build, folder, redactor)
    work = WorkFolders(project.path(project.config.filesystem.cache_dir) / "runs", project.ledger.sessions)
    try:
        log.event(logged("run.started", message=f"{started.run_id} of {started.pipeline_slug}"))
        told = ScrubbedListener(Listeners(LogListener(log), listener), redactor)
        manifest = execution.build.manifest
        with logged_to(log):
            outcome = execute(
                manifest,
                configs=execution.configs,
                project_root=project.root,
                work_dir=work.open(started.session),
                artifacts_dir=folder / "artifacts",
                run_id=started.run_id,
                listener=told,
                cancel=cancel,
                database=execution.database,
                connections=execution.connections.by_step,
                outputs=open_outputs(
                    project, folder, manifest, resumes=execution.resumes, redactor=redactor, listener=told
                ),
                clock=project.clock,
            )
        outcome = scrubbed_outcome(outcome, redactor)
        code, message = (outcome.error.code, outcome.error.message) if outcome.error else ("", "")
        log.event(logged("run.finished", status=outcome.status, code=code, message=message))
    except BaseException as bug:
        text = "".join(traceback.format_exception(bug))
        log.event(logged("run.finished", status="failed", code="runtime.bug", message=text))
        raise
    else:
        return outcome
    finally:
        work.close(started.session)
        log.close()


def _open_folder(project: Project, build: PipelineBuild, folder: Path, redactor: Redactor) -> RunLog:
    """The run folder, which nobody has had before, with the manifest in it."""
    try:
        durable.make_directory(folder.parent)
        folder.mkdir()
        (folder / "artifacts").mkdir()
        manifest = project.path(build.manifest_path).read_bytes()
        durable.write_file(folder / "manifest.yaml", manifest, sync=False)
        return RunLog(folder, project.clock, redactor)
    except OSError as cause:
        raise disk_error("make the run folder", folder, cause) from cause


def _finish(
    project: Project, build: PipelineBuild, run: StartedRun, outcome: ExecutionOutcome, duration_ms: int
) -> CompletedRun:
    """Pack and status first, then the last event: where the ledger says that a run has ended, its pack is whole.

    Nothing but the journal itself can keep the last event from being recorded.
    """
    started = run.started
    finished = RunFinished(
        run_id=started.run_id,
        pipeline_slug=started.pipeline_slug,
        status=outcome.status,
        finished_at=rfc3339(project.clock.now()),
        duration_ms=duration_ms,
        rows_in=_rows(build, outcome, "read"),
        rows_out=_rows(build, outcome, "write") if any(step.mode == "write" for step in build.manifest.steps) else None,
        error=_run_error(outcome.error),
    )
    steps = tuple(map(_summary, outcome.steps))
    try:
        _pack(project, build, started, finished, outcome, steps)
    except (OSError, ValueError) as cause:
        _log.warning("the run's pack and status could not be written: %s", cause)
    finally:  # also where the pack meets a bug, or Ctrl-C comes a second time
        entry = finish_run(project.ledger, run, finished)
    return CompletedRun(record=ended_record(started, finished, entry.seq), steps=steps)


def _pack(
    project: Project,
    build: PipelineBuild,
    started: RunStarted,
    finished: RunFinished,
    outcome: ExecutionOutcome,
    steps: tuple[StepSummary, ...],
) -> None:
    facts = RunFacts(
        started=started,
        finished=finished,
        steps=steps,
        artifacts=tuple(artifact for step in outcome.steps for artifact in _artifacts(step)),
        manifest=build.manifest,
        earlier=look_back(project, started, build.manifest),
    )
    folder = project.path(started.run_logs_path)
    write_pack(
        project.path(started.aiop_path), facts, folder, events_tail=project.config.filesystem.artifacts.save_events_tail
    )
    write_status(folder, started, finished)


def _rows(build: PipelineBuild, outcome: ExecutionOutcome, mode: str) -> int | None:
    """Rows of all steps of one mode that gave theirs; None where one of them was not counted, or a read did not end."""
    of_mode = {step.id for step in build.manifest.steps if step.mode == mode}
    rows = [step.rows_out for step in outcome.steps if step.id in of_mode and step.status in COMPLETED]
    if None in rows or (mode == "read" and not rows):
        return None
    return sum(count for count in rows if count is not None)


def _failed(code: str, message: str, hint: str = "") -> ExecutionOutcome:
    return ExecutionOutcome(status="failed", steps=(), error=StepError(code=code, message=message, hint=hint, step=""))


def _placeless(outcome: ExecutionOutcome, root: Path) -> ExecutionOutcome:
    """``outcome``, whose error, where it is no step's, may say where the project lies."""
    return outcome if outcome.error is None else msgspec.structs.replace(outcome, error=from_root(outcome.error, root))


def _run_error(error: StepError | None) -> RunError | None:
    if error is None:
        return None
    return RunError(
        code=error.code,
        message=storable(error.message),
        step=error.step,
        line=error.line or 0,
        hint=storable(error.hint),
        column=error.column or msgspec.UNSET,
    )


def _summary(step: StepResult) -> StepSummary:
    return StepSummary(
        id=step.id,
        component=step.component,
        status=step.status,
        rows_in=step.rows_in,
        rows_out=step.rows_out,
        duration_ms=None if step.status == "reused" else step.duration_ms,
        started_at=rfc3339(step.started_at) if step.started_at else None,
    )


def _artifacts(step: StepResult) -> list[Artifact]:
    return [Artifact(path=file.path, bytes=file.bytes, sha256=file.sha256, step=step.id) for file in step.files]
