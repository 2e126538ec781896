"""``osiris aiop``: the pack that each run leaves, for programs, people and models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from osiris.cli.complete import complete_profiles, complete_runs, complete_slugs
from osiris.cli.filters import checked_profile
from osiris.cli.output import Output, count, duration, local_time, one_line
from osiris.cli.screen import Column, fitted_table, short_run_name, size
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.errors import OsirisError, disk_error
from osiris.ledger.queries import RunFilter, get_run, list_runs, run_name
from osiris.project import Project
from osiris.projections.runs import RunRecord
from osiris.runner.export import export_name, export_pack, has_annex, pack_files, save_export
from osiris.runner.summary import CARD_NAME, SUMMARY_NAME, RunSummary, read_summary


class PackEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One pack in the list. ``annex`` is false once retention has removed it."""

    run_id: str
    pipeline_slug: str
    profile: str
    status: str
    path: str
    bytes: int
    annex: bool


class PacksDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris aiop list --json`` prints: packs, newest first."""

    packs: tuple[PackEntry, ...]


class ExportDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris aiop export --json`` prints; ``written`` is false where the same file stood there already."""

    run_id: str
    pipeline_slug: str
    path: str
    bytes: int
    sha256: str
    files: tuple[str, ...]
    annex: bool
    written: bool


@click.group()
def command() -> None:
    """The pack of each run: a summary, a card to read first, and the details behind it."""


@command.command(
    "list",
    cls=Verb,
    document=PacksDocument,
    exits=READING_EXITS,
    examples=["osiris aiop list", "osiris aiop list --pipeline orders -p prod --limit 5", "osiris aiop list --json"],
)
@click.option("--pipeline", metavar="P", default="", shell_complete=complete_slugs, help="Only packs of this pipeline.")
@click.option("-p", "--profile", default="", shell_complete=complete_profiles, help="Only packs in this profile.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@shared_options
@click.pass_obj
def list_command(settings: Settings, pipeline: str, profile: str, limit: int) -> None:
    """List the packs that are there, newest run first."""
    project = settings.open_project()
    packs = _packs(project, RunFilter(pipeline=pipeline, profile=checked_profile(project, profile)), limit)
    output = Output(settings)
    output.emit(PacksDocument(packs=tuple(packs)), _list_lines(packs, output))


@command.command(
    "show",
    cls=Verb,
    document=RunSummary,
    exits=READING_EXITS,
    examples=["osiris aiop show last", "osiris aiop show last --card", "osiris aiop show last --json | jq .delta"],
)
@click.argument("run", shell_complete=complete_runs)
@click.option("--card", is_flag=True, help="The text of run-card.md instead.")
@shared_options
@click.pass_obj
def show(settings: Settings, run: str, card: bool) -> None:
    """Show the pack of one run: its summary, or its card; with --json what summary.json holds."""
    if card and settings.json:
        raise OsirisError(
            "--card is text and --json is not", "Give one of them: --json has the same facts.", code="cli.usage"
        )
    project = settings.open_project()
    record = get_run(project.ledger, run)
    summary = _summary_of(project, record)
    output = Output(settings)
    lines = _card_lines(project.path(record.aiop_path)) if card else _show_lines(summary, record, project, output)
    output.emit(summary, lines)


@command.command(
    "export",
    cls=Verb,
    document=ExportDocument,
    exits=READING_EXITS,
    examples=["osiris aiop export last", "osiris aiop export orders/run-000012 --out /tmp/orders.zip --force"],
)
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.zip",
    help="A file or folder, instead of <slug>-<run id>.zip beside the pack.",
)
@click.option("--force", is_flag=True, help="Replace a file that is something else.")
@shared_options
@click.pass_obj
def export(settings: Settings, run: str, out: Path | None, force: bool) -> None:
    """Put the pack of one run into a zip file; the same pack gives the same bytes on any machine."""
    project = settings.open_project()
    record = get_run(project.ledger, run)
    _summary_of(project, record)
    pack, name = project.path(record.aiop_path), export_name(record)
    target = _target(out, pack.parent / f"{name}.zip")
    exported = export_pack(pack, name)
    written = save_export(exported, target, force=force)
    document = ExportDocument(
        run_id=record.run_id,
        pipeline_slug=record.pipeline_slug,
        path=project.relative(target),
        bytes=len(exported.content),
        sha256=exported.sha256,
        files=exported.members,
        annex=has_annex(pack),
        written=written,
    )
    Output(settings).emit(document, _export_lines(document, target))


def _target(out: Path | None, default: Path) -> Path:
    """The file to write: ``out``, or the default's name in it where it is a folder, or the default."""
    try:
        return default if out is None else out / default.name if out.is_dir() else out
    except OSError as cause:
        raise disk_error("write", str(out), cause) from cause


def _packs(project: Project, wanted: RunFilter, limit: int) -> list[PackEntry]:
    """Of the newest runs those whose pack stands. Runs without one are looked past, however many there are."""
    asked = limit
    while True:
        records = list_runs(project.ledger, wanted, asked)
        packs = [_entry(project, record) for record in records if _has_pack(project, record)]
        if len(packs) >= limit or len(records) < asked:
            return packs[:limit]
        asked *= 4


