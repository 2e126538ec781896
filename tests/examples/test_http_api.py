"""The example of an HTTP API, run as its page says."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from tests.docs.pages import ROOT, run_page

EXAMPLE = ROOT / "examples" / "http-api"


def test_all_orders_of_the_api_come_to_parquet(tmp_path: Path) -> None:
    project = shutil.copytree(EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    _, commands = run_page(EXAMPLE / "README.md", project)
    assert commands
    rows = duckdb.execute(f"FROM '{project}/out/orders.parquet'").fetchall()
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (9007199254740993 + n, ("Ada", "Grace", "Edsger")[n % 3], f"0050{n}") for n in range(8)
    ]
