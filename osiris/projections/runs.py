"""``runs.jsonl``, one line a finished run in journal order, and ``by_pipeline/<slug>.jsonl``, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from osiris.events.entry import Entry
from osiris.events.retention import RetentionPruned
from osiris.events.runs import RunError, RunFinished, RunImported, RunInterrupted, RunStarted, RunTagged
from osiris.projections.base import Append, Change, Edit, Prepend, Projection, Revise

RUNS_PATH = "runs.jsonl"
IMPORTED_FROM = "imported_from"
"""The key in ``runtime_env`` by which an imported run is known; its value is where the run's files lay."""

RunStatus = Literal["running", "success", "failed", "cancelled", "interrupted"]


class RunRecord(msgspec.Struct, frozen=True, gc=False):
    """One line of ``runs.jsonl``, in the order of its keys. ``seq`` is the entry that ended the run.

    A run that is still open is shown with the same record: status ``running`` (or ``interrupted``, once its process is
    dead), ``seq`` 0, and null for what is not known yet. ``finished_at`` of an interrupted run is when it was noticed.
    """

    run_id: str
    pipeline_slug: str
    profile: str
    manifest_hash: str
    manifest_short: str
    run_ts: str
    status: RunStatus
    duration_ms: int | None
    run_logs_path: str
    aiop_path: str
    build_manifest_path: str
    tags: tuple[str, ...]
    branch: str
    started_at: str
    finished_at: str | None
    payload_digest: str
    rows_in: int | None
    rows_out: int | None
    error: RunError | None
    user: str
    git_commit: str
    runtime_env: dict[str, str]
    seq: int
    pruned_at: str | None = None
    resumed_from: str = ""


class RunsState(msgspec.Struct, kw_only=True):
    """Runs that have started and not ended, by ``run_key``, in the order of their start."""

    open: dict[str, RunStarted] = {}


encode_record = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(RunRecord).decode


def by_pipeline_path(slug: str) -> str:
    """Where the lines of one pipeline stand."""
    return f"by_pipeline/{slug}.jsonl"


def run_key(slug: str, run_id: str) -> str:
    """What a run is known by: an incremental run id is unique in its pipeline only."""
    return f"{slug}/{run_id}"


def line_key(slug: str, run_id: str) -> bytes:
    """How the line of a run begins, up to the second comma; no other line in the file begins so."""
    return b'{"run_id":' + msgspec.json.encode(run_id) + b',"pipeline_slug":' + msgspec.json.encode(slug) + b","


def line_beginning(run_id_beginning: str) -> bytes:
    """How the line of every run begins whose id begins so."""
    return b'{"run_id":' + msgspec.json.encode(run_id_beginning)[:-1]


def line_parts(*, profile: str = "", status: str | None = None, tag: str = "") -> tuple[bytes, ...]:
    """What stands in the line of every run that has these, and perhaps in others; what is empty is not asked for."""
    encode = msgspec.json.encode
    parts = [encode(tag)] if tag else []
    parts += [b'"profile":' + encode(profile) + b","] if profile else []
    parts += [b'"status":' + encode(status) + b","] if status else []
    return tuple(parts)


def open_record(started: RunStarted, status: RunStatus = "running", error: RunError | None = None) -> RunRecord:
    """The record of a run that has no end in the journal."""
    return _record(started, status, error, 0, None)


def ended_record(started: RunStarted, event: RunFinished | RunInterrupted, seq: int) -> RunRecord:
    """The record of a run whose last event is entry ``seq``."""
    match event:
        case RunFinished(status=status, error=error, finished_at=at):
            return _record(started, status, error, seq, at, event.duration_ms, event.rows_in, event.rows_out)
        case RunInterrupted():
            return _record(started, "interrupted", event.error, seq, event.noticed_at)


