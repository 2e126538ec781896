"""What is recorded about pipelines and runs, each decided under the journal's lock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from osiris.clock import rfc3339
from osiris.errors import OsirisError
from osiris.events.entry import Entry
from osiris.events.runs import PipelineCompiled, PipelineTagged, RunFinished, RunImported, RunStarted, RunTagged
from osiris.layout.paths import FilesystemContract
from osiris.layout.run_ts import render_run_ts
from osiris.ledger.ledger import Ledger, unknown_pipeline
from osiris.ledger.queries import get_run, run_name
from osiris.ledger.run_ids import RunIdGenerator
from osiris.locks import HeldLock
from osiris.projections.pipelines import PipelineSummary
from osiris.projections.runs import RunRecord

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a build that the ledger keeps; paths are relative to the project's root."""

    pipeline_slug: str
    profile: str
    manifest_hash: str
    manifest_short: str
    payload_digest: str
    manifest_path: str
    source_path: str


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a run before it has a number. ``run_ts_format`` is ``filesystem.naming``'s.

    ``manifest_version`` is the version of the manifest's format, which is that of the OML it was compiled from.
    """

    build: Build
    run_id_tokens: tuple[str, ...]
    run_ts_format: str
    manifest_version: str = ""
    tags: tuple[str, ...] = ()
    branch: str = ""
    user: str = ""
    git_commit: str = ""
    pid: int = 0
    runtime_env: dict[str, str] = {}
    resumed_from: str = ""


class StartedRun:
    """A run that has its number and its lock. ``started`` is the recorded event."""

    def __init__(self, started: RunStarted, session_lock: HeldLock) -> None:
        self.started = started
        self.session_lock = session_lock


def record_compile(ledger: Ledger, build: Build, *, even_if_known: bool) -> bool:
    """Record that ``build`` stands, unless it is the newest of its pipeline and profile already.

    ``even_if_known`` records it all the same: somebody asked for this compile. Returns whether it was recorded.
    """
    if not even_if_known and _is_newest(build, ledger.peek().pipeline(build.pipeline_slug)):
        return False  # most runs: nothing to record, so nobody has to wait for a lock
    with ledger.transaction() as transaction:
        if not even_if_known and _is_newest(build, transaction.pipeline(build.pipeline_slug)):
            return False
        compiled_at = rfc3339(transaction.moment)
        transaction.add(PipelineCompiled(compiled_at=compiled_at, **msgspec.structs.asdict(build)))
    return True


def _is_newest(build: Build, pipeline: PipelineSummary | None) -> bool:
    newest = pipeline.last_compile.get(build.profile) if pipeline else None
    return newest is not None and newest.manifest_path == build.manifest_path


def start_run(ledger: Ledger, request: RunRequest, contract: FilesystemContract) -> StartedRun:
    """Give a run its number, id and folders' names and record ``run.started``. Makes nothing but its lock file.

    The new run inherits its pipeline's tags.
    """
    build = request.build
    session, session_lock = ledger.sessions.open()
    try:
        with ledger.transaction() as transaction:
            ledger.sessions.sweep({session, *(run.session for run in transaction.open_runs().values())})
            pipeline = transaction.pipeline(build.pipeline_slug)
            inherited = pipeline.tags if pipeline else ()
            tags = tuple(sorted({*inherited, *checked_tags(request.tags)}))
            number = transaction.last_run_number(build.pipeline_slug) + 1
            run_id = RunIdGenerator(request.run_id_tokens).generate(
                number=number, seq=transaction.next_seq, moment=transaction.moment, after=transaction.last_id
            )
            tokens = naming_tokens(request, run_id, render_run_ts(transaction.moment, request.run_ts_format), tags)
            paths = contract.run_paths(tokens)
            started = RunStarted(
                run_id=run_id,
                number=number,
                session=session,
                pipeline_slug=build.pipeline_slug,
                profile=build.profile,
                manifest_hash=build.manifest_hash,
                manifest_short=build.manifest_short,
                payload_digest=build.payload_digest,
                started_at=rfc3339(transaction.moment),
                run_logs_path=paths.run_logs,
                aiop_path=paths.aiop,
                manifest_path=build.manifest_path,
                tags=tags,
                branch=request.branch,
                user=request.user,
                git_commit=request.git_commit,
                pid=request.pid,
                runtime_env=request.runtime_env,
                resumed_from=request.resumed_from,
            )
            transaction.add(started)
    except BaseException:
        ledger.forget(session)
        session_lock.release()
        raise
    return StartedRun(started, session_lock)


def finish_run(ledger: Ledger, run: StartedRun, end: RunFinished) -> Entry:
    """Record the run's last event and let its lock go, so that it is alive until its end is in the journal.

    Where that cannot be recorded the lock goes as well: the next writing command then records an interruption, and the
    run does not stay running for as long as this process lives.
    """
    with run.session_lock:
        entry = ledger.record_end(end)
        ledger.forget(run.started.session)
    return entry


def import_runs(ledger: Ledger, imports: Sequence[RunImported]) -> None:
    """Record runs that ended elsewhere, all or none, in one sync; those whose idempotency key is known are there.

    Imported runs have no number. The caller sees to it that no two of them, and no other run, have one name.
    """
    with ledger.transaction() as transaction:
        for event in imports:
            key = event.idempotency_key
            known = transaction.next_seq > 1 and isinstance(key, str) and ledger.index.recorded_with(key)
            if not known:
                transaction.add(event)


def tag_pipeline(ledger: Ledger, slug: str, *, add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    """Change a pipeline's tags and return them; nothing is recorded where nothing changes.

    An unknown pipeline is an error that suggests a known one, and so is a tag that is to be both added and removed.
    """
    change = _tag_change(add, remove)
    with ledger.transaction() as transaction:
        known = transaction.pipeline(slug)
        if known is None:
            raise unknown_pipeline(slug, transaction.pipelines())
        tags = change(known.tags)
        if tags != known.tags:
            added, removed = _differences(known.tags, tags)
            transaction.add(
                PipelineTagged(
                    pipeline_slug=slug,
                    tags=tags,
                    tagged_at=rfc3339(transaction.moment),
                    added=added,
                    removed=removed,
                )
            )
    return tags


def tag_run(ledger: Ledger, reference: str, *, add: Iterable[str], remove: Iterable[str]) -> RunRecord:
    """Change the tags of the run that ``reference`` names, also while it goes on; returns its record with them.

    As :func:`tag_pipeline`; the errors for a reference are those of :func:`~osiris.ledger.queries.get_run`.
    """
    change = _tag_change(add, remove)
    next_seq = ledger.peek().next_seq
    record = get_run(ledger, reference)  # may look through a long history, which nobody should have to wait for
    with ledger.transaction() as transaction:
        if transaction.next_seq != next_seq:  # it may have other tags by now; `last` still means what it meant
            record = get_run(ledger, run_name(record))
        tags = change(record.tags)
        if tags != record.tags:
            added, removed = _differences(record.tags, tags)
            transaction.add(
                RunTagged(
                    run_id=record.run_id,
                    pipeline_slug=record.pipeline_slug,
                    tags=tags,
                    tagged_at=rfc3339(transaction.moment),
                    added=added,
                    removed=removed,
                )
            )
    return msgspec.structs.replace(record, tags=tags)


def _tag_change(add: Iterable[str], remove: Iterable[str]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """What adding and removing makes of tags; the tags are checked here, once."""
    added, removed = set(checked_tags(add)), set(checked_tags(remove))
    both = sorted(added & removed)
    if both:
        raise OsirisError(
            f"{', '.join(map(repr, both))} cannot be both added and removed", "Leave one of them out.", code="cli.usage"
        )
    return lambda tags: tuple(sorted((set(tags) | added) - removed))


def _differences(before: Iterable[str], after: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What came and what went, sorted."""
    old, new = set(before), set(after)
    return tuple(sorted(new - old)), tuple(sorted(old - new))


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """``tags`` as they are; one that is not 1 to 64 of ``[A-Za-z0-9_.:/-]`` is an error."""
    checked = tuple(tags)
    for tag in checked:
        if not _TAG.fullmatch(tag):
            raise OsirisError(
                f"{tag!r} cannot be a tag",
                "A tag has 1 to 64 letters, digits, and _ . : / - and begins with a letter or digit.",
                code="tag.invalid",
            )
    return checked


def naming_tokens(request: RunRequest, run_id: str, run_ts: str, tags: Iterable[str]) -> Mapping[str, str]:
    """The tokens that name a run's folders; ``status`` is not known then, for the names stand in ``run.started``."""
    build = request.build
    return {
        "pipeline_slug": build.pipeline_slug,
        "profile": build.profile,
        "manifest_hash": build.manifest_hash,
        "manifest_short": build.manifest_short,
        "manifest_version": request.manifest_version,
        "run_id": run_id,
        "run_ts": run_ts,
        "branch": request.branch,
        "user": request.user,
        "tags": "+".join(tags),
    }
