"""Pairs: a subject and its floor, measured in turn, so that a machine whose speed drifts slows both down alike."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
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
    """What one process cost: wall and CPU seconds."""

    wall_s: float
    cpu_s: float


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


def run_process(command: Sequence[str], cwd: Path) -> Cost:
    """Run a command to its success and say what it cost, by the operating system's account."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    wall_s = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def processes_in_turn(
    subject: Sequence[str], floor: Sequence[str], cwd: Path, rounds: int
) -> tuple[list[Cost], list[Cost]]:
    """Costs of two commands that take turns, after one warm-up of each."""
    run_process(floor, cwd)
    run_process(subject, cwd)
    costs = [(run_process(floor, cwd), run_process(subject, cwd)) for _ in range(rounds)]
    return [cost for _, cost in costs], [cost for cost, _ in costs]
