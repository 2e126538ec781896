"""The page before it is drawn: a pure function from what is known of a run to what the page says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec

from osiris.cli.report.axis import Axis, axis_of
from osiris.cli.report.changes import Changes, changes_of, value_text
from osiris.cli.report.sources import FoundFile, Sources
from osiris.cli.report.steps import Step, after_ms, steps_of
from osiris.cli.report.wording import in_utc, moment
from osiris.ledger.queries import run_name
from osiris.projections.runs import RunRecord, run_key
from osiris.runner.annex import ANNEX_NAME
from osiris.runner.summary import AnnexFile, Artifact

_LINES_AROUND = 4
_LONGEST_QUERY = 60
_MOST_NOTES = 100
_OPEN_ROOM = 1.08
"""How much longer than what is known the axis is where something has not ended."""


class CodeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a query; ``wrong`` where the error is."""

    number: int
    text: str
    wrong: bool


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A warning, ``at_ms`` after the run's start."""

    at_ms: float | None
    step: str
    message: str


class PageFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file with what the pack says of it, where it is an output or stands in the annex."""

    file: FoundFile
    artifact: Artifact | None = None
    annex: AnnexFile | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What the page says, in its order. ``changes`` None: no run ended before, or, without a pack, not known."""

    record: RunRecord
    name: str
    intent: str
    params: tuple[tuple[str, str], ...]
    axis: Axis
    steps: tuple[Step, ...]
    last_sign_ms: float | None
    has_pack: bool
    changes: Changes | None
    code: tuple[CodeLine, ...]
    notes: tuple[Note, ...]
    notes_left_out: int
    files: tuple[PageFile, ...]
    pack_note: str
    missing: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]


def page_of(sources: Sources) -> Page:
    """The page of a run. The same sources give the same page; nothing here asks a clock or a disk."""
    record, manifest, summary = sources.record, sources.manifest, sources.summary
    steps = steps_of(sources)
    changes = changes_of(summary, sources.between) if summary else None
    last_sign_ms = _last_sign_ms(sources)
    warnings = [event for event in sources.events if event.event == "step.warning"]
    start = moment(record.started_at)
    return Page(
        record=record,
        name=(manifest.pipeline.name if manifest else "") or record.pipeline_slug,
        intent=(manifest.pipeline.intent or manifest.pipeline.description) if manifest else "",
        params=tuple((name, value_text(name, value)) for name, value in manifest.params.items()) if manifest else (),
        axis=_axis(record, steps, last_sign_ms),
        steps=steps,
        last_sign_ms=last_sign_ms,
        has_pack=summary is not None,
        changes=changes,
        code=_code(sources.query, record.error.line if record.error else 0),
        notes=tuple(
            Note(at_ms=after_ms(start, event.at), step=event.step, message=event.message)
            for event in warnings[:_MOST_NOTES]
        ),
        notes_left_out=max(0, len(warnings) - _MOST_NOTES),
        files=_files(sources),
        pack_note=_pack_note(sources),
        missing=tuple(_missing(sources)),
        commands=tuple(_commands(record, changes, has_log=_has_log(sources), has_pack=summary is not None)),
    )


def _last_sign_ms(sources: Sources) -> float | None:
    """How long the run is known to have lived: by its log, else by what its pack noted of that."""
    if sources.events:
        return after_ms(moment(sources.record.started_at), sources.events[-1].at)
    noted = sources.summary.evidence.get("run.last_event_ms") if sources.summary else None
    return float(noted) if isinstance(noted, int) else None


def _axis(record: RunRecord, steps: tuple[Step, ...], last_sign_ms: float | None) -> Axis:
    ends = [step.at_ms + (step.duration_ms or 0) for step in steps if step.at_ms is not None]
    if record.duration_ms is not None:
        return axis_of(max([record.duration_ms, *ends]))
    return axis_of(max([last_sign_ms or 0, *ends]) * _OPEN_ROOM)


