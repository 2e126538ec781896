"""``osiris runs``: what ran, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from osiris.cli.complete import complete_profiles, complete_runs, complete_slugs, complete_tags
from osiris.cli.output import Output, count, duration, local_time, one_line
from osiris.cli.report.writing import html_option, write_report
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.clock import Clock, rfc3339
from osiris.errors import OsirisError
from osiris.ledger.queries import RunFilter, get_run, list_runs, run_name
from osiris.projections.runs import IMPORTED_FROM, RunRecord, RunStatus
from osiris.runner.summary import StepSummary, read_steps

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FIRST_YEAR = 1000
"""Texts of times sort as times do from here on."""
_STATUSES: tuple[RunStatus, ...] = ("running", "success", "failed", "cancelled", "interrupted")


class RunsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs list --json`` prints: run records, newest first."""

    runs: tuple[RunRecord, ...]


class RunDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs show --json`` prints: the record, and the steps as its pack tells them."""

    run: RunRecord
    steps: tuple[StepSummary, ...]


@click.group()
def command() -> None:
    """What ran, and how it ended; failed, cancelled and killed runs too."""


@command.command(
    "list",
    cls=Verb,
    document=RunsDocument,
    exits=READING_EXITS,
    examples=[
        "osiris runs list",
        "osiris runs list --pipeline orders --status failed --since 7d",
        "osiris runs list --json",
    ],
)
@click.option("--pipeline", metavar="P", default="", shell_complete=complete_slugs, help="Only runs of this pipeline.")
@click.option("-p", "--profile", default="", shell_complete=complete_profiles, help="Only runs in this profile.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs that ended so.")
@click.option("--tag", default="", shell_complete=complete_tags, help="Only runs with this tag.")
@click.option(
    "--since", metavar="7d|DATE", default="", help="Only runs that started since (30m, 12h, 7d, 2w or a date)."
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@shared_options
@click.pass_obj
def list_command(
    settings: Settings, pipeline: str, profile: str, status: RunStatus | None, tag: str, since: str, limit: int
) -> None:
    """List runs, newest first."""
    project = settings.open_project()
    wanted = RunFilter(
        pipeline=pipeline, profile=profile, status=status, tag=tag, since=_since(since, project.clock) if since else ""
    )
    records = list_runs(project.ledger, wanted, limit)
    output = Output(settings)
    output.emit(RunsDocument(runs=tuple(records)), _list_lines(records, output))


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


def _list_lines(records: list[RunRecord], output: Output) -> list[str]:
    if not records:
        return ["No runs match."] if output.on_terminal else []
    rows = [
        (
            record.run_id,
            record.pipeline_slug,
            record.profile or "-",
            output.status(record.status),
            local_time(record.started_at),
            duration(record.duration_ms),
            count(record.rows_out),
            ",".join(record.tags) or "-",
        )
        for record in records
    ]
    return output.table(("run", "pipeline", "profile", "status", "started", "duration", "rows out", "tags"), rows)


def _since(text: str, clock: Clock) -> str:
    relative = re.fullmatch(r"([0-9]{1,5})([mhdw])", text)
    try:
        if relative:
            moment = clock.now() - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        else:
            moment = datetime.fromisoformat(text).astimezone(UTC)  # without a zone it is local time
        if moment.year < _FIRST_YEAR:
            raise ValueError(f"the year {moment.year} has no four digits")
    except (ValueError, OverflowError) as cause:
        raise OsirisError(
            f"--since {text!r} is no time", "Give 30m, 12h, 7d, 2w, or a date such as 2026-11-21.", code="cli.usage"
        ) from cause
    return rfc3339(moment)
