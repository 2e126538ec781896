"""Whole processes that start and stop."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.pairs import processes_in_turn, record, run_process

OSIRIS = str(Path(sys.executable).with_name("osiris"))
IMPORT_CLICK = [sys.executable, "-c", "import click"]


@pytest.mark.parametrize(("arguments", "limit"), [(["--help"], 1.5), (["--version"], 1.5), (["runs", "list"], 2.5)])
def test_start_up_beside_importing_click(
    tmp_path: Path, benchmark: BenchmarkFixture, arguments: list[str], limit: float
) -> None:
    run_process([OSIRIS, "init", "."], tmp_path)
    subject, floor = processes_in_turn([OSIRIS, *arguments], IMPORT_CLICK, tmp_path, 25)
    what = f"osiris {' '.join(arguments)} / import click"
    record(
        what, [cost.cpu_s * 1e3 for cost in subject], [cost.cpu_s * 1e3 for cost in floor], "ms", f"<= {limit} x CPU"
    )
    benchmark.pedantic(run_process, args=([OSIRIS, *arguments], tmp_path), rounds=5)  # type: ignore[no-untyped-call]