def _code(query: str, line: int) -> tuple[CodeLine, ...]:
    """The lines around ``line``, or, where no line is known, the query's beginning."""
    lines = query.rstrip("\n").split("\n") if query else []
    if not 1 <= line <= len(lines):
        first, last = 1, min(len(lines), _LONGEST_QUERY)
    else:
        first, last = max(1, line - _LINES_AROUND), min(len(lines), line + _LINES_AROUND)
    return tuple(
        CodeLine(number=number, text=lines[number - 1], wrong=number == line) for number in range(first, last + 1)
    )


def _files(sources: Sources) -> tuple[PageFile, ...]:
    """What exists; of the outputs, also what is no longer there."""
    artifacts = {artifact.path: artifact for artifact in sources.summary.artifacts} if sources.summary else {}
    annex = {file.name: file for file in sources.summary.annex} if sources.summary else {}
    return tuple(
        PageFile(
            file=file,
            artifact=artifacts.get(file.path) if file.group == "outputs" else None,
            annex=annex.get(file.path.rsplit("/", 1)[-1]) if is_in_annex(file) else None,
        )
        for file in sources.files
        if file.exists or file.group == "outputs"
    )


def is_in_annex(file: FoundFile) -> bool:
    """Whether a file stands in the pack's annex."""
    return file.group == "pack" and file.path.split("/")[-2:-1] == [ANNEX_NAME]


def _pack_note(sources: Sources) -> str:
    """Why a pack has no annex; "" where it has one, or where there is no pack."""
    if sources.summary is None or sources.has_annex:
        return ""
    pruned = moment(sources.record.pruned_at)
    if pruned is None:
        return f"{ANNEX_NAME}/ is no longer there."
    return f"{ANNEX_NAME}/ was removed by retention, on {in_utc(pruned)} at the latest. The rest of a pack stays."


def _has_log(sources: Sources) -> bool:
    return any(file.group == "log" and file.exists for file in sources.files)


def _missing(sources: Sources) -> Iterator[str]:
    """Why something that a run has is not on the page."""
    record = sources.record
    if record.status == "running":
        yield (
            "The run was still going on when this page was written. Exact totals, the comparison with the run before "
            "and the list of outputs come with its end: write the page again then."
        )
    elif sources.summary is None:
        yield (
            "Its process was killed before it could write its pack, so this page is made from the run's log. The next "
            "command that writes to the ledger makes the pack: write the page again then."
            if record.status == "interrupted" and not record.seq
            else "Its pack is not there or cannot be read, so the comparison with the run before and the list of "
            "outputs are not known."
        )
    if record.pruned_at and not _has_log(sources) and not sources.events:
        pruned = moment(record.pruned_at)
        yield f"Its log was removed by retention{f' on {in_utc(pruned)}' if pruned else ''}: no retries, no warnings."
    elif sources.events_problem:
        yield f"Its log cannot be read to the end: {sources.events_problem}"
    elif not sources.events:
        yield "It has no log, or its log was removed: retries and warnings are not known."
    if sources.manifest is None:
        yield "Its build is not there or was changed: the order of its steps and their queries are not known."


def _commands(
    record: RunRecord, changes: Changes | None, *, has_log: bool, has_pack: bool
) -> Iterator[tuple[str, str]]:
    """What to type to see more, and what each shows; nothing that could only answer that something is not there."""
    name, slug = shlex.quote(run_name(record)), shlex.quote(record.pipeline_slug)
    yield f"osiris runs show {name}", "the same on the terminal"
    if changes and changes.previous_run_id:
        before = shlex.quote(run_key(record.pipeline_slug, changes.previous_run_id))
        yield f"osiris runs diff {before} {name}", "every value that changed since the last success"
    if changes and changes.attempts:
        yield f"osiris runs diff {name}", "what changed since the run just before"
    if record.status == "running":
        yield f"osiris logs show {name} --follow", "its log, as it grows"
    elif has_log:
        step = f" --step {shlex.quote(record.error.step)}" if record.error and record.error.step else ""
        yield f"osiris logs show {name}{step}", "the log of the step that failed" if step else "its log"
    if has_pack:
        yield f"osiris aiop show {name} --card", "the card of its pack, for people and language models"
    yield f"osiris events --run {name}", "its entries in the journal"
    yield f"osiris runs list --pipeline {slug}", "all runs of the pipeline"
    yield f"osiris run {shlex.quote(record.build_manifest_path)}", "run this very build again"
