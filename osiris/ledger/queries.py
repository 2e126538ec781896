"""What the index answers. Every question first brings it up to the journal's end; no lock is taken if it is there."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from weakref import WeakSet

import msgspec

from osiris.documents.wording import shown
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.runs import RunStarted
from osiris.ledger.fold import Fold
from osiris.ledger.ledger import Ledger, interruption, unknown_pipeline
from osiris.ledger.record_lines import lines_backward, lines_beginning_with, lines_forward
from osiris.projections.counters import COUNTERS, CountersState
from osiris.projections.pipelines import PIPELINES, LastCompile, PipelinesState, PipelineSummary
from osiris.projections.runs import (
    RUNS,
    RUNS_PATH,
    RunRecord,
    RunsState,
    RunStatus,
    by_pipeline_path,
    decode_record,
    is_imported,
    line_beginning,
    line_parts,
    open_record,
    run_key,
)

_MATCHES_TO_NAME = 5
_INCREMENTAL = re.compile(r"run-[0-9]+")
_TRIES = 2
_log = logging.getLogger("osiris.ledger")
_told_of_newer: WeakSet[Ledger] = WeakSet()
"""Ledgers whose events of a newer Osiris were spoken of: once is enough for a command that asks several questions."""


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
    """The newest build of a pipeline in a profile."""

    manifest_path: str
    manifest_hash: str
    profile: str


def run_name(record: RunRecord) -> str:
    """``orders/run-000001``: what names this run and no other, and is understood wherever a run is asked for."""
    return run_key(record.pipeline_slug, record.run_id)


def list_runs(ledger: Ledger, wanted: RunFilter, limit: int) -> list[RunRecord]:
    """Up to ``limit`` runs, newest first: those that are still open, then those that have ended.

    A pipeline that the ledger has never heard of is an error that suggests one.
    """
    return list(islice(each_run(ledger, wanted), limit))


def each_run(ledger: Ledger, wanted: RunFilter) -> Iterator[RunRecord]:
    """As :func:`list_runs`, one after the other: who takes the first few reads no more than those."""
    if wanted.pipeline:
        fold = _fold(ledger)
        known = {*fold.state(PIPELINES, PipelinesState).pipelines, *fold.state(COUNTERS, CountersState).last_value}
        if wanted.pipeline not in known:
            raise unknown_pipeline(wanted.pipeline, known)
    holding = line_parts(profile=wanted.profile, status=wanted.status, tag=wanted.tag)
    return filter(wanted.wants, _records(ledger, wanted.pipeline, holding))


def ended_runs(ledger: Ledger) -> Iterator[RunRecord]:
    """Every run that has ended, in all pipelines; the one that ended last comes first."""
    _fold(ledger)
    return _ended(ledger, RUNS_PATH, lines_backward)


def get_run(ledger: Ledger, reference: str) -> RunRecord:
    """The run that ``reference`` names: a run id, the beginning of exactly one, or ``last`` for the newest.

    ``orders/run-000001`` looks in one pipeline only: incremental ids are unique no further. ``orders/last`` is the
    newest of that pipeline.
    """
    if reference == "last":
        return _newest(ledger, "")
    slug, _, beginning = reference.encode("utf-8", "replace").decode().rpartition("/")
    if slug and beginning == "last":
        return _newest(ledger, slug)
    records = _matching(ledger, beginning) if beginning else ()  # every run id begins with nothing
    matches: dict[str, RunRecord] = {}
    for record in records:
        if slug in ("", record.pipeline_slug):
            if record.run_id == beginning and (slug or not _INCREMENTAL.fullmatch(beginning)):
                return record  # there is no other: the rest of a long history need not be looked through
            matches[run_name(record)] = record
    exact = [record for record in matches.values() if record.run_id == beginning]
    found = exact or list(matches.values())
    if len(found) == 1:
        return found[0]
    if not found:
        raise OsirisError(
            f"unknown run {shown(reference)}", "See `osiris runs list` for the runs there are.", code="run.unknown"
        )
    names = ", ".join(run_name(record) for record in found[:_MATCHES_TO_NAME])
    more = ", …" if len(found) > _MATCHES_TO_NAME else ""
    raise OsirisError(
        f"{shown(reference)} is the beginning of more than one run: {names}{more}",
        "Give more of the run id, or its pipeline as well: PIPELINE/RUN.",
        code="run.ambiguous",
    )


def _newest(ledger: Ledger, pipeline: str) -> RunRecord:
    """The newest run of a pipeline or of all; an imported one, recorded late, only where there is no other."""
    own = (record for record in each_run(ledger, RunFilter(pipeline=pipeline)) if not is_imported(record))
    newest = next(own, None) or next(each_run(ledger, RunFilter(pipeline=pipeline)), None)
    if newest is None:
        of_it = f" of {shown(pipeline)}" if pipeline else ""
        start = f"osiris run {pipeline}" if pipeline else "osiris run PIPELINE"
        raise OsirisError(f"there is no run{of_it} yet", f"Start one with `{start}`.", code="run.none")
    return newest


def journal_end(ledger: Ledger) -> int:
    """The sequence number of the last entry; another one than before means that something has happened."""
    return ledger.peek().next_seq - 1


def list_pipelines(ledger: Ledger) -> dict[str, PipelineSummary]:
    """All pipelines that the ledger knows, by slug."""
    return _fold(ledger).state(PIPELINES, PipelinesState).pipelines


def last_run_number(ledger: Ledger, slug: str) -> int:
    """The number of the pipeline's newest run, and so how many it has had; 0 before its first."""
    return _fold(ledger).state(COUNTERS, CountersState).last_value.get(slug, 0)


