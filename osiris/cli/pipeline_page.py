"""All that is known of one pipeline: what ``osiris pipelines show`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Literal

import msgspec

from osiris.cli.output import Output, count, local_time, one_line
from osiris.cli.run_table import run_table
from osiris.compiler.render import parse_manifest
from osiris.compiler.source import load_oml, oml_fingerprint
from osiris.errors import OsirisError
from osiris.ledger.ledger import Ledger, unknown_pipeline
from osiris.ledger.queries import RunFilter, each_run, last_run_number, list_pipelines, run_name
from osiris.project import Project
from osiris.projections.pipelines import LastCompile, PipelineSummary
from osiris.projections.runs import RunRecord

_LAST_RUNS = 5
_LONGEST_STREAK = 1000

SourceState = Literal["unchanged", "changed", "missing", "unreadable", "unknown"]


class ProfileCompile(msgspec.Struct, frozen=True, kw_only=True):
    """The newest build in one profile, and what became of its source: ``unknown`` where the build is gone."""

    manifest_hash: str
    manifest_path: str
    source_path: str
    compiled_at: str
    source: SourceState


class PipelineDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris pipelines show --json`` prints.

    ``runs`` is how many there ever were. ``recent`` are the newest five records, newest first. ``success_streak`` is
    how many of the runs that ended last were successful, one after the other, counted up to 1,000; ``last_success`` is
    null where none was.
    """

    pipeline_slug: str
    tags: tuple[str, ...]
    last_compile: dict[str, ProfileCompile]
    runs: int
    success_streak: int
    last_success: RunRecord | None
    recent: tuple[RunRecord, ...]


def pipeline_document(project: Project, slug: str) -> PipelineDocument:
    """What the ledger and the files say; an error with a suggestion where the ledger has never heard of ``slug``."""
    ledger = project.ledger
    known = list_pipelines(ledger)
    number = last_run_number(ledger, slug)
    if slug not in known and not number:
        raise unknown_pipeline(slug, known)
    summary = known.get(slug, PipelineSummary())
    successes = each_run(ledger, RunFilter(pipeline=slug, status="success"))
    return PipelineDocument(
        pipeline_slug=slug,
        tags=summary.tags,
        last_compile={
            profile: _compile(project, compiled) for profile, compiled in sorted(summary.last_compile.items())
        },
        runs=number,
        success_streak=_streak(ledger, slug),
        last_success=next(successes, None),
        recent=tuple(islice(each_run(ledger, RunFilter(pipeline=slug)), _LAST_RUNS)),
    )


def pipeline_lines(document: PipelineDocument, output: Output, now: datetime) -> Iterator[str]:
    """The document as a person reads it."""
    yield document.pipeline_slug
    for source in dict.fromkeys(compiled.source_path for compiled in document.last_compile.values()):
        yield f"  source        {one_line(source)}"
    if document.tags:
        yield f"  tags          {', '.join(document.tags)}"
    yield f"  runs          {count(document.runs)}"
    if document.last_success:
        at = local_time(document.last_success.finished_at)
        yield f"  last success  {at}  {run_name(document.last_success)}"
    if document.success_streak > 1:
        more = " or more" if document.success_streak == _LONGEST_STREAK else ""
        yield f"  streak        the last {count(document.success_streak)}{more} runs were successful"
    if document.last_compile:
        yield ""
        rows = [
            (profile or "-", compiled.manifest_hash[:7], local_time(compiled.compiled_at), compiled.source)
            for profile, compiled in document.last_compile.items()
        ]
        yield from (f"  {line}" for line in output.table(("profile", "manifest", "compiled", "source"), rows))
    if document.recent:
        yield ""
        yield from (f"  {line}" for line in run_table(document.recent, output, now, indent=2))


def _compile(project: Project, compiled: LastCompile) -> ProfileCompile:
    return ProfileCompile(
        manifest_hash=compiled.manifest_hash,
        manifest_path=compiled.manifest_path,
        source_path=compiled.source_path,
        compiled_at=compiled.compiled_at,
        source=_source_state(project, compiled),
    )


def _source_state(project: Project, compiled: LastCompile) -> SourceState:
    """Whether the pipeline's file says what was compiled, comments and layout aside."""
    source = project.path(compiled.source_path)
    if not source.is_file():
        return "missing"
    try:
        manifest = parse_manifest(project.path(compiled.manifest_path).read_bytes(), compiled.manifest_path)
    except (OSError, OsirisError):
        return "unknown"
    try:
        root = load_oml(source, compiled.source_path)
    except OsirisError:
        return "unreadable"
    return "unchanged" if oml_fingerprint(root) == manifest.fingerprints.oml else "changed"


def _streak(ledger: Ledger, slug: str) -> int:
    streak = 0
    for record in each_run(ledger, RunFilter(pipeline=slug)):
        if record.status == "success" and streak < _LONGEST_STREAK:
            streak += 1
        elif record.status != "running":
            break
    return streak
