"""``osiris runs diff``."""

from __future__ import annotations

import click

from osiris.cli.complete import complete_runs
from osiris.cli.output import Output
from osiris.cli.run_diff import RunDiff, compare_recorded, run_before
from osiris.cli.run_diff_lines import diff_lines
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.ledger.queries import get_run


@click.command(
    "diff",
    cls=Verb,
    document=RunDiff,
    exits=READING_EXITS,
    examples=[
        "osiris runs diff last",
        "osiris runs diff orders/run-000012 orders/run-000013",
        "osiris runs diff orders/run-000012 last --json | jq .manifest.params",
    ],
)
@click.argument("before", metavar="A", shell_complete=complete_runs)
@click.argument("after", metavar="[B]", default="", shell_complete=complete_runs)
@shared_options
@click.pass_obj
def command(settings: Settings, before: str, after: str) -> None:
    """Show what changed from run A to run B; with one run, from the run before it to that.

    The run before it is that of the same pipeline and profile, however it ended. Compared are manifest, params and step
    configs, versions, rows, durations, status, error, tags, profile, git commit and branch; what is the same is left
    out.
    """
    project = settings.open_project()
    later = get_run(project.ledger, after or before)
    earlier = get_run(project.ledger, before) if after else run_before(project.ledger, later)
    document = compare_recorded(project, earlier, later)
    output = Output(settings)
    output.emit(document, diff_lines(document, output))
