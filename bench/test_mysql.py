"""A million rows out of MariaDB and into it, beside PyMySQL used by hand, as whole processes."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.pairs import processes_in_turn, record, run_process
from bench.test_pipeline import MILLION, OSIRIS

DSN = os.environ.get("OSIRIS_TEST_MYSQL_DSN", "mysql://root@127.0.0.1:3306/test")
COLUMNS = (
    "id BIGINT PRIMARY KEY, customer VARCHAR(40), amount DECIMAL(12,2), placed DATETIME(6), note TEXT, score DOUBLE"
)
FILL = f"""
INSERT INTO orders SELECT seq, CONCAT('customer ', seq % 1000), seq / 7, '2024-01-01' + INTERVAL seq SECOND,
  IF(seq % 10 = 0, NULL, CONCAT('left with the neighbour ', seq)), seq * 0.37 FROM seq_1_to_{MILLION}
"""
PIPELINE = """\
oml_version: "0.1.0"
name: {name}
steps:
  - id: in
    mode: read
{read}
  - id: out
    mode: write
{write}
"""
TABLE = "    component: mysql.{kind}\n    config: {{table: {table}{more}}}"
PARQUET = "    component: filesystem.parquet_{kind}\n    config: {{path: orders.parquet}}"
OUT_BY_HAND = """
import csv, pymysql, pymysql.cursors
with pymysql.connect(**{values}, cursorclass=pymysql.cursors.SSCursor) as con, open("by_hand.csv", "w") as file:
    cursor = con.cursor()
    cursor.execute("SELECT * FROM orders")
    csv.writer(file).writerows(cursor.fetchall_unbuffered())
"""
IN_BY_HAND = """
import csv, pymysql
with pymysql.connect(**{values}) as con, open("by_hand.csv", newline="") as file:
    cursor = con.cursor()
    cursor.execute("DELETE FROM copies")
    rows = [[value or None for value in row] for row in csv.reader(file)]
    cursor.executemany("INSERT INTO copies VALUES (%s, %s, %s, %s, %s, %s)", rows)
    con.commit()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a pipeline in each direction, the scripts beside them, and a database with the rows."""
    parts, name = urlsplit(DSN), f"osiris_bench_{uuid.uuid4().hex[:8]}"
    values: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password or "",
    }
    try:
        connection = pymysql.connect(**values, autocommit=True)
    except pymysql.OperationalError as cause:
        pytest.skip(f"no MariaDB server: {cause}")
    root = tmp_path_factory.mktemp("mysql")
    run_process([OSIRIS, "init", "."], root)
    values["database"] = name
    fields = "".join(f"      {key}: {value}\n" for key, value in values.items() if value)
    (root / "osiris_connections.yaml").write_text(f"connections:\n  mysql:\n    bench:\n      default: true\n{fields}")
    out = PIPELINE.format(
        name="out", read=TABLE.format(kind="extractor", table="orders", more=""), write=PARQUET.format(kind="writer")
    )
    back = PIPELINE.format(
        name="back",
        read=PARQUET.format(kind="extractor"),
        write=TABLE.format(kind="writer", table="copies", more=", write_mode: replace"),
    )
    (root / "pipelines" / "out.yaml").write_text(out)
    (root / "pipelines" / "back.yaml").write_text(back)
    (root / "out.py").write_text(OUT_BY_HAND.format(values=values))
    (root / "back.py").write_text(IN_BY_HAND.format(values=values))
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            for statement in (
                f"USE {name}",
                f"CREATE TABLE orders ({COLUMNS})",
                FILL,
                "CREATE TABLE copies LIKE orders",
            ):
                cursor.execute(statement)
            yield root
        finally:
            cursor.execute(f"DROP DATABASE {name}")


@pytest.mark.parametrize("name", ["out", "back"])
def test_a_million_rows(project: Path, benchmark: BenchmarkFixture, name: str) -> None:
    """Parquet on our side, CSV by hand: values that a person would have to turn into their types again."""
    command = [OSIRIS, "run", name]
    subject, floor = processes_in_turn(command, [sys.executable, f"{name}.py"], project, 3)
    what = f"osiris run {name}, {MILLION:,} rows of MariaDB / PyMySQL by hand"
    record(f"{what}, wall", [cost.wall_s for cost in subject], [cost.wall_s for cost in floor], "s", "<= 1 x")
    record("  the same, CPU", [cost.cpu_s for cost in subject], [cost.cpu_s for cost in floor], "s")
    record("  the same, memory", [cost.memory_mib for cost in subject], [cost.memory_mib for cost in floor], "MiB")
    benchmark.pedantic(run_process, args=(command, project), rounds=1)  # type: ignore[no-untyped-call]
