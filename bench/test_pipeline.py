"""``osiris run`` beside bare DuckDB scripts that do the same, as whole processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import duckdb
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.pairs import Cost, processes_in_turn, record, run_process

OSIRIS = str(Path(sys.executable).with_name("osiris"))
MILLION = 1_000_000
ORDERS = """
SELECT range AS order_id, printf('c%05d', hash(range) % 5000) AS customer, 'eu' AS region,
       printf('%d.%02d', hash(range + 7) % 1000, hash(range + 9) % 100) AS amount,
       DATE '2026-01-01' + (hash(range + 1) % 365)::INT AS ordered_at,
       if(hash(range + 3) % 10 < 7, 'shipped', 'open') AS status,
       'left with the neighbour ' || range % 977 AS note
FROM range(:rows)
"""
TYPES = (
    "{order_id: BIGINT, customer: VARCHAR, region: VARCHAR, amount: 'DECIMAL(18,2)', ordered_at: DATE,"
    " status: VARCHAR, note: VARCHAR}"
)
TOTALS = "SELECT customer, count(*) AS orders, sum(amount) AS total FROM {orders} GROUP BY customer ORDER BY customer"
SPENT = "SELECT customer, sum(amount) AS spent FROM {orders} WHERE status = 'shipped' GROUP BY customer"
MONTHS = "SELECT customer, date_trunc('month', ordered_at) AS month, max(amount) AS largest FROM {orders} GROUP BY ALL"
JOINED = "SELECT customer, month, largest, spent FROM {spent} JOIN {months} USING (customer)"
SUMMARY = (
    "SELECT month, count(*) AS customers, sum(largest) AS largest, sum(spent) AS spent"
    " FROM {joined} GROUP BY month ORDER BY month"
)


def extract(more: str = "") -> str:
    """The step that reads the orders; ``more`` of its config."""
    return f"""
  - id: orders
    component: filesystem.csv_extractor
    mode: read
    config: {{path: data/orders.csv{more}}}"""


def transform(name: str, query: str, *needs: str) -> str:
    """A step with a query, in which ``{x}`` is the input of that name."""
    named = query.format(**{need: f"df_{need}" for need in needs})
    return f"""
  - id: {name}
    component: duckdb.processor
    mode: transform
    needs: [{", ".join(needs)}]
    config: {{query: "{named}"}}"""


def write(name: str, kind: str, needs: str) -> str:
    """A step that writes a file of that kind."""
    return f"""
  - id: {name}-{kind}
    component: filesystem.{kind}_writer
    mode: write
    needs: [{needs}]
    config: {{path: out/{name}.{kind}}}"""


def pipeline(*steps: str) -> str:
    """A whole pipeline."""
    return 'oml_version: "0.1.0"\nname: bench\nsteps:' + "".join(steps) + "\n"


def diamond(more: str = "") -> str:
    """Orders, two branches, a join, an aggregate, two files."""
    return pipeline(
        extract(more),
        transform("spent", SPENT, "orders"),
        transform("months", MONTHS, "orders"),
        transform("joined", JOINED, "spent", "months"),
        transform("summary", SUMMARY, "joined"),
        write("summary", "parquet", "summary"),
        write("summary", "csv", "summary"),
    )


PIPELINES = {
    "totals": pipeline(extract(), transform("totals", TOTALS, "orders"), write("totals", "csv", "totals")),
    "diamond": diamond(),
    "typed": diamond(f", types: {TYPES}"),
}
TOTALS_SCRIPT = f"""
import duckdb
con = duckdb.connect()
con.execute("COPY ({TOTALS.format(orders="read_csv('data/orders.csv')")}) TO 'out/bare.csv' (HEADER)")
"""
DIAMOND_SCRIPT = f"""
import duckdb
con = duckdb.connect()
con.execute('''CREATE TEMP TABLE summary AS
WITH orders AS (FROM read_csv('data/orders.csv')),
     spent AS ({SPENT.format(orders="orders")}),
     months AS ({MONTHS.format(orders="orders")}),
     joined AS ({JOINED.format(spent="spent", months="months")})
{SUMMARY.format(joined="joined")}''')
con.execute("COPY summary TO 'out/bare.parquet'")
con.execute("COPY summary TO 'out/bare.csv' (HEADER)")
"""
WHOLE_FILE_SCRIPT = DIAMOND_SCRIPT.replace("read_csv('data/orders.csv')", "read_csv('data/orders.csv', sample_size=-1)")
SCRIPTS = {"totals": TOTALS_SCRIPT, "diamond": DIAMOND_SCRIPT, "whole_file": WHOLE_FILE_SCRIPT}
FIRST_QUERY = "import duckdb; duckdb.connect().execute('SELECT 1').fetchall()"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Makes a project with that many orders, the pipelines, and the scripts beside them; each size once."""

    @cache
    def make(rows: int) -> Path:
        root = tmp_path_factory.mktemp(f"shop-{rows}")
        run_process([OSIRIS, "init", "."], root)
        for folder in ("data", "out"):
            (root / folder).mkdir(exist_ok=True)
        with duckdb.connect() as con:
            con.execute(f"COPY ({ORDERS.replace(':rows', str(rows))}) TO '{root}/data/orders.csv' (HEADER)")
        for name, text in PIPELINES.items():
            (root / "pipelines" / f"{name}.yaml").write_text(text)
        for name, text in SCRIPTS.items():
            (root / f"{name}.py").write_text(text)
        return root

    return make


