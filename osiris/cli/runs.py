"""``osiris runs``: what ran, and how it ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from osiris.cli.complete import complete_profiles, complete_runs, complete_slugs, complete_tags
from osiris.cli.filters import checked_profile, since_moment, split_tags
from osiris.cli.output import Output, count, duration, local_time, one_line
from osiris.cli.report.writing import html_option, write_report
from osiris.cli.run_diff import RunDiff, compare_recorded, run_before
from osiris.cli.run_table import csv_lines, run_table, watch
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.compiler.standing_secrets import refuse_standing_secrets
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.queries import RunFilter, get_run, list_runs, run_name
from osiris.ledger.runs import tag_run
from osiris.projections.runs import IMPORTED_FROM, RunRecord, RunStatus
from osiris.runner.summary import StepSummary, read_steps

_STATUSES: tuple[RunStatus, ...] = ("running", "success", "failed", "cancelled", "interrupted")


class RunsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs list --json`` prints: run records, newest first."""

    runs: tuple[RunRecord, ...]


class RunDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs show --json`` prints: the record, and the steps as its pack tells them."""

    run: RunRecord
    steps: tuple[StepSummary, ...]


class RunTagsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs tag --json`` prints: all tags of the run now."""

    pipeline_slug: str
    run_id: str
    tags: tuple[str, ...]


@click.group()
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


@command.command(
    "show",
    cls=Verb,
    document=RunDocument,
    exits=READING_EXITS,
    examples=[
        "osiris runs show last",
        "osiris runs show orders/run-000012",
        "osiris runs show last --json | jq .run.rows_out",
        "osiris runs show last --html run.html",
    ],
)
@click.argument("run", shell_complete=complete_runs)
@html_option
@shared_options
@click.pass_obj
def show(settings: Settings, run: str, html: Path | None) -> None:
    """Show one run: a run id, an unambiguous beginning of one, PIPELINE/RUN, or `last`."""
    project = settings.open_project()
    record = get_run(project.ledger, run)
    steps = read_steps(project.path(record.aiop_path)) if record.aiop_path else ()  # an imported run has no pack
    output = Output(settings)
    if html is not None:
        output.emit(RunDocument(run=record, steps=steps), write_report(project, record, html, as_json=settings.json))
        return
    output.emit(RunDocument(run=record, steps=steps), run_lines(record, steps, output, project.root))


@command.command(
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
def diff(settings: Settings, before: str, after: str) -> None:
    """Show what changed from run A to run B; with one run, from the run before it to that.

    The run before it is that of the same pipeline and profile, however it ended. Compared are manifest, params and step
    configs, versions, rows, durations, status, error, tags, profile, git commit and branch; what is the same is left
    out.
    """
    from osiris.cli.run_diff_lines import diff_lines  # noqa: PLC0415 - `osiris runs list` would pay for it

    project = settings.open_project()
    later = get_run(project.ledger, after or before)
    earlier = get_run(project.ledger, before) if after else run_before(project.ledger, later)
    document = compare_recorded(project, earlier, later)
    output = Output(settings)
    output.emit(document, diff_lines(document, output))


@command.command(
    "tag",
    cls=Verb,
    document=RunTagsDocument,
    exits=[*READING_EXITS, ExitCode.NEWER_OSIRIS],
    examples=[
        "osiris runs tag last --add golden",
        "osiris runs tag orders/run-000012 --add audited --remove golden,draft",
    ],
)
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--add", metavar="TAG", multiple=True, shell_complete=complete_tags, help="Add this tag; may be given again."
)
@click.option(
    "--remove", metavar="TAG", multiple=True, shell_complete=complete_tags, help="Remove this tag; may be given again."
)
@shared_options
@click.pass_obj
def tag_command(settings: Settings, run: str, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Change the tags of one run, of one that goes on as well. Those of its pipeline stay as they are."""
    added, removed = split_tags(add), split_tags(remove)
    if not added and not removed:
        raise OsirisError("nothing to change", "Give --add TAG or --remove TAG.", code="cli.usage")
    project = settings.open_project()
    refuse_standing_secrets({"--add": added}, project.root, os.environ)
    record = tag_run(project.ledger, run, add=added, remove=removed)
    document = RunTagsDocument(pipeline_slug=record.pipeline_slug, run_id=record.run_id, tags=record.tags)
    Output(settings).emit(document, [f"{run_name(record)}: {', '.join(record.tags) or 'no tags'}"])


def run_lines(
    record: RunRecord, steps: tuple[StepSummary, ...], output: Output, root: Path, *, with_error: bool = True
) -> Iterator[str]:
    """A run as a person reads it; paths that do not exist are left out."""
    yield f"{run_name(record)}  {output.status(record.status)}"
    profile = f" ({record.profile})" if record.profile else ""
    facts = [
        ("pipeline", record.pipeline_slug + profile),
        ("started", local_time(record.started_at)),
        ("duration", duration(record.duration_ms)),
        ("rows", f"{count(record.rows_in)} read, {count(record.rows_out)} written"),
        ("pruned", local_time(record.pruned_at) if record.pruned_at else ""),
        ("tags", ", ".join(record.tags)),
        ("manifest", f"{record.manifest_short}  {record.manifest_hash}".strip()),
        ("imported", record.runtime_env.get(IMPORTED_FROM, "")),
    ]
    paths = [("build", record.build_manifest_path), ("logs", record.run_logs_path), ("pack", record.aiop_path)]
    facts += [(name, path) for name, path in paths if path and (root / path).exists()]
    yield from (f"  {name:9} {value}" for name, value in facts if value)
    if record.error and with_error:
        at = (
            f" (step {record.error.step}{f', line {record.error.line}' if record.error.line else ''})"
            if record.error.step
            else ""
        )
        yield f"  {'error':9} {record.error.code}{at}: {one_line(record.error.message)}"
        if record.error.hint:
            yield f"  {'try':9} {one_line(record.error.hint)}"
    if steps:
        yield ""
        rows = [
            (step.id, output.status(step.status), count(step.rows_in), count(step.rows_out), duration(step.duration_ms))
            for step in steps
        ]
        yield from (f"  {line}" for line in output.table(("step", "status", "rows in", "rows out", "duration"), rows))
