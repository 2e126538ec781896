"""``osiris logs``: the files that a run wrote of itself."""

from __future__ import annotations

import time
from itertools import islice
from typing import Literal

import click
import msgspec

from osiris.cli.complete import complete_profiles, complete_runs, complete_slugs, complete_steps
from osiris.cli.filters import checked_profile
from osiris.cli.log_reading import LogLine, WantedLines, read_event, read_metric, read_text
from osiris.cli.output import Output, count, local_time, one_line
from osiris.cli.screen import Column, fitted_table, short_run_name, size
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.documents import suggest
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.queries import RunFilter, each_run, get_run, run_name
from osiris.project import Project
from osiris.projections.runs import RunRecord, RunStatus
from osiris.runner.log_lines import LineFile
from osiris.runner.run_files import RunFile, run_files, step_ids
from osiris.runner.run_log import EVENTS_NAME, LOG_NAME, METRICS_NAME, LoggedEvent, LoggedMetric

_POLL_S = 0.1
_LAST_LINES = 20
_LOG, _EVENTS, _METRICS = (LOG_NAME, read_text), (EVENTS_NAME, read_event), (METRICS_NAME, read_metric)


class RunLogs(msgspec.Struct, frozen=True, kw_only=True):
    """One run folder. ``state``: it is there, retention pruned it (``pruned_at``), or it is gone all the same."""

    run_id: str
    pipeline_slug: str
    profile: str
    status: RunStatus
    started_at: str
    path: str
    files: int
    bytes: int
    state: Literal["present", "pruned", "missing"]
    pruned_at: str | None


class LogsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris logs list --json`` prints: run folders, newest run first."""

    logs: tuple[RunLogs, ...]


class LogDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris logs show --json`` prints: the run, the files of its folder, and the lines of ``osiris.log``."""

    run: RunRecord
    files: tuple[RunFile, ...]
    lines: tuple[str, ...]


class _LineNumber(click.ParamType[int]):
    """The N of ``--tail N``; says how the bare option is written before an argument."""

    name = "N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(str(value))
        except ValueError:
            number = 0
        if number < 1:
            self.fail(f"{value!r} is no number of lines; a bare --tail stands behind RUN", param, ctx)
        return number


@click.group()
def command() -> None:
    """The files that a run wrote of itself."""


@command.command(
    "list",
    cls=Verb,
    document=LogsDocument,
    exits=READING_EXITS,
    examples=["osiris logs list", "osiris logs list --pipeline orders --limit 5", "osiris logs list --all --json"],
)
@click.option("--pipeline", metavar="P", default="", shell_complete=complete_slugs, help="Only runs of this pipeline.")
@click.option("-p", "--profile", default="", shell_complete=complete_profiles, help="Only runs in this profile.")
@click.option("--all", "all_runs", is_flag=True, help="Also runs whose folder was pruned or is missing.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@shared_options
@click.pass_obj
def list_command(settings: Settings, pipeline: str, profile: str, all_runs: bool, limit: int) -> None:
    """List the run folders that there are, newest run first.

    The ledger says which runs there were; no folder is searched.
    """
    project = settings.open_project()
    wanted = RunFilter(pipeline=pipeline, profile=checked_profile(project, profile))
    found = (_logs(project, record) for record in each_run(project.ledger, wanted))
    logs = list(islice((entry for entry in found if all_runs or entry.state == "present"), limit))
    output = Output(settings)
    output.emit(LogsDocument(logs=tuple(logs)), _list_lines(logs, output))


@command.command(
    "show",
    cls=Verb,
    document=LogDocument,
    variants={"--events": LoggedEvent, "--metrics": LoggedMetric},
    exits=[*READING_EXITS, ExitCode.CANCELLED],
    examples=[
        "osiris logs show last",
        "osiris logs show last --tail",
        "osiris logs show orders/run-000012 --step write --tail 50",
        "osiris logs show last --follow --events --json",
    ],
)
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--tail",
    type=_LineNumber(),
    is_flag=False,
    flag_value=str(_LAST_LINES),
    help=f"Only the last N lines; a bare --tail means {_LAST_LINES}.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they come, until the run has ended.")
@click.option("--events", is_flag=True, help="events.jsonl instead of osiris.log; with --json one document a line.")
@click.option("--metrics", is_flag=True, help="metrics.jsonl instead of osiris.log; with --json one document a line.")
@click.option("--step", metavar="S", default="", shell_complete=complete_steps, help="Only lines about this step.")
@shared_options
@click.pass_obj
def show(settings: Settings, run: str, tail: int | None, follow: bool, events: bool, metrics: bool, step: str) -> None:
    """Print the log of one run: a run id, an unambiguous beginning of one, PIPELINE/RUN, or `last`.

    With --follow this ends by itself, with exit code 0, once the run has ended, however that was. A run that is not in
    its folder yet is waited for.
    """
    _check_options(settings, follow=follow, events=events, metrics=metrics)
    project = settings.open_project()
    output = Output(settings)
    record = get_run(project.ledger, run)
    _refuse_pruned(record)
    if step:
        _check_step(project, record, step)
    name, read = (
        (EVENTS_NAME, read_event) if events else (METRICS_NAME, read_metric) if metrics else (LOG_NAME, read_text)
    )
    reader = WantedLines(LineFile(project.path(record.run_logs_path) / name), read, step)
    if settings.json and not (events or metrics):
        lines = reader.last(tail) if tail else [line for block in reader.blocks() for line in block]
        _require(reader.file, record)
        files = run_files(project, record.run_logs_path)
        output.emit(LogDocument(run=record, files=files, lines=tuple(line.text for line in lines)), ())
        return
    if tail:
        _print(output, reader.last(tail))
    record = _print_on(project, record, reader, output, follow=follow)
    _require(reader.file, record)
    if not settings.json:
        _tell_the_end(output, reader.file, record)


