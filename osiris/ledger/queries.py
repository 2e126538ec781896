"""What the index answers. Every question first brings it up to the journal's end; no lock is taken if it is there."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from osiris.errors import ExitCode, OsirisError
from osiris.events.runs import RunStarted
from osiris.ledger.fold import Fold
from osiris.ledger.fresh_index import lines_backward
from osiris.ledger.ledger import Ledger, interruption, unknown_pipeline
from osiris.projections.counters import COUNTERS, CountersState
from osiris.projections.latest import latest_path
from osiris.projections.pipelines import PIPELINES, PipelinesState, PipelineSummary
from osiris.projections.runs import (
    RUNS,
    RUNS_PATH,
    RunRecord,
    RunsState,
    RunStatus,
    by_pipeline_path,
    decode_record,
    line_beginning,
    open_record,
)

_MATCHES_TO_NAME = 5


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are wanted; empty fields want all. ``since`` is an RFC 3339 text that ``started_at`` must reach."""

    pipeline: str = ""
    profile: str = ""
    status: RunStatus | None = None
    tag: str = ""
    since: str = ""

    def wants(self, record: RunRecord) -> bool:
        """Whether ``record`` passes."""
        return (
            (not self.pipeline or record.pipeline_slug == self.pipeline)
            and (not self.profile or record.profile == self.profile)
            and (self.status is None or record.status == self.status)
            and (not self.tag or self.tag in record.tags)
            and record.started_at >= self.since
        )


class LatestBuild(msgspec.Struct, frozen=True, kw_only=True):
    """A pointer file: the newest build of a pipeline."""

    manifest_path: str
    manifest_hash: str
    profile: str


def list_runs(ledger: Ledger, wanted: RunFilter, limit: int) -> list[RunRecord]:
    """Up to ``limit`` runs, newest first: those that are still open, then those that have ended.

    A pipeline that the ledger has never heard of is an error that suggests one.
    """
    if wanted.pipeline:
        fold = ledger.index.catch_up(ledger.journal).fold
        known = {*fold.state(PIPELINES, PipelinesState).pipelines, *fold.state(COUNTERS, CountersState).last_value}
        if wanted.pipeline not in known:
            raise unknown_pipeline(wanted.pipeline, known)
    return list(islice(filter(wanted.wants, _records(ledger, wanted.pipeline)), limit))


def get_run(ledger: Ledger, reference: str) -> RunRecord:
    """The run that ``reference`` names: a run id, the beginning of exactly one, or ``last`` for the newest.

    ``orders/run-000001`` looks in one pipeline only: incremental ids are unique no further.
    """
    if reference == "last":
        newest = next(_records(ledger, ""), None)
        if newest is None:
            raise OsirisError("there is no run yet", "Start one with `osiris run PIPELINE`.", code="run.none")
        return newest
    slug, _, beginning = reference.rpartition("/")
    records = _matching(ledger, beginning) if beginning else ()  # every run id begins with nothing
    matches = {record.run_id + record.pipeline_slug: record for record in records if slug in ("", record.pipeline_slug)}
    exact = [record for record in matches.values() if record.run_id == beginning]
    found = exact or list(matches.values())
    if len(found) == 1:
        return found[0]
    if not found:
        raise OsirisError(
            f"unknown run {reference!r}", "See `osiris runs list` for the runs there are.", code="run.unknown"
        )
    names = ", ".join(f"{record.run_id} ({record.pipeline_slug})" for record in found[:_MATCHES_TO_NAME])
    raise OsirisError(
        f"{reference!r} is the beginning of more than one run: {names}{', …' if len(found) > _MATCHES_TO_NAME else ''}",
        "Give more of the run id, or its pipeline as well: PIPELINE/RUN.",
        code="run.ambiguous",
    )


def get_run_of(ledger: Ledger, slug: str, run_id: str) -> RunRecord:
    """The run of the pipeline ``slug`` with exactly this id; other pipelines may have the same one."""
    for record in _records(ledger, slug):
        if record.run_id == run_id and record.pipeline_slug == slug:
            return record
    raise OsirisError(f"unknown run {run_id!r} of {slug!r}", "See `osiris runs list`.", code="run.unknown")