@pytest.mark.parametrize(
    ("name", "script", "rows", "rounds", "limit"),
    [
        ("totals", "totals", MILLION, 9, "<= 1.25 x"),
        ("totals", "totals", 10 * MILLION, 5, "<= 1.1 x"),
        ("typed", "diamond", 10 * MILLION, 5, "<= 1.1 x"),
        ("diamond", "diamond", 10 * MILLION, 5, ""),
        ("diamond", "whole_file", 10 * MILLION, 3, "<= 1.1 x"),
    ],
)
def test_a_pipeline(
    shop: Callable[[int], Path],
    benchmark: BenchmarkFixture,
    name: str,
    script: str,
    rows: int,
    rounds: int,
    limit: str,
) -> None:
    """``typed`` is ``diamond`` with the types in the step's config, so that neither it nor the script checks a value.

    Without them Osiris checks each value of a column that it guessed. DuckDB believes a sample, unless it is told to
    sniff the whole file first.
    """
    root = shop(rows)
    command = [OSIRIS, "run", name]
    subject, floor = processes_in_turn(command, [sys.executable, f"{script}.py"], root, rounds)
    what = f"osiris run {name}, {rows:,} rows / bare script {script}"
    record_costs(what, subject, floor, limit)
    benchmark.pedantic(run_process, args=(command, root), rounds=1)  # type: ignore[no-untyped-call]


def test_three_rows(shop: Callable[[int], Path], benchmark: BenchmarkFixture) -> None:
    """What everything around a pipeline costs, beside a process that only asks DuckDB for one row."""
    root = shop(3)
    command = [OSIRIS, "run", "totals"]
    subject, floor = processes_in_turn(command, [sys.executable, "-c", FIRST_QUERY], root, 25)
    record_costs("osiris run totals, 3 rows / DuckDB's first query", subject, floor, "<= 300 ms of CPU")
    benchmark.pedantic(run_process, args=(command, root), rounds=5)  # type: ignore[no-untyped-call]


def record_costs(what: str, subject: Sequence[Cost], floor: Sequence[Cost], limit: str) -> None:
    """Wall, CPU and memory of the same pairs."""
    (wall, cpu, memory), (floor_wall, floor_cpu, floor_memory) = zip(*subject, strict=True), zip(*floor, strict=True)
    record(f"{what}, wall", [s * 1e3 for s in wall], [s * 1e3 for s in floor_wall], "ms", limit)
    record("  the same, CPU", [s * 1e3 for s in cpu], [s * 1e3 for s in floor_cpu], "ms")
    record("  the same, memory", memory, floor_memory, "MiB", "<= 1.3 x")
