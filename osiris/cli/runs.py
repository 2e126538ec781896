"""``osiris runs``: what ran, and how it ended."""

from __future__ import annotations

import click
import msgspec

from osiris.cli.complete import complete_profiles, complete_slugs, complete_tags
from osiris.cli.filters import checked_profile, since_moment
from osiris.cli.output import Output
from osiris.cli.run_table import csv_lines, run_table, watch
from osiris.cli.verb import READING_EXITS, Settings, Verb, VerbTable, shared_options
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.queries import RunFilter, list_runs
from osiris.projections.runs import RunRecord, RunStatus

_STATUSES: tuple[RunStatus, ...] = ("running", "success", "failed", "cancelled", "interrupted")


class RunsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs list --json`` prints: run records, newest first."""

    runs: tuple[RunRecord, ...]


@click.group(
    cls=VerbTable,
    elsewhere={
        "show": "osiris.cli.run_show",
        "diff": "osiris.cli.run_compared",
        "tag": "osiris.cli.run_tag",
    },
)
def command() -> None:
    """What ran, and how it ended; failed, cancelled and killed runs too."""


@command.command(
    "list",
    cls=Verb,
    document=RunsDocument,
    exits=[*READING_EXITS, ExitCode.CANCELLED],
    examples=[
        "osiris runs list",
        "osiris runs list --pipeline orders --status failed --since 7d",
        "osiris runs list --watch",
        "osiris runs list --limit 1000 --csv > runs.csv",
        "osiris runs list --json",
    ],
)
@click.option("--pipeline", metavar="P", default="", shell_complete=complete_slugs, help="Only runs of this pipeline.")
@click.option("-p", "--profile", default="", shell_complete=complete_profiles, help="Only runs in this profile.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs that ended so.")
@click.option("--tag", default="", shell_complete=complete_tags, help="Only runs with this tag.")
@click.option(
    "--since",
    metavar="7d|DATE",
    default="",
    help="Only runs that started since (30m, 12h, 7d, 2w, today, yesterday, a date or a time).",
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@click.option("--csv", "as_csv", is_flag=True, help="All fields as CSV (RFC 4180), times in UTC.")
@click.option("--watch", "watching", is_flag=True, help="Draw the table again as runs come and go, until Ctrl-C.")
@shared_options
@click.pass_obj
def list_command(
    settings: Settings,
    pipeline: str,
    profile: str,
    status: RunStatus | None,
    tag: str,
    since: str,
    limit: int,
    as_csv: bool,
    watching: bool,
) -> None:
    """List runs, newest first.

    On a terminal a run is named PIPELINE/RUN, with the id as short as it is sure to mean this run only; every verb
    takes it so. What does not fit the terminal's width is left out. Elsewhere everything is printed whole.
    """
    output = Output(settings)
    if as_csv + watching + settings.json > 1:
        raise OsirisError("--csv, --json and --watch exclude each other", "Give one of them.", code="cli.usage")
    if watching and not output.on_terminal:
        raise OsirisError(
            "--watch needs a terminal", "For a program: osiris events --follow --json", code="cli.no_terminal"
        )
    project = settings.open_project()

    def read() -> list[RunRecord]:
        moment = since_moment(since, project.clock)
        wanted = RunFilter(pipeline=pipeline, profile=profile, status=status, tag=tag, since=moment)
        return list_runs(project.ledger, wanted, limit)

    checked_profile(project, profile)
    if watching:
        watch(project, settings, read)
    records = read()
    lines = csv_lines(records) if as_csv else run_table(records, output, project.clock.now())
    output.emit(RunsDocument(runs=tuple(records)), lines)
