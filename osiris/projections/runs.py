"""``runs.jsonl``, one line a finished run in journal order, and ``by_pipeline/<slug>.jsonl``, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from osiris.events.entry import Entry
from osiris.events.retention import RetentionPruned
from osiris.events.runs import RunError, RunFinished, RunInterrupted, RunStarted, RunTagged
from osiris.projections.base import Append, Change, Prepend, Projection, Revise

RUNS_PATH = "runs.jsonl"

RunStatus = Literal["running", "success", "failed", "cancelled", "interrupted"]


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
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


def open_record(started: RunStarted, status: RunStatus = "running", error: RunError | None = None) -> RunRecord:
    """The record of a run that has no end in the journal."""
    return RunRecord(
        run_id=started.run_id,
        pipeline_slug=started.pipeline_slug,
        profile=started.profile,
        manifest_hash=started.manifest_hash,
        manifest_short=started.manifest_short,
        run_ts=started.started_at[:19].replace(":", "-") + "Z",
        status=status,
        duration_ms=None,
        run_logs_path=started.run_logs_path,
        aiop_path=started.aiop_path,
        build_manifest_path=started.manifest_path,
        tags=started.tags,
        branch=started.branch,
        started_at=started.started_at,
        finished_at=None,
        payload_digest=started.payload_digest,
        rows_in=None,
        rows_out=None,
        error=error,
        user=started.user,
        git_commit=started.git_commit,
        runtime_env=started.runtime_env,
        seq=0,
    )


def apply(state: RunsState, entry: Entry) -> Sequence[Change]:
    """Open a run, end it with its line, or revise the lines of runs that have ended."""
    match entry.event:
        case RunStarted() as event:
            state.open[run_key(event.pipeline_slug, event.run_id)] = event
        case RunFinished() | RunInterrupted() as event:
            started = state.open.pop(run_key(event.pipeline_slug, event.run_id), None)
            if started is not None:
                return _lines(ended_record(started, event, entry.seq))
        case RunTagged(run_id=run_id, tags=tags) as event:
            key = run_key(event.pipeline_slug, run_id)
            if key in state.open:
                state.open[key] = msgspec.structs.replace(state.open[key], tags=tags)
            else:
                return _revised(run_id, event.pipeline_slug, _set_tags(tags))
        case RetentionPruned(runs=runs, pruned_at=pruned_at):
            edit = _set_pruned_at(pruned_at)
            return [change for run in runs for change in _revised(run.run_id, run.pipeline_slug, edit)]
        case _:
            pass
    return ()


def ended_record(started: RunStarted, event: RunFinished | RunInterrupted, seq: int) -> RunRecord:
    """The record of a run whose last event is entry ``seq``."""
    record = open_record(started)
    match event:
        case RunFinished():
            return msgspec.structs.replace(
                record,
                status=event.status,
                duration_ms=event.duration_ms,
                finished_at=event.finished_at,
                rows_in=event.rows_in,
                rows_out=event.rows_out,
                error=event.error,
                seq=seq,
            )
        case RunInterrupted():
            return msgspec.structs.replace(
                record, status="interrupted", finished_at=event.noticed_at, error=event.error, seq=seq
            )


def _lines(record: RunRecord) -> Sequence[Change]:
    line = encode_record(record) + b"\n"
    return (Append(RUNS_PATH, line), Prepend(by_pipeline_path(record.pipeline_slug), line))


def _revised(run_id: str, slug: str, edit: Callable[[bytes], bytes]) -> Sequence[Change]:
    key = line_key(slug, run_id)
    return (Revise(RUNS_PATH, key, edit), Revise(by_pipeline_path(slug), key, edit))


def _set_tags(tags: tuple[str, ...]) -> Callable[[bytes], bytes]:
    return lambda line: encode_record(msgspec.structs.replace(decode_record(line), tags=tags)) + b"\n"


def _set_pruned_at(pruned_at: str) -> Callable[[bytes], bytes]:
    return lambda line: encode_record(msgspec.structs.replace(decode_record(line), pruned_at=pruned_at)) + b"\n"


RUNS = Projection("runs", RunsState, apply)
