"""The ledger beside what the disk and the language give."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.pairs import in_turn, record
from osiris import durable
from osiris.events.catalog import Event, encode_event
from osiris.events.entry import seal
from osiris.events.runs import RunFinished
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.runs import finish_run
from tests.histories import begin, ending, make_ledger

ROUNDS = 300
ENTRIES = 100_000


class BareFile:
    """The floor: one write and one fdatasync of the same bytes on the same disk."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, content: bytes) -> None:
        os.write(self._fd, content)
        durable.sync_file(self._fd)


def cpu_us(call: Callable[[], object]) -> float:
    """Microseconds of CPU time of one call, over many."""
    start = time.process_time()
    for _ in range(ROUNDS):
        call()
    return (time.process_time() - start) / ROUNDS * 1e6


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


def test_append_beside_a_bare_write_and_sync(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    ledger = make_ledger(tmp_path)
    run = begin(ledger)
    event = ending(run)
    line, _ = seal(1, "0" * 26, run.started.started_at, "0" * 64, encode_event(event))
    bare = BareFile(tmp_path / "bare")
    subject, floor = in_turn(lambda: ledger.journal.append(event), lambda: bare.write(line), ROUNDS)
    record("journal.append / write + fdatasync", subject, floor, "ms", "<= 1.25 x, mean <= 5 ms")
    cpu = [cpu_us(call) for call in (lambda: ledger.journal.append(event), lambda: bare.write(line))]
    record("  the same, CPU time", [cpu[0]], [cpu[1]], "us")
    benchmark.pedantic(ledger.journal.append, args=(event,), rounds=ROUNDS)  # type: ignore[no-untyped-call]


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


def test_rebuild_and_verify_of_100_000_entries(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    ledger = with_runs(tmp_path, ENTRIES // 2)
    segment = tmp_path / "journal" / "00000000000000000001.ndjson"

    def hash_every_line() -> None:
        with segment.open("rb") as lines:
            for line in lines:
                sha256(line).hexdigest()

    for what, call in (("rebuild", lambda: rebuild(ledger)), ("verify", lambda: verify_index(ledger))):
        subject, floor = in_turn(call, hash_every_line, 3)
        record(f"index {what}, 100,000 entries / SHA-256 of each line", subject, floor, "ms")
        rate = [ENTRIES / milliseconds for milliseconds in subject]
        record(f"  {what}: entries a second", rate, [1.0] * len(rate), "k/s")
    benchmark.pedantic(verify_index, args=(ledger,), rounds=1)  # type: ignore[no-untyped-call]