def latest_build(ledger: Ledger, slug: str, profile: str) -> LatestBuild | None:
    """The newest build of a pipeline in a profile ("" where profiles are off); None before its first compile."""
    pipeline = list_pipelines(ledger).get(slug)
    compiled = pipeline.last_compile.get(profile) if pipeline else None
    return _latest(compiled, profile) if compiled else None


def newest_build(ledger: Ledger, profile: str) -> LatestBuild | None:
    """The build that was compiled last in a profile, over all pipelines; None before the first.

    The journal's order decides, not the clock, which may have been set back.
    """
    summaries = list_pipelines(ledger).values()
    compiles = [summary.last_compile[profile] for summary in summaries if profile in summary.last_compile]
    return _latest(max(compiles, key=lambda compiled: compiled.seq), profile) if compiles else None


def _latest(compiled: LastCompile, profile: str) -> LatestBuild:
    return LatestBuild(manifest_path=compiled.manifest_path, manifest_hash=compiled.manifest_hash, profile=profile)


def _fold(ledger: Ledger) -> Fold:
    """The states at the journal's end; says once if there are events that they know nothing of."""
    fold = ledger.index.catch_up(ledger.journal).fold
    if fold.unknown and ledger not in _told_of_newer:
        _told_of_newer.add(ledger)
        number, types = sum(fold.unknown.values()), ", ".join(sorted(fold.unknown))
        _log.warning("a newer Osiris wrote %d events that are passed over here: %s", number, types)
    return fold


def _records(ledger: Ledger, pipeline: str, holding: tuple[bytes, ...] = ()) -> Iterator[RunRecord]:
    """Records newest first, of one pipeline or of all; of those that have ended only lines with ``holding`` in them."""
    still_open = _open_records(ledger, _fold(ledger))
    yield from still_open
    shown = {run_name(record) for record in still_open}  # one that ends meanwhile gets a line as well
    if pipeline:
        ended = _ended(ledger, by_pipeline_path(pipeline), partial(lines_forward, holding=holding))
    else:
        ended = _ended(ledger, RUNS_PATH, partial(lines_backward, holding=holding))
    yield from (record for record in ended if run_name(record) not in shown)


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
    yield from (record for record in _open_records(ledger, _fold(ledger)) if record.run_id.startswith(beginning))
    yield from _ended(ledger, RUNS_PATH, partial(lines_beginning_with, line_beginning(beginning)))


def _ended(ledger: Ledger, relative: str, read: Callable[[Path], Iterator[bytes]]) -> Iterator[RunRecord]:
    """The records in a growing file of the index, which a rebuild elsewhere may take away just before it is opened."""
    for _ in range(_TRIES):
        path = ledger.index.lines_file(ledger.journal, relative)
        try:
            lines = read(path)
            first = next(lines, None)  # opens the file; from here on it is ours, whatever becomes of its name
        except FileNotFoundError:
            ledger.index.catch_up(ledger.journal)
            continue
        except OSError as cause:
            raise disk_error("read", path, cause) from cause
        if first is not None:
            yield _decoded(first, path)
            yield from (_decoded(line, path) for line in lines)
        return


def _decoded(line: bytes, path: Path) -> RunRecord:
    try:
        return decode_record(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
        raise OsirisError(
            f"{path} has a line that is no run record: {cause}",
            "Run `osiris index rebuild`.",
            code="index.drift",
            exit_code=ExitCode.INDEX_DRIFT,
            path=str(path),
        ) from cause
