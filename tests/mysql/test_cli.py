"""Whole pipelines by the command, from one table to another."""

from __future__ import annotations

from pathlib import Path

import pymysql

from tests.cli.shop import Shop, new_shop, running
from tests.mysql.server import Database

PIPELINE = """\
oml_version: "0.1.0"
name: totals
steps:
  - id: orders
    component: mysql.extractor
    mode: read
    config: {table: orders}
  - id: totals
    component: duckdb.processor
    mode: transform
    config: {query: "SELECT customer, sum(amount) AS total FROM df_orders GROUP BY customer"}
  - id: write
    component: mysql.writer
    mode: write
    config: {table: totals, write_mode: replace, create_if_missing: true}
"""
SECRET = "open sesame 4711"  # noqa: S105 - of a user that one test makes


def shop_with(root: Path, database: Database, **more: str) -> Shop:
    """A project whose only connection leads to ``database``."""
    shop = new_shop(root)
    fields = "".join(f"      {name}: {value}\n" for name, value in {**database.values, **more}.items() if value)
    shop.write("osiris_connections.yaml", f"connections:\n  mysql:\n    shop:\n      default: true\n{fields}")
    shop.write("pipelines/totals.yaml", PIPELINE)
    database.execute(
        "CREATE TABLE orders (customer VARCHAR(9), amount DECIMAL(9,2))",
        "INSERT INTO orders VALUES ('Ada', 1.10), ('Ada', 2.20), ('Bob', NULL)",
    )
    return shop


def test_rows_go_from_a_table_through_a_query_into_a_table(tmp_path: Path, database: Database) -> None:
    shop = shop_with(tmp_path, database)
    for _ in range(2):
        shop.run("run", "totals")
    assert database.execute("SELECT customer, CAST(total AS CHAR) FROM totals ORDER BY 1") == (
        ("Ada", "3.30"),
        ("Bob", None),
    )
    assert shop.leftovers() == []


def test_a_password_is_in_nothing_that_a_failed_run_leaves_or_prints(tmp_path: Path, database: Database) -> None:
    shop = shop_with(tmp_path, database, user="nobody", password="${SHOP_PASSWORD}")  # noqa: S106 - a reference
    result = shop.run("run", "totals", check=1, env={"SHOP_PASSWORD": SECRET})
    assert "connection.auth" in shop.run("runs", "show", "last", "--json").out
    assert SECRET not in result.out + result.err
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


def test_a_writer_that_is_killed_leaves_the_table_as_it_was(tmp_path: Path, database: Database) -> None:
    shop = shop_with(tmp_path, database)
    database.execute(
        "CREATE TABLE totals (customer VARCHAR(9), total DECIMAL(20,2))", "INSERT INTO totals VALUES ('old', 1)"
    )
    with pymysql.connect(**database.values) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM totals FOR UPDATE")
        deleting = database.running("DELETE FROM")
        with running(shop, "run", "totals", reached=lambda: bool(database.execute(deleting))) as process:
            process.kill()
    assert database.execute("SELECT * FROM totals") == (("old", 1),)