def list_pipelines(ledger: Ledger) -> dict[str, PipelineSummary]:
    """All pipelines that the ledger knows, by slug."""
    return ledger.index.catch_up(ledger.journal).fold.state(PIPELINES, PipelinesState).pipelines


def latest_build(ledger: Ledger, slug: str, profile: str) -> LatestBuild | None:
    """The newest build of a pipeline in a profile; None before its first compile."""
    ledger.index.catch_up(ledger.journal)
    path = ledger.index.directory / latest_path(slug, profile)
    try:
        manifest_path, manifest_hash, of_profile = path.read_text("utf-8").split("\n")[:3]
    except (FileNotFoundError, ValueError):
        return None
    return LatestBuild(manifest_path=manifest_path, manifest_hash=manifest_hash, profile=of_profile)


def newest_build(ledger: Ledger, profile: str) -> LatestBuild | None:
    """The build that was compiled last in a profile, over all pipelines; None before the first."""
    compiles = [
        (pipeline.last_compile[profile].compiled_at, slug)
        for slug, pipeline in list_pipelines(ledger).items()
        if profile in pipeline.last_compile
    ]
    return latest_build(ledger, max(compiles)[1], profile) if compiles else None


def _records(ledger: Ledger, pipeline: str) -> Iterator[RunRecord]:
    """Records newest first, of one pipeline or of all."""
    fold = ledger.index.catch_up(ledger.journal).fold
    yield from _open_records(ledger, fold)
    if pipeline:
        yield from _forward(ledger.index.lines_file(ledger.journal, by_pipeline_path(pipeline)))
    else:
        yield from _backward(ledger.index.lines_file(ledger.journal, RUNS_PATH))


def _open_records(ledger: Ledger, fold: Fold) -> list[RunRecord]:
    started = list(fold.state(RUNS, RunsState).open.values())
    dead = {run.session for run in started if not ledger.sessions.is_alive(run.session)}
    if dead:
        # A run lets its lock go only after its end is in the journal, so what is open now was killed.
        started = list(ledger.index.catch_up(ledger.journal).fold.state(RUNS, RunsState).open.values())
    return [_open_record(run, dead=run.session in dead) for run in reversed(started)]


def _open_record(started: RunStarted, *, dead: bool) -> RunRecord:
    return open_record(started, "interrupted", interruption(started)) if dead else open_record(started)


def _matching(ledger: Ledger, beginning: str) -> Iterator[RunRecord]:
    fold = ledger.index.catch_up(ledger.journal).fold
    yield from (record for record in _open_records(ledger, fold) if record.run_id.startswith(beginning))
    key = line_beginning(beginning)
    path = ledger.index.lines_file(ledger.journal, RUNS_PATH)
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = len(content)
        while (start := _last_line_start(content, key, start)) >= 0:
            yield _decoded(content[start : content.find(b"\n", start)], path)


def _last_line_start(content: mmap.mmap, key: bytes, before: int) -> int:
    found = content.rfind(b"\n" + key, 0, before)
    if found >= 0:
        return found + 1
    return 0 if before > 0 and content[: len(key)] == key else -1


def _backward(path: Path) -> Iterator[RunRecord]:
    if path.exists():
        yield from (_decoded(line, path) for line in lines_backward(path))


def _forward(path: Path) -> Iterator[RunRecord]:
    if path.exists():
        with path.open("rb") as file:
            yield from (_decoded(line, path) for line in file)


def _decoded(line: bytes, path: Path) -> RunRecord:
    try:
        return decode_record(line)
    except msgspec.MsgspecError as cause:
        raise OsirisError(
            f"{path} has a line that is no run record: {cause}",
            "Run `osiris index rebuild`.",
            code="index.drift",
            exit_code=ExitCode.INDEX_DRIFT,
            path=str(path),
        ) from cause
