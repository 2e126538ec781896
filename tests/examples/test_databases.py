"""The example of pipelines between databases, run as its page says, against real servers."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.docs.pages import ROOT, run_page
from tests.mysql.server import new_database
from tests.postgres.server import Database as Warehouse
from tests.postgres.server import require_server

EXAMPLE = ROOT / "examples" / "databases"
DIRECTORS = [
    ("1", "Agnès Varda", "2", "64000.50", "1985-12-04"),
    ("2", "Akira Kurosawa", "2", "11610000.25", "1985-06-01"),
    ("3", "Lotte Reiniger", "0", None, None),
]
CUSTOMERS = [
    ("00501", "2", "20.00", "2026-03-02 10:30:00+00"),
    ("00777", "1", "5.55", "2026-03-02 11:00:00+00"),
]


def statements(name: str) -> list[str]:
    return [statement for statement in (EXAMPLE / name).read_text("utf-8").split(";\n") if statement.strip()]


def test_rows_go_between_databases_and_are_the_same_after_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_server()
    project = shutil.copytree(EXAMPLE, tmp_path / "project")
    warehouse = Warehouse()
    with new_database() as movies:
        try:
            movies.execute(*statements("movies.sql"))
            warehouse.sql(*statements("orders.sql"))
            source = movies.values
            signed_in = f"{quote(source['user'], safe='')}:{quote(source['password'], safe='')}"
            monkeypatch.setenv(
                "MOVIES_DSN", f"mysql://{signed_in}@{source['host']}:{source['port']}/{source['database']}"
            )
            monkeypatch.setenv("WAREHOUSE_DSN", warehouse.dsn)
            run_page(EXAMPLE / "README.md", project)
            directors = "SELECT * FROM director_totals ORDER BY director_id"
            assert as_text(warehouse.ask(directors)) == DIRECTORS
            in_utc = "last_ordered_at AT TIME ZONE 'UTC' || '+00'"
            customers = f"SELECT customer, orders, total, {in_utc} FROM customer_totals ORDER BY customer"
            assert as_text(warehouse.ask(customers)) == CUSTOMERS
        finally:
            warehouse.close()
    assert (project / "out" / "directors.csv").read_text("utf-8").splitlines()[:2] == ["id,name", "1,Agnès Varda"]
    assert len((project / "out" / "movies.csv").read_text("utf-8").splitlines()) == 5


def as_text(rows: list[tuple[object, ...]]) -> list[tuple[str | None, ...]]:
    return [tuple(None if value is None else str(value) for value in row) for row in rows]