def _has_pack(project: Project, record: RunRecord) -> bool:
    return bool(record.aiop_path) and (project.path(record.aiop_path) / SUMMARY_NAME).is_file()


def _entry(project: Project, record: RunRecord) -> PackEntry:
    pack = project.path(record.aiop_path)
    try:
        total = sum(path.stat().st_size for path in pack_files(pack).values())
    except OSError as cause:
        raise disk_error("look at the pack", pack, cause) from cause
    return PackEntry(
        run_id=record.run_id,
        pipeline_slug=record.pipeline_slug,
        profile=record.profile,
        status=record.status,
        path=record.aiop_path,
        bytes=total,
        annex=has_annex(pack),
    )


def _summary_of(project: Project, record: RunRecord) -> RunSummary:
    """The summary of a run's pack; an error that says why there is none."""
    if not _has_pack(project, record):
        raise _no_pack(record)
    summary = read_summary(project.path(record.aiop_path))
    if summary is None or summary.run_id != record.run_id:
        path = f"{record.aiop_path}/{SUMMARY_NAME}"
        raise OsirisError(
            f"{path} is not the summary of {run_name(record)}",
            f"It was changed after it was written. The ledger still knows the run: osiris runs show {run_name(record)}",
            code="aiop.unreadable",
            path=path,
        )
    return summary


def _no_pack(record: RunRecord) -> OsirisError:
    name = run_name(record)
    if record.status == "running":
        problem, hint = f"{name} is still running", "Its pack is written when it ends."
    elif record.status == "interrupted" and not record.seq:
        problem, hint = (
            f"{name} was interrupted, and its pack is not written yet",
            "The next command that writes to the ledger writes it, such as `osiris run`.",
        )
    elif not record.aiop_path:
        problem, hint = f"{name} never had a pack", f"See what the ledger knows: osiris runs show {name}"
    else:
        problem, hint = (
            f"{name} has no pack any more" if record.pruned_at else f"{name} has no pack",
            f"It was removed, or could not be written. See what the ledger knows: osiris runs show {name}",
        )
    return OsirisError(problem, hint, code="aiop.missing", path=record.aiop_path)


def _list_lines(packs: list[PackEntry], output: Output) -> list[str]:
    if not output.on_terminal:
        rows = [
            (
                pack.run_id,
                pack.pipeline_slug,
                pack.profile or "-",
                pack.status,
                str(pack.bytes),
                "yes" if pack.annex else "pruned",
            )
            for pack in packs
        ]
        return output.table(("run", "pipeline", "profile", "status", "bytes", "annex"), rows) if rows else []
    if not packs:
        return ["No packs match."]
    columns = [
        Column("run", [short_run_name(pack.pipeline_slug, pack.run_id) for pack in packs]),
        Column("profile", [pack.profile or "-" for pack in packs], 2),
        Column("status", [output.status(pack.status) for pack in packs], 1),
        Column("size", [size(pack.bytes) for pack in packs]),
        Column("annex", ["yes" if pack.annex else "pruned" for pack in packs], 3),
    ]
    return fitted_table(columns, output)


def _show_lines(summary: RunSummary, record: RunRecord, project: Project, output: Output) -> Iterator[str]:
    pack = project.path(record.aiop_path)
    delta = summary.delta
    yield f"{run_name(record)}  {output.status(summary.status)}"
    facts = [
        ("started", local_time(summary.started_at)),
        ("duration", duration(summary.duration_ms)),
        ("rows", f"{count(summary.rows_in)} read, {count(summary.rows_out)} written"),
        ("error", f"{summary.error.code}: {one_line(summary.error.message)}" if summary.error else ""),
        ("compared", f"with {delta.previous_run_id}" if delta and delta.previous_run_id else "with no earlier success"),
    ]
    if delta and delta.previous_run_id:
        facts.append(("build", "another" if delta.manifest_changed else "the same"))
        facts.append(("change", f"{_signed(delta.rows_in)} rows read, {_signed(delta.rows_out)} rows written"))
    facts += [("output", f"{one_line(file.path)}, {file.bytes:,} bytes") for file in summary.artifacts]
    facts += [("card", f"{record.aiop_path}/{CARD_NAME}")]
    facts += [("annex", f"{record.aiop_path}/annex" if has_annex(pack) else "pruned")]
    yield from (f"  {name:9} {value}" for name, value in facts if value)


def _card_lines(pack: Path) -> Iterator[str]:
    """The card as it stands, without what a terminal would take for a command."""
    try:
        text = (pack / CARD_NAME).read_text("utf-8", "replace")
    except OSError as cause:
        raise disk_error("read", pack / CARD_NAME, cause) from cause
    for line in text.splitlines():
        yield line[: len(line) - len(line.lstrip(" "))] + one_line(line)


def _export_lines(document: ExportDocument, target: Path) -> Iterator[str]:
    how = "exported" if document.written else "unchanged"
    yield f"{how}  {document.pipeline_slug}/{document.run_id}"
    yield f"  {'file':9} {one_line(str(target))}"
    yield f"  {'size':9} {document.bytes:,} bytes, {len(document.files)} files"
    yield f"  {'sha256':9} {document.sha256}"
    yield f"  {'annex':9} {'included' if document.annex else 'not included: retention has removed it'}"


def _signed(number: int | None) -> str:
    return "-" if number is None else f"{number:+,}"
