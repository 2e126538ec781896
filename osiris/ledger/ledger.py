"""The ledger: facts are decided under the journal's lock, recorded in one sync, and shown by the index."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import msgspec

from osiris.clock import Clock, rfc3339
from osiris.documents import suggest
from osiris.errors import OsirisError
from osiris.events.catalog import Event
from osiris.events.entry import Entry
from osiris.events.journal import Journal
from osiris.events.retention import RetentionPlanned
from osiris.events.runs import RunError, RunInterrupted, RunStarted
from osiris.events.segment import Extent, Position
from osiris.ledger.fold import Fold
from osiris.ledger.live_index import LiveIndex
from osiris.ledger.names import refuse_unsafe_names
from osiris.ledger.sessions import Sessions
from osiris.projections.counters import COUNTERS, CountersState
from osiris.projections.pipelines import PIPELINES, PipelinesState, PipelineSummary
from osiris.projections.retention import RETENTION, RetentionState
from osiris.projections.runs import RUNS, RunsState, run_key

_log = logging.getLogger("osiris.ledger")


class Transaction:
    """What is true at the journal's end, and the events that are to be recorded behind it, all or none."""

    def __init__(self, fold: Fold, moment: datetime, after: Position) -> None:
        self._fold = fold
        self.moment = moment
        self.last_id = after.id
        self.next_seq = after.seq + 1
        self.events: list[Event] = []
        self.entries: list[Entry] = []

    def add(self, event: Event) -> None:
        """Record ``event`` when the transaction ends without an error."""
        refuse_unsafe_names(event)
        self.events.append(event)

    def last_run_number(self, slug: str) -> int:
        """The number of the pipeline's newest run; 0 before its first."""
        return self._fold.state(COUNTERS, CountersState).last_value.get(slug, 0)

    def pipeline(self, slug: str) -> PipelineSummary | None:
        """Tags and last compiles of a pipeline; None if the journal never heard of it."""
        return self._fold.state(PIPELINES, PipelinesState).pipelines.get(slug)

    def pipelines(self) -> dict[str, PipelineSummary]:
        """All pipelines by slug."""
        return self._fold.state(PIPELINES, PipelinesState).pipelines

    def open_runs(self) -> dict[str, RunStarted]:
        """Runs without an end, by run id, in the order of their start."""
        return self._fold.state(RUNS, RunsState).open

    def open_plans(self) -> tuple[RetentionPlanned, ...]:
        """Retention plans that were begun and not finished, oldest first, each with the paths that are still to go."""
        return tuple(self._fold.state(RETENTION, RetentionState).open.values())


class Recorded(NamedTuple):
    """Which entry holds an event; ``repeated`` if that had been recorded before, with the same idempotency key."""

    seq: int
    hash: str
    repeated: bool


def _nothing_to_prepare(started: RunStarted, noticed_at: str) -> str:  # noqa: ARG001 - the hook's signature
    return noticed_at


