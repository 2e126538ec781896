"""``osiris run`` of a million rows beside a bare DuckDB script that does the same, as whole processes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.pairs import processes_in_turn, record, run_process

OSIRIS = str(Path(sys.executable).with_name("osiris"))
ROWS = 1_000_000
QUERY = "SELECT customer, count(*) AS orders, sum(amount) AS total FROM {source} GROUP BY customer ORDER BY customer"

PIPELINE = """
oml_version: "0.1.0"
name: orders
steps:
  - id: orders
    component: filesystem.csv_extractor
    mode: read
    config: {path: data/orders.csv}
  - id: by-customer
    component: duckdb.processor
    mode: transform
    config: {query: "%s"}
  - id: write
    component: filesystem.csv_writer
    mode: write
    config: {path: out/by_customer.csv}
"""

SCRIPT = """
import duckdb
con = duckdb.connect()
query = "%s"
con.execute(f"COPY ({query}) TO 'out/bare.csv' (FORMAT csv, HEADER)")
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a million orders, its pipeline, and the script beside it."""
    root = tmp_path_factory.mktemp("shop")
    run_process([OSIRIS, "init", "."], root)
    (root / "out").mkdir()
    (root / "data").mkdir(exist_ok=True)
    chance = random.Random(1)
    with (root / "data" / "orders.csv").open("w") as file:
        file.write("order_id,customer,region,amount,ordered_at,status,note\n")
        for number in range(ROWS):
            customer, cents = chance.randrange(5_000), chance.randrange(100_000)
            day = f"2026-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
            amount = f"{cents // 100}.{cents % 100:02d}"
            note = f"left with the neighbour {number % 977}"
            file.write(f"{number},c{customer:05d},eu,{amount},{day},shipped,{note}\n")
    (root / "pipelines" / "orders.yaml").write_text(PIPELINE % QUERY.format(source="input_df"))
    (root / "bare.py").write_text(SCRIPT % QUERY.format(source="read_csv('data/orders.csv')"))
    return root


def test_a_million_rows(shop: Path, benchmark: BenchmarkFixture) -> None:
    command = [OSIRIS, "run", "pipelines/orders.yaml"]
    subject, floor = processes_in_turn(command, [sys.executable, "bare.py"], shop, 9)
    figures = [([one.wall_s * 1e3 for one in costs], [one.cpu_s * 1e3 for one in costs]) for costs in (subject, floor)]
    (subject_wall, subject_cpu), (floor_wall, floor_cpu) = figures
    record("osiris run, 1,000,000 rows / bare DuckDB script, wall", subject_wall, floor_wall, "ms", "<= 1.25 x")
    record("  the same, CPU", subject_cpu, floor_cpu, "ms")
    benchmark.pedantic(run_process, args=(command, shop), rounds=3)  # type: ignore[no-untyped-call]
