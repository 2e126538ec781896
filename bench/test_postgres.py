"""``osiris run`` between PostgreSQL and Parquet beside scripts that COPY with the same library, as whole processes."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.pairs import processes_in_turn, run_process
from bench.test_pipeline import MILLION, OSIRIS, record_costs
from osiris.families import postgres
from osiris.families.postgres_session import Session

DSN = os.environ.get("OSIRIS_TEST_POSTGRES_DSN", "postgresql://postgres@127.0.0.1:5432/test")
ROUNDS = 5
ROWS = f"""
SELECT i AS order_id, 'c' || i % 5000 AS customer, (i % 100000)::numeric(18,2) / 100 AS amount,
       date '2026-01-01' + (i % 365)::int AS ordered_at, i * 0.5::float8 AS weight, 'left with ' || i % 977 AS note
FROM generate_series(1::int8, {MILLION}) AS i
"""
OUT = """
oml_version: "0.1.0"
name: out
steps:
  - {id: read, component: postgres.extractor, mode: read, config: {table: orders, schema: SCHEMA}}
  - {id: write, component: filesystem.parquet_writer, mode: write, config: {path: orders.parquet}}
"""
BACK = """
oml_version: "0.1.0"
name: back
steps:
  - {id: read, component: filesystem.parquet_extractor, mode: read, config: {path: source.parquet}}
  - {id: write, component: postgres.writer, mode: write, config: {table: copies, schema: SCHEMA}}
"""
CONNECT = """
import adbc_driver_manager as adbc, adbc_driver_postgresql, duckdb
con = adbc.AdbcConnection(adbc.AdbcDatabase(driver=adbc_driver_postgresql._driver_path(), uri="DSN"))
statement = adbc.AdbcStatement(con)
"""
SCRIPTS = {
    "out": CONNECT
    + """
statement.set_sql_query("SELECT * FROM SCHEMA.orders")
duckdb.connect().register("rows", statement.execute_query()[0].__arrow_c_stream__()).execute(
    "COPY (SELECT * REPLACE (amount::DECIMAL(18,2) AS amount) FROM rows) TO 'bare.parquet'")
""",
    "back": CONNECT
    + """
con.set_autocommit(False)
statement.set_options(**{"adbc.ingest.target_table": "copies", "adbc.ingest.target_db_schema": "SCHEMA",
                         "adbc.ingest.mode": "adbc.ingest.mode.append"})
statement.bind_stream(duckdb.sql("FROM 'source.parquet'").__arrow_c_stream__())
statement.execute_update()
con.commit()
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a million orders in a schema of its own."""
    root = tmp_path_factory.mktemp("postgres")
    schema = f"bench_{secrets.token_hex(4)}"
    with Session(postgres.SPEC, DSN, duckdb.connect(), "connection") as session:
        session.execute(f"CREATE SCHEMA {schema}")
        session.execute(f"CREATE TABLE {schema}.orders AS {ROWS}")
        session.execute(f"ALTER TABLE {schema}.orders ALTER amount TYPE numeric(18,2)")
        session.execute(f"CREATE UNLOGGED TABLE {schema}.copies (LIKE {schema}.orders)")
        session.commit()
        run_process([OSIRIS, "init", "."], root)
        for name, text in (("out", OUT), ("back", BACK)):
            (root / "pipelines" / f"{name}.yaml").write_text(text.replace("SCHEMA", schema))
        for name, text in SCRIPTS.items():
            (root / f"{name}.py").write_text(text.replace("SCHEMA", schema).replace("DSN", DSN))
        (root / "osiris_connections.yaml").write_text("connections: {postgres: {default: {dsn: '${BENCH_DSN}'}}}\n")
        (root / ".env").write_text(f"BENCH_DSN={DSN}\n")
        run_process([OSIRIS, "run", "out"], root)
        (root / "orders.parquet").rename(root / "source.parquet")
        yield root
        session.execute(f"DROP SCHEMA {schema} CASCADE")
        session.commit()


@pytest.mark.parametrize(("name", "what"), [("out", "PostgreSQL -> Parquet"), ("back", "Parquet -> PostgreSQL")])
def test_a_million_rows(project: Path, benchmark: BenchmarkFixture, name: str, what: str) -> None:
    """COPY by hand may be 1.25 times as fast at most."""
    command = [OSIRIS, "run", name]
    subject, floor = processes_in_turn(command, [sys.executable, f"{name}.py"], project, ROUNDS)
    record_costs(f"{what}, {MILLION:,} rows / COPY by hand", subject, floor, "<= 1.25 x")
    benchmark.pedantic(run_process, args=(command, project), rounds=1)  # type: ignore[no-untyped-call]