def imported_record(event: RunImported, seq: int) -> RunRecord:
    """The record of a run that ended elsewhere and was imported by entry ``seq``."""
    started = RunStarted(
        run_id=event.run_id,
        number=0,
        session="",
        pipeline_slug=event.pipeline_slug,
        profile=event.profile,
        manifest_hash=event.manifest_hash,
        manifest_short=event.manifest_short,
        payload_digest=event.payload_digest,
        started_at=event.started_at,
        run_logs_path=event.run_logs_path,
        aiop_path="",
        manifest_path=event.manifest_path,
        tags=event.tags,
        user=event.user,
        runtime_env={**event.runtime_env, IMPORTED_FROM: event.source},
    )
    figures = (event.duration_ms, event.rows_in, event.rows_out)
    return _record(started, event.status, event.error, seq, event.finished_at, *figures)


def is_imported(record: RunRecord) -> bool:
    """Whether the run ended elsewhere, and only its record and its files came here."""
    return IMPORTED_FROM in record.runtime_env


def _record(
    started: RunStarted,
    status: RunStatus,
    error: RunError | None,
    seq: int,
    finished_at: str | None,
    duration_ms: int | None = None,
    rows_in: int | None = None,
    rows_out: int | None = None,
) -> RunRecord:
    return RunRecord(  # by position: 25 names take msgspec as long as all the rest of a rebuild takes for a run
        started.run_id,
        started.pipeline_slug,
        started.profile,
        started.manifest_hash,
        started.manifest_short,
        started.started_at[:19].replace(":", "-") + "Z",
        status,
        duration_ms,
        started.run_logs_path,
        started.aiop_path,
        started.manifest_path,
        started.tags,
        started.branch,
        started.started_at,
        finished_at,
        started.payload_digest,
        rows_in,
        rows_out,
        error,
        started.user,
        started.git_commit,
        started.runtime_env,
        seq,
        None,
        started.resumed_from,
    )


def begun(state: RunsState, event: RunStarted, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Open a run."""
    state.open[run_key(event.pipeline_slug, event.run_id)] = event
    return ()


def ended(state: RunsState, event: RunFinished | RunInterrupted, entry: Entry) -> Sequence[Change]:
    """End a run with its line; one that never began has none."""
    started = state.open.pop(run_key(event.pipeline_slug, event.run_id), None)
    if started is None:
        return ()
    line = encode_record(ended_record(started, event, entry.seq)) + b"\n"
    return (Append(RUNS_PATH, line), Prepend(by_pipeline_path(event.pipeline_slug), line))


def imported(state: RunsState, event: RunImported, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """A line for a run that ended elsewhere."""
    line = encode_record(imported_record(event, entry.seq)) + b"\n"
    return (Append(RUNS_PATH, line), Prepend(by_pipeline_path(event.pipeline_slug), line))


def tagged(state: RunsState, event: RunTagged, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Tag a run: its line if it has ended."""
    key = run_key(event.pipeline_slug, event.run_id)
    started = state.open.get(key)
    if started is None:
        return _revised(event.run_id, event.pipeline_slug, _set_tags(event.tags))
    state.open[key] = msgspec.structs.replace(started, tags=event.tags)
    return ()


def pruned(state: RunsState, event: RetentionPruned, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Say in the lines of the runs that their files are gone; a run that is still open will make new ones."""
    edit = _set_pruned_at(event.pruned_at)
    ended_runs = [run for run in event.runs if run_key(run.pipeline_slug, run.run_id) not in state.open]
    return [change for run in ended_runs for change in _revised(run.run_id, run.pipeline_slug, edit)]


def _revised(run_id: str, slug: str, edit: Edit) -> Sequence[Change]:
    key = line_key(slug, run_id)
    return (Revise(RUNS_PATH, key, edit), Revise(by_pipeline_path(slug), key, edit))


def _set_tags(tags: tuple[str, ...]) -> Edit:
    return lambda line: encode_record(msgspec.structs.replace(decode_record(line), tags=tags)) + b"\n"


def _set_pruned_at(pruned_at: str) -> Edit:
    return lambda line: encode_record(msgspec.structs.replace(decode_record(line), pruned_at=pruned_at)) + b"\n"


RUNS = Projection(
    "runs",
    RunsState,
    {
        RunStarted: begun,
        RunFinished: ended,
        RunInterrupted: ended,
        RunImported: imported,
        RunTagged: tagged,
        RetentionPruned: pruned,
    },
)
