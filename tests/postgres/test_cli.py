"""Whole pipelines by the command, from one table to another."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.shop import Shop, new_shop, running
from tests.postgres.server import Database, open_session

PIPELINE = """\
oml_version: "0.1.0"
name: totals
steps:
  - id: orders
    component: postgres.extractor
    mode: read
    config: {table: orders}
  - id: totals
    component: duckdb.processor
    mode: transform
    config: {query: "SELECT customer, sum(amount) AS total FROM df_orders GROUP BY customer"}
  - id: write
    component: postgres.writer
    mode: write
    config: {table: totals, write_mode: upsert, primary_key: [customer]}
"""
EXIT_CANCELLED = 130


@pytest.fixture
def shop(tmp_path: Path, database: Database) -> Shop:
    """A project whose only connection leads to ``database``, where three orders stand and an old total."""
    shop = new_shop(tmp_path)
    shop.write("osiris_connections.yaml", 'connections:\n  postgres:\n    shop: {default: true, dsn: "${SHOP_DSN}"}\n')
    shop.write(".env", f"SHOP_DSN='{database.dsn}'\n")
    shop.write("pipelines/totals.yaml", PIPELINE)
    database.sql(
        "CREATE TABLE orders (customer text, amount numeric(9,2))",
        "INSERT INTO orders VALUES ('Ada', 1.10), ('Ada', 2.20), ('Bob', 0.05)",
        "CREATE TABLE totals (customer text PRIMARY KEY, total numeric(20,2))",
        "INSERT INTO totals VALUES ('Ada', 1)",
    )
    return shop


def test_a_second_run_leaves_the_same_rows(shop: Shop, database: Database) -> None:
    for _ in range(2):
        shop.run("run", "totals")
        assert database.ask("SELECT * FROM totals ORDER BY customer") == [("Ada", "3.30"), ("Bob", "0.05")]
    assert shop.leftovers() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, EXIT_CANCELLED)])
def test_a_writer_that_is_stopped_leaves_the_table_as_it_was(
    shop: Shop, database: Database, number: signal.Signals, code: int
) -> None:
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        f" AND (query LIKE '%LOCK%' OR query LIKE '%UPDATE%') AND pid IN"
        f" (SELECT pid FROM pg_locks WHERE relation = '{database.schema}.totals'::regclass AND NOT granted)"
    )
    other = open_session(database.dsn)
    try:
        other.begin()
        other.execute("LOCK TABLE totals IN SHARE MODE")
        with running(shop, "run", "totals", reached=lambda: bool(database.ask(waiting))) as process:
            process.send_signal(number)
            assert process.wait(timeout=30) == code
    finally:
        other.close()
    assert database.ask("SELECT * FROM totals") == [("Ada", "1.00")]
    shop.run("run", "totals")
    assert database.ask("SELECT * FROM totals ORDER BY customer") == [("Ada", "3.30"), ("Bob", "0.05")]