def _print_on(project: Project, record: RunRecord, reader: WantedLines, output: Output, *, follow: bool) -> RunRecord:
    """Print what there is, and with ``follow`` what comes until the run has ended; returns its record then."""
    while True:
        for block in reader.blocks():
            _print(output, block)
        if not follow or record.status != "running":
            return record
        time.sleep(_POLL_S)
        record = get_run(project.ledger, run_name(record))  # before the next look: what it wrote at its end is seen


def _print(output: Output, lines: list[LogLine]) -> None:
    if lines:
        encoded = b"\n".join(line.encoded for line in lines)
        output.emit_line(encoded, "\n".join(line.text for line in lines))


def _tell_the_end(output: Output, file: LineFile, record: RunRecord) -> None:
    if record.status == "running":
        return
    if file.unfinished_bytes:
        output.note(f"the last {file.unfinished_bytes:,} bytes are left out: a line without its end")
    if record.status == "interrupted":
        why = f": {one_line(record.error.message)}" if record.error else ""
        output.note(f"{run_name(record)} was interrupted{why}")


def _check_options(settings: Settings, *, follow: bool, events: bool, metrics: bool) -> None:
    if events and metrics:
        raise OsirisError("--events and --metrics are two files", "Give one of them.", code="cli.usage")
    if settings.json and follow and not (events or metrics):
        raise OsirisError(
            "--follow --json needs --events or --metrics: osiris.log comes as one document, which has to end",
            "For example: osiris logs show last --follow --events --json",
            code="cli.usage",
        )


def _check_step(project: Project, record: RunRecord, step: str) -> None:
    known = step_ids(project, record)
    if known and step not in known:
        raise OsirisError(
            f"{run_name(record)} has no step {step!r}",
            suggest(step, known) or f"It has {', '.join(known)}.",
            code="step.unknown",
        )


def _refuse_pruned(record: RunRecord) -> None:
    if record.pruned_at:
        raise OsirisError(
            f"the logs of {run_name(record)} were pruned at {local_time(record.pruned_at)}",
            f"Its summary is kept: osiris runs show {run_name(record)}",
            code="logs.pruned",
            path=record.run_logs_path,
        )


def _require(file: LineFile, record: RunRecord) -> None:
    if file.open():
        return
    hint = f"It was removed, or never made; see `osiris runs show {run_name(record)}` for what the ledger knows."
    if record.status == "running":
        hint = "The run has just begun; --follow waits for it."
    raise OsirisError(
        f"{run_name(record)} ({record.status}) has no {file.path.name} in {record.run_logs_path}",
        hint,
        code="logs.missing",
        path=record.run_logs_path,
    )


def _logs(project: Project, record: RunRecord) -> RunLogs:
    is_there = project.path(record.run_logs_path).is_dir()
    files = run_files(project, record.run_logs_path) if is_there else ()
    return RunLogs(
        run_id=record.run_id,
        pipeline_slug=record.pipeline_slug,
        profile=record.profile,
        status=record.status,
        started_at=record.started_at,
        path=record.run_logs_path,
        files=len(files),
        bytes=sum(file.bytes for file in files),
        state="present" if is_there else "pruned" if record.pruned_at else "missing",
        pruned_at=record.pruned_at,
    )


def _list_lines(logs: list[RunLogs], output: Output) -> list[str]:
    if not logs:
        return ["No run folders match."] if output.on_terminal else []
    if not output.on_terminal:
        header = ("run", "pipeline", "profile", "status", "started", "files", "bytes", "state", "path")
        rows = [
            (
                entry.run_id,
                entry.pipeline_slug,
                entry.profile or "-",
                entry.status,
                local_time(entry.started_at),
                str(entry.files),
                str(entry.bytes),
                entry.state,
                entry.path,
            )
            for entry in logs
        ]
        return output.table(header, rows)
    all_present = all(entry.state == "present" for entry in logs)
    columns = [
        Column("run", [short_run_name(entry.pipeline_slug, entry.run_id) for entry in logs]),
        Column("profile", [entry.profile or "-" for entry in logs], 3),
        Column("status", [output.status(entry.status) for entry in logs], 2),
        Column("started", [local_time(entry.started_at) for entry in logs], 1),
        Column("files", [count(entry.files) if entry.state == "present" else "-" for entry in logs]),
        Column("size", [size(entry.bytes) if entry.state == "present" else "-" for entry in logs]),
        Column("state", ["-" if all_present else entry.state for entry in logs], 1),
        Column("path", [entry.path for entry in logs], 4),
    ]
    return fitted_table(columns, output)
