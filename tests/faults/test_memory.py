"""A run keeps to its memory limit: what does not fit is spilled, and the real process stays small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.cli.shop import OSIRIS, Shop, environment

MB = 1_000_000
BESIDE_THE_LIMIT_MB = 300
GROUP = "SELECT word, text, count(*) AS n, sum(id) AS total FROM input_df GROUP BY ALL"
SORT = "FROM input_df ORDER BY text, id"


# Linux counts for a process what the one that started it had at that moment, so a small one has to.
STARTER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_bytes(shop: Shop, *args: str) -> int:
    """The most memory that a command ever had, as the system counted it."""
    starting: list[str] = [sys.executable, "-c", STARTER, str(OSIRIS), *args]
    done = subprocess.run(starting, cwd=shop.root, env=environment(), stdout=subprocess.PIPE, check=True)
    return int(done.stdout) * 1024


def assert_bounded(shop: Shop, query: str, *, limit_mb: int, rows: int, times: float) -> None:
    """Hold that ``query`` over an input ``times`` as large as the limit gives all groups or rows, in little memory."""
    source = shop.root / "data" / "big.csv"
    source.parent.mkdir()
    columns = (
        f"(range * 7919) % {rows} AS id, hash(range)::VARCHAR AS word, repeat(hash(range + 1)::VARCHAR, 4) AS text"
    )
    duckdb.execute(f"COPY (SELECT {columns} FROM range({rows})) TO '{source}'")
    assert source.stat().st_size >= times * limit_mb * MB
    shop.write("osiris.yaml", f'version: "2.0"\nruntime: {{memory_limit: {limit_mb}MB}}\n')
    shop.write(
        "pipelines/big.yaml",
        f"""\
oml_version: "0.1.0"
name: big
steps:
  - {{id: read, component: filesystem.csv_extractor, mode: read, config: {{path: data/big.csv}}}}
  - {{id: query, component: duckdb.processor, mode: transform, config: {{query: "{query}"}}}}
  - {{id: write, component: filesystem.parquet_writer, mode: write, config: {{path: out/big.parquet}}}}
""",
    )
    assert peak_bytes(shop, "run", "big") <= (limit_mb + BESIDE_THE_LIMIT_MB) * MB
    [run] = shop.runs()
    assert (run["rows_in"], run["rows_out"]) == (rows, rows)
    assert shop.leftovers() == []


def test_an_input_larger_than_the_limit_is_grouped(tmp_path: Path) -> None:
    assert_bounded(Shop(tmp_path), GROUP, limit_mb=64, rows=800_000, times=1.3)


@pytest.mark.slow
@pytest.mark.parametrize("query", [GROUP, SORT], ids=["group", "sort"])
def test_an_input_of_five_times_the_limit_is_sorted_and_grouped(tmp_path: Path, query: str) -> None:
    assert_bounded(Shop(tmp_path), query, limit_mb=128, rows=6_500_000, times=5)