class Ledger:
    """The ledger of one project.

    ``before_interruption`` is called with each run that was found dead and the time, before its end is recorded and
    without the journal's lock; it returns the time to record. It is for what must stand by then, and raises nothing.
    """

    before_interruption: Callable[[RunStarted, str], str]

    def __init__(self, *, journal: Journal, index: LiveIndex, sessions: Sessions, clock: Clock) -> None:
        self.journal = journal
        self.index = index
        self.sessions = sessions
        self.clock = clock
        self.before_interruption = _nothing_to_prepare

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Decide and record under the journal's lock; afterwards the events survive a power cut and the index has them.

        Runs whose process has died are recorded as interrupted along with it. Raises exit 8 where a newer Osiris wrote,
        5 on corruption, 6 past the lock's deadline, 7 where the disk fails; then none of the events was recorded.
        """
        noticed = self._prepare_interruptions()  # which also folds what is pending before the lock is taken
        with self.journal.lock():
            fold, tail = self.index.catch_up(self.journal, locked=True)
            fold.refuse_newer()
            transaction = Transaction(fold, self.clock.now(), tail.position)
            dead = [started for key, started in transaction.open_runs().items() if key in noticed]
            yield transaction
            interrupted = [_interrupted(started, noticed[_key(started)]) for started in dead]
            events: Sequence[Event] = [*interrupted, *transaction.events]
            if events:
                transaction.entries = self.journal.append_locked(events, tail)[len(interrupted) :]
        for started in dead:
            self.forget(started.session)
        if events:
            self.flush()

    def peek(self) -> Transaction:
        """What is true at the journal's end, without a lock: it may be old in the next moment, and records nothing."""
        fold, tail = self.index.catch_up(self.journal)
        return Transaction(fold, self.clock.now(), tail.position)

    def record(self, event: Event) -> Recorded:
        """Record one event that needs no decision; threads that do so at the same time share a sync.

        An event with an idempotency key is recorded once: who does not know whether it was, because the disk failed or
        the process died, may record it again with the same key. The first one stays, whatever the later one says.
        """
        refuse_unsafe_names(event)
        key = event.idempotency_key
        if key is msgspec.UNSET:
            self.index.catch_up(self.journal).fold.refuse_newer()
            entry = self.journal.append(event)
            self.flush()
            return Recorded(entry.seq, entry.hash, repeated=False)
        with self.transaction() as transaction:
            found = self.index.recorded_with(key) if transaction.next_seq > 1 else None
            if found is None:
                transaction.add(event)
        if found is not None:
            return Recorded(*found, repeated=True)
        entry = transaction.entries[0]
        return Recorded(entry.seq, entry.hash, repeated=False)

    def record_end(self, event: Event) -> Entry:
        """Record how a run of this process ended: nothing is decided, so the state of the index cannot stop it."""
        refuse_unsafe_names(event)
        entry = self.journal.append(event)
        self.flush()
        return entry

    def flush(self) -> None:
        """Show in the index what this process has recorded. That stays recorded where it fails."""
        known = self.journal.known
        try:
            self.index.catch_up(self.journal, until=Extent(known.segment, known.offset))
        except OsirisError as error:
            _log.warning("it was recorded, but the index is behind: %s; the next command catches up", error)

    def close(self) -> None:
        """Let go of open files."""
        self.index.close()
        self.journal.close()

    def forget(self, session: str) -> None:
        """Remove the lock file of a run whose end is recorded; where that fails, it is only said."""
        try:
            self.sessions.forget(session)
        except OsirisError as error:
            _log.warning("%s; it is harmless, and goes with the next run", error)

    def _prepare_interruptions(self) -> dict[str, str]:
        """The runs that were found dead, by key, with the time at which each counts as noticed."""
        fold = self.index.catch_up(self.journal).fold
        started = list(fold.state(RUNS, RunsState).open.values())  # at once: other threads go on folding
        dead = {run.session for run in started if self._is_dead(run)}
        if not dead or fold.unknown:  # what a newer Osiris wrote is refused under the lock
            return {}
        # A run lets its lock go only after its end is in the journal, so what is open now was killed.
        still_open = list(self.index.catch_up(self.journal).fold.state(RUNS, RunsState).open.values())
        noticed_at = rfc3339(self.clock.now())
        return {_key(run): self.before_interruption(run, noticed_at) for run in still_open if run.session in dead}

    def _is_dead(self, run: RunStarted) -> bool:
        return not self.sessions.is_alive(run.session)


def _key(started: RunStarted) -> str:
    return run_key(started.pipeline_slug, started.run_id)


def interruption(started: RunStarted) -> RunError:
    """Why a run counts as interrupted."""
    return RunError(
        code="runtime.interrupted",
        message=f"its process ({started.pid}) ended without recording how",
        hint="It was killed, the machine stopped, or it ran out of memory; run the pipeline again.",
    )


def _interrupted(started: RunStarted, noticed_at: str) -> RunInterrupted:
    return RunInterrupted(
        run_id=started.run_id,
        pipeline_slug=started.pipeline_slug,
        noticed_at=noticed_at,
        error=interruption(started),
    )


def unknown_pipeline(slug: str, known: Iterable[str]) -> OsirisError:
    """The ledger has never heard of ``slug``."""
    return OsirisError(
        f"unknown pipeline {slug!r}: the ledger has no compile or run of it",
        suggest(slug, known) or "Compile it first, or see `osiris pipelines list`.",
        code="pipeline.unknown",
    )
