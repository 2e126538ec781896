"""``osiris run``."""

from __future__ import annotations

import click
import msgspec

from osiris.cli.complete import (
    complete_pipelines,
    complete_profiles,
    complete_run_id_tokens,
    complete_runs,
    complete_tag_list,
)
from osiris.cli.plan import PlanDocument
from osiris.cli.run_arguments import RunArguments, RunResultDocument
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.errors import ExitCode


@click.command(
    cls=Verb,
    document=RunResultDocument,
    variants={"--dry-run": PlanDocument},
    exits=[
        ExitCode.PIPELINE_FAILED,
        ExitCode.INDEX_DRIFT,
        ExitCode.CORRUPT,
        ExitCode.LOCKED,
        ExitCode.DISK,
        ExitCode.NEWER_OSIRIS,
        ExitCode.CANCELLED,
    ],
    examples=[
        "osiris run pipelines/orders.yaml",
        "osiris run orders -p prod --tags billing,ml --param limit=500",
        "osiris run --last-compile",
        "osiris run orders --dry-run",
        "osiris run --resume last",
    ],
)
@click.argument("pipeline", metavar="PIPELINE|MANIFEST", default="", shell_complete=complete_pipelines)
@click.option("--last-compile", is_flag=True, help="Run the build that was compiled last in the profile.")
@click.option("-p", "--profile", shell_complete=complete_profiles, help="The profile to run in.")
@click.option("--param", "params", metavar="K=V", multiple=True, help="Set a parameter; may be given again.")
@click.option(
    "--tags",
    metavar="A,B",
    default="",
    shell_complete=complete_tag_list,
    help="Tags for this run, beside those of its pipeline.",
)
@click.option(
    "--run-id-format",
    metavar="F",
    default="",
    shell_complete=complete_run_id_tokens,
    help="Tokens of the run id, such as incremental,ulid.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--force-recompile", is_flag=True, help="Record the compile even if the build is known.")
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Go on with a run that did not succeed; see runtime.keep_step_outputs.",
)
@shared_options
@click.pass_obj
def command(settings: Settings, /, **given: object) -> int:
    """Compile PIPELINE if anything that counts has changed, then run it; or run a build that stands.

    With --resume, the build of an earlier run that failed, was cancelled or was killed runs again as a run of its own.
    Steps whose outputs that run had kept are reused and do not run.
    """
    arguments = msgspec.convert(given, RunArguments)
    from osiris.cli.run_execution import run  # noqa: PLC0415 - DuckDB is behind it, and completion does without

    return run(settings, arguments)
