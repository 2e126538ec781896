"""Going on with a run that did not come to its end: whether it can be, and which of its steps need not run again."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from osiris.compiler.manifest import Manifest
from osiris.compiler.project_build import PipelineBuild, open_build
from osiris.errors import OsirisError
from osiris.layout.paths import is_below
from osiris.ledger.queries import get_run, run_name
from osiris.project import Project
from osiris.projections.runs import RunRecord, is_imported, run_key
from osiris.redaction import Redactor
from osiris.runner.log_reader import read_events
from osiris.runner.results import Listener
from osiris.runner.step_outputs import OUTPUTS_NAME, KeptOutput, StepOutputs, examine_output, has_kept

_ENDED_WELL = ("step.finished", "step.reused")


class Reusable(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left, by step id: good outputs, and why a step that had succeeded has to run again all the same."""

    reused: dict[str, KeptOutput]
    again: dict[str, str]


def find_resumable(project: Project, reference: str) -> RunRecord:
    """The run that ``reference`` names, if there is something to go on with; see ``get_run`` for references.

    One that was to go on with another run, and was stopped before it had taken anything over, stands for that.
    """
    record = get_run(project.ledger, reference)
    unsuccessful = record.status not in ("success", "running")
    if record.resumed_from and unsuccessful and not has_kept(kept_folder(project, record)):
        record = get_run(project.ledger, run_key(record.pipeline_slug, record.resumed_from))
    name = run_name(record)
    if is_imported(record):
        raise _refusal("imported", f"{name} was imported: its steps did not run here", "Run its pipeline.")
    if record.status == "success":
        hint = f"Run the pipeline anew: osiris run {record.build_manifest_path}"
        raise _refusal("succeeded", f"{name} succeeded, there is nothing left to do in it", hint)
    if record.status == "running":
        raise _refusal("running", f"{name} is still running", "Wait for its end, or stop it, and try again.")
    if not has_kept(kept_folder(project, record)):
        raise _nothing_kept(project, record)
    return record


def open_resumed_build(project: Project, record: RunRecord) -> PipelineBuild:
    """The build that the run ran, which must stand as it was; nothing is compiled."""
    try:
        build = open_build(project, project.path(record.build_manifest_path))
        if build.manifest.manifest_hash == record.manifest_hash:
            return build
        problem = f"{record.build_manifest_path} is another build"
    except OsirisError as error:
        if error.code not in ("build.missing", "build.drift"):
            raise
        problem = error.problem
    raise _refusal(
        "build_changed",
        f"{run_name(record)} cannot be resumed without the build that it ran: {problem}",
        f"Remove what is left of that build and compile {record.pipeline_slug} as it was, or run it anew.",
    )


def kept_folder(project: Project, record: RunRecord) -> Path:
    """Where the run has its kept outputs, if it has any."""
    if not is_below(record.run_logs_path, project.config.filesystem.run_logs_dir):
        raise _refusal(
            "misplaced",
            f"the run folder of {run_name(record)}, {record.run_logs_path!r}, is not below run_logs_dir",
            "The journal was edited, or that folder was renamed in osiris.yaml.",
        )
    return project.path(record.run_logs_path) / OUTPUTS_NAME


def find_reusable(project: Project, record: RunRecord, manifest: Manifest) -> Reusable:
    """Which steps of ``manifest`` need not run; all that was kept of them is read and compared with its SHA-256.

    Rows that come from a step that runs again, or were read after it, may be others by then, so those steps run again
    too. What was written is not written twice for that reason: its files stand.
    """
    folder = kept_folder(project, record)
    finished = _finished(folder.parent)
    reused: dict[str, KeptOutput] = {}
    again: dict[str, str] = {}
    for step in manifest.steps:
        found = examine_output(folder, step, manifest.manifest_hash, project.root)
        needed = next((need for need in (*step.needs, *step.inputs.values()) if need not in reused), None)
        if found is None:
            if step.id in finished:
                again[step.id] = "its record is gone"
        elif isinstance(found, str):
            again[step.id] = found
        elif needed and step.mode != "write":
            again[step.id] = f"the step {needed} before it runs again"
        else:
            reused[step.id] = found
    return Reusable(reused=reused, again=again)


def open_outputs(
    project: Project,
    run_folder: Path,
    manifest: Manifest,
    *,
    resumes: RunRecord | None,
    redactor: Redactor,
    listener: Listener,
) -> StepOutputs | None:
    """Where a run keeps the outputs of its steps, with those of the run that it ``resumes``; None where it keeps none.

    A resumed run keeps its own as well, whatever the configuration says by now: so it can be resumed again.
    """
    if resumes is None and not project.config.runtime.keep_step_outputs:
        return None
    outputs = StepOutputs(run_folder / OUTPUTS_NAME, manifest.manifest_hash, redactor)
    if resumes is not None:
        found = find_reusable(project, resumes, manifest)
        for step_id, reason in found.again.items():
            listener.warning(step_id, f"runs again, for its kept output cannot be reused: {reason}")
        outputs.take_over(kept_folder(project, resumes), found.reused)
    return outputs


def _finished(run_folder: Path) -> set[str]:
    """The steps that had succeeded, by the run's log as far as it can be read."""
    finished = set()
    with contextlib.suppress(OsirisError):
        for event in read_events(run_folder):
            if event.event in _ENDED_WELL:
                finished.add(event.step)
    return finished


def _nothing_kept(project: Project, record: RunRecord) -> OsirisError:
    anew = f"Run the pipeline anew: osiris run {record.build_manifest_path}"
    if record.pruned_at:
        return _refusal("nothing_kept", f"the files of {run_name(record)} were deleted by a clean", anew)
    if not project.config.runtime.keep_step_outputs:
        anew = f"Set runtime.keep_step_outputs: true in osiris.yaml, so that runs keep them. {anew}"
    return _refusal("nothing_kept", f"{run_name(record)} kept no output of a step to go on with", anew)


def _refusal(what: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code=f"resume.{what}")
