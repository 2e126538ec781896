"""``osiris runs show``, and a run as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from osiris.cli.complete import complete_runs
from osiris.cli.output import Output, count, duration, local_time, one_line
from osiris.cli.report.writing import html_option, write_report
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.ledger.queries import get_run, run_name
from osiris.projections.runs import IMPORTED_FROM, RunRecord
from osiris.runner.summary import StepSummary, read_steps


class RunDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs show --json`` prints: the record, and the steps as its pack tells them."""

    run: RunRecord
    steps: tuple[StepSummary, ...]


@click.command(
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
def command(settings: Settings, run: str, html: Path | None) -> None:
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
        ("resumed", record.resumed_from),
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
        place = f", {record.error.place}" if record.error.place else ""
        at = f" (step {record.error.step}{place})" if record.error.step else ""
        yield f"  {'error':9} {record.error.code}{at}: {one_line(record.error.message)}"
        if record.error.hint:
            yield f"  {'try':9} {one_line(record.error.hint)}"
    if steps:
        yield ""
        rows = [
            (step.id, output.status(step.status), count(step.rows_in), count(step.rows_out), _step_duration(step))
            for step in steps
        ]
        yield from (f"  {line}" for line in output.table(("step", "status", "rows in", "rows out", "duration"), rows))


def _step_duration(step: StepSummary) -> str:
    return "-" if step.status == "skipped" else duration(step.duration_ms)
