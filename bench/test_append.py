"""Appending to the journal: one writer, threads, processes; beside a bare file and SQLite in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.appenders import EVENT, SqliteLog, appender, appends_a_second, open_journal
from bench.pairs import in_turn, record
from osiris.events.catalog import encode_event
from osiris.events.entry import seal

ROUNDS = 400
SECONDS = 1.0
TURNS = 5
LINE, _ = seal(1, "0" * 26, "2026-11-21T00:40:01.123456Z", "0" * 64, encode_event(EVENT))


def cpu_us(call: Callable[[], object]) -> float:
    """Microseconds of CPU time of one call, over many."""
    start = time.process_time()
    for _ in range(ROUNDS):
        call()
    return (time.process_time() - start) / ROUNDS * 1e6


def test_one_writer(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    append, bare, sqlite = (appender(kind, tmp_path, LINE) for kind in ("osiris", "bare", "sqlite"))
    subject, floor = in_turn(append, bare, ROUNDS)
    record("append / write + fdatasync, p50", subject, floor, "ms", "<= 1.25 x")
    record("  the same, mean", [statistics.mean(subject)], [statistics.mean(floor)], "ms", "<= 5 ms")
    costs = [(cpu_us(append), cpu_us(bare)) for _ in range(TURNS)]
    record("  the same, CPU time", [one for one, _ in costs], [other for _, other in costs], "us", "+ <= 30 us")
    subject, floor = in_turn(append, sqlite, ROUNDS)
    record("append / SQLite, WAL, synchronous=FULL", subject, floor, "ms")
    benchmark.pedantic(append, rounds=ROUNDS)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("threads", [8, 32])
def test_threads(tmp_path: Path, benchmark: BenchmarkFixture, threads: int) -> None:
    journal, log = open_journal(tmp_path), SqliteLog(tmp_path / "log.sqlite")
    alone, together, sqlite = [], [], []
    for _ in range(TURNS):
        alone.append(appends_a_second(lambda: journal.append(EVENT), 1, SECONDS))
        together.append(appends_a_second(lambda: journal.append(EVENT), threads, SECONDS))
        sqlite.append(appends_a_second(lambda: log.append(LINE), threads, SECONDS))
    record(f"{threads} threads / one, appends a second", together, alone, "/s", ">= 8 x")
    record(f"{threads} threads / {threads} of SQLite, appends a second", together, sqlite, "/s")
    benchmark.pedantic(journal.append, args=(EVENT,), rounds=20)  # type: ignore[no-untyped-call]


def rate_of_processes(kind: str, root: Path, number: int) -> float:
    """Appends a second of ``number`` processes together."""
    command = [sys.executable, "-m", "bench.appenders", kind, str(root), str(SECONDS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": Path(__file__).parents[1]}
    workers = [subprocess.Popen(command, **pipes) for _ in range(number)]  # type: ignore[call-overload]
    for worker in workers:
        worker.stdout.readline()
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    counts = [int(worker.communicate()[0]) for worker in workers]
    return sum(counts) / SECONDS


def test_eight_processes(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    alone, together, sqlite = [], [], []
    for _ in range(TURNS):
        alone.append(rate_of_processes("osiris", tmp_path, 1))
        together.append(rate_of_processes("osiris", tmp_path, 8))
        sqlite.append(rate_of_processes("sqlite", tmp_path, 8))
    record("8 processes / one, appends a second", together, alone, "/s", ">= 1 x")
    record("8 processes / 8 of SQLite, appends a second", together, sqlite, "/s")
    seqs = [entry.seq for entry in open_journal(tmp_path).read()]
    assert seqs == list(range(1, len(seqs) + 1)), "nothing lost, nothing doubled"
    benchmark.pedantic(rate_of_processes, args=("osiris", tmp_path, 8), rounds=1)  # type: ignore[no-untyped-call]
