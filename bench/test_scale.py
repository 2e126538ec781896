"""A million entries: rebuild, verify, and commands that must not notice them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.long_histories import HistoryWriter, long_project, run_id
from bench.pairs import in_turn, processes_in_turn, record
from osiris.ledger.runs import StartedRun
from osiris.project import open_project
from tests.histories import begin

OSIRIS = str(Path(sys.executable).with_name("osiris"))
RUNS = 500_000


class Measured(NamedTuple):
    """What one process took: seconds of wall and CPU, and MB of memory at its peak."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Projects(NamedTuple):
    """A short and a long history, and the writer of the long one."""

    short: Path
    long: Path
    writer: HistoryWriter


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """Fifty runs, and half a million: a million entries of 500 bytes."""
    root = tmp_path_factory.mktemp("scale")
    (root / "short").mkdir()
    (root / "long").mkdir()
    long_project(OSIRIS, root / "short", 50)
    return Projects(root / "short", root / "long", long_project(OSIRIS, root / "long", RUNS))


def measure(command: Sequence[str], cwd: Path) -> Measured:
    """Run a command to its success, by the operating system's account."""
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{command} ended with {child.returncode}")
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    return Measured(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def hash_every_line(root: Path) -> None:
    """The floor: read all lines and hash each."""
    for path in sorted((root / ".osiris" / "journal").glob("*.ndjson")):
        with path.open("rb") as lines:
            for line in lines:
                sha256(line).hexdigest()


def test_rebuild_and_verify(projects: Projects, benchmark: BenchmarkFixture) -> None:
    start = time.process_time()
    hash_every_line(projects.long)
    floor_s = time.process_time() - start
    entries = projects.writer.seq
    size = sum(path.stat().st_size for path in (projects.long / ".osiris" / "journal").glob("*.ndjson"))
    for verb, rate in (("rebuild", 150), ("verify", 200)):
        taken = [measure([OSIRIS, "index", verb], projects.long) for _ in range(3)]
        what = f"index {verb}, {entries:,} entries of {size // entries} B"
        record(f"{what}, wall", [one.wall_s for one in taken], [floor_s] * 3, "s", "floor: SHA-256 of each line")
        record("  entries a second", [entries / one.wall_s / 1e3 for one in taken], [rate] * 3, "k/s", f">= {rate} k/s")
        record("  peak memory", [one.peak_mb for one in taken], [300.0] * 3, "MB", "<= 300 MB")
    benchmark.pedantic(measure, args=([OSIRIS, "index", "head"], projects.long), rounds=3)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "command",
    [("runs", "list"), ("runs", "list", "--pipeline", "orders"), ("runs", "show", "RECENT")],
    ids=" ".join,
)
def test_reading_is_flat(projects: Projects, benchmark: BenchmarkFixture, command: tuple[str, ...]) -> None:
    def command_line(runs: int) -> list[str]:
        return [OSIRIS, *(run_id(runs - 1) if word == "RECENT" else word for word in command)]

    in_long, in_short = [], []
    for _ in range(9):
        in_short.append(measure(command_line(50), projects.short).wall_s * 1e3)
        in_long.append(measure(command_line(projects.writer.runs), projects.long).wall_s * 1e3)
    record(f"osiris {' '.join(command)}, 1,000,000 / 100 entries", in_long, in_short, "ms", "<= 1.2 x")
    benchmark.pedantic(measure, args=(command_line(50), projects.short), rounds=3)  # type: ignore[no-untyped-call]


RUNNING: list[StartedRun] = []
"""Runs that are alive until the end: a dead one would be recorded as interrupted by the next."""


def start_a_run(root: Path) -> None:
    """Open the project and give a run its number, as a fresh process would."""
    ledger = open_project(root, {}).ledger
    RUNNING.append(begin(ledger))
    ledger.close()


def test_a_new_number_is_flat(projects: Projects, benchmark: BenchmarkFixture) -> None:
    in_long, in_short = in_turn(partial(start_a_run, projects.long), partial(start_a_run, projects.short), 15)
    record("a new run's number, 1,000,000 / 100 entries", in_long, in_short, "ms", "<= 1.2 x")
    benchmark.pedantic(start_a_run, args=(projects.short,), rounds=3)  # type: ignore[no-untyped-call]


def test_the_oldest_of_a_million_runs(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    (tmp_path / "million").mkdir()
    long_project(OSIRIS, tmp_path / "million", 2 * RUNS)
    oldest = [OSIRIS, "runs", "show", run_id(0)]
    found, floor = processes_in_turn(oldest, [OSIRIS, "--version"], tmp_path / "million", 5)
    record(
        "osiris runs show, the oldest of 1,000,000 / --version",
        [cost.wall_s for cost in found],
        [cost.wall_s for cost in floor],
        "s",
        "<= 0.5 s",
    )
    benchmark.pedantic(measure, args=(oldest, tmp_path / "million"), rounds=3)  # type: ignore[no-untyped-call]
