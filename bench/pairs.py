"""Pairs: a subject and its floor, measured in turn, so that a machine whose speed drifts slows both down alike."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """Medians of a subject and its floor in ``unit``, and the median of the ratios, pair by pair."""

    what: str
    subject: float
    floor: float
    ratio: float
    unit: str
    limit: str


RESULTS: list[Pair] = []
"""What this session measured; the terminal summary prints it."""


class Cost(NamedTuple):
    """What one process and its children cost: seconds, and the memory of the largest of them in MiB."""

    wall_s: float
    cpu_s: float
    memory_mib: float


def record(what: str, subject: Sequence[float], floor: Sequence[float], unit: str, limit: str = "") -> Pair:
    """Keep one pair for the summary; the figures of both belong together by place."""
    ratio = statistics.median(one / other for one, other in zip(subject, floor, strict=True))
    pair = Pair(what, statistics.median(subject), statistics.median(floor), ratio, unit, limit)
    RESULTS.append(pair)
    return pair


def in_turn(subject: Callable[[], object], floor: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each call, subject and floor taking turns."""
    subject_ms: list[float] = []
    floor_ms: list[float] = []
    for _ in range(rounds):
        for call, times in ((floor, floor_ms), (subject, subject_ms)):
            start = time.perf_counter_ns()
            call()
            times.append((time.perf_counter_ns() - start) / 1e6)
    return subject_ms, floor_ms


# Linux counts as the memory of a process also what the one that started it had at that moment, so a small one has to.
_STARTER = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
wall_s = time.perf_counter() - start
print([os.waitstatus_to_exitcode(status), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024])
"""


def run_process(command: Sequence[str], cwd: Path, environ: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its success and say what it cost, by the operating system's account.

    Raises ``RuntimeError`` with its last words where it fails.
    """
    with tempfile.TemporaryFile() as output:
        started = subprocess.run(
            [sys.executable, "-c", _STARTER, *command],
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            check=False,
        )
        code, wall_s, cpu_s, memory_mib = json.loads(started.stdout)
        if code != 0:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"{command} ended with {code}: {said[-1:]}")
    return Cost(wall_s, cpu_s, memory_mib)


def processes_in_turn(
    subject: Sequence[str], floor: Sequence[str], cwd: Path, rounds: int
) -> tuple[list[Cost], list[Cost]]:
    """Costs of two commands that take turns, after one warm-up of each."""
    run_process(floor, cwd)
    run_process(subject, cwd)
    costs = [(run_process(floor, cwd), run_process(subject, cwd)) for _ in range(rounds)]
    return [cost for _, cost in costs], [cost for cost, _ in costs]
