"""``osiris run --resume RUN``: what goes with it on the command line, and what it says."""

from __future__ import annotations

from osiris.cli.output import Output
from osiris.cli.run_arguments import RunArguments
from osiris.errors import OsirisError
from osiris.ledger.queries import run_name
from osiris.project import Project
from osiris.projections.runs import RunRecord
from osiris.runner.resume import find_resumable, kept_folder
from osiris.runner.step_outputs import has_kept


def find_resumed(project: Project, arguments: RunArguments) -> RunRecord | None:
    """The run to go on with, None where none was asked for; an error for what that run has decided already."""
    if arguments.resume is None:
        return None
    given = {
        "PIPELINE": arguments.pipeline,
        "--last-compile": arguments.last_compile,
        "--profile": arguments.profile,
        "--param": arguments.params,
        "--force-recompile": arguments.force_recompile,
    }
    refused = [name for name, value in given.items() if value]
    if refused:
        raise OsirisError(
            f"{', '.join(refused)} cannot stand beside --resume, which runs the same build with the same parameters",
            f"Leave it out: osiris run --resume {arguments.resume}",
            code="cli.usage",
        )
    return find_resumable(project, arguments.resume)


def note_that_it_can_be_resumed(project: Project, record: RunRecord, output: Output) -> None:
    """How to go on with a run that did not succeed, where something was kept of it."""
    if record.status != "success" and has_kept(kept_folder(project, record)):
        output.note(f"What its steps gave is kept. To go on from there: osiris run --resume {run_name(record)}")
