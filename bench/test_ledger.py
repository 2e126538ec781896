"""``Ledger.record`` of a run that has ended, with few and with many earlier runs, beside a bare write and sync."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.appenders import BareFile
from bench.pairs import in_turn, record
from osiris.events.catalog import Event, encode_event
from osiris.events.entry import seal
from osiris.events.runs import RunFinished
from osiris.ledger.ledger import Ledger
from osiris.ledger.runs import finish_run
from tests.histories import begin, ending, make_ledger


def with_runs(root: Path, runs: int) -> Ledger:
    """A ledger in which ``runs`` runs of one pipeline have ended; made without a sync for each."""
    ledger = make_ledger(root)
    if runs:
        write_history(ledger, runs)
    return ledger


def write_history(ledger: Ledger, runs: int) -> None:
    sample = begin(ledger)
    finish_run(ledger, sample, ending(sample))
    events: list[Event] = []
    for number in range(2, runs + 1):
        run_id = f"run-{number:06d}_{sample.started.run_id[11:]}"
        events.append(msgspec.structs.replace(sample.started, run_id=run_id, number=number))
        events.append(msgspec.structs.replace(ending(sample), run_id=run_id))
    with ledger.journal.lock():
        tail = ledger.journal.read().drain()
        for start in range(0, len(events), 1000):
            ledger.journal.append_locked(events[start : start + 1000], tail)
    ledger.flush()


@pytest.mark.parametrize("earlier", [0, 1_000, 10_000])
def test_record_of_a_finished_run(tmp_path: Path, benchmark: BenchmarkFixture, earlier: int) -> None:
    ledger = with_runs(tmp_path, earlier)
    bare = BareFile(tmp_path / "bare")
    line, _ = seal(1, "0" * 26, "2026-11-21T00:40:01.123456Z", "0" * 64, encode_event(ending(begin(ledger))))
    subject: list[float] = []
    floor: list[float] = []
    for _ in range(80):
        run = begin(ledger)
        one, other = in_turn(partial(ledger.record, ending(run)), partial(bare.write, line), 1)
        subject += one
        floor += other
        ledger.sessions.close(run.started.session, run.session_lock)
    record(f"ledger.record, {earlier:,} earlier runs / write + fdatasync", subject, floor, "ms", "1,000: <= 1.6 x")

    def one_more() -> tuple[tuple[RunFinished], dict[str, object]]:
        return (ending(begin(ledger)),), {}

    benchmark.pedantic(ledger.record, setup=one_more, rounds=20)  # type: ignore[no-untyped-call]
