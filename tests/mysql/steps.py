"""Steps of pipelines with MySQL in them, run by the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from osiris.runner.cancellation import Cancellation
from osiris.runner.results import ExecutionOutcome, StepError
from tests.mysql.server import Database
from tests.runner.pipelines import Step, run, select


def read(**config: Any) -> Step:
    """The step ``read``."""
    return Step(id="read", component="mysql.extractor", config=config)


def write(table: str = "t", **config: Any) -> Step:
    """The step ``write``, of the rows of ``read``."""
    return Step(id="write", component="mysql.writer", config={"table": table, **config}, reads=("read",))


def extract(root: Path, database: Database, **config: Any) -> duckdb.DuckDBPyRelation:
    """The rows that an extractor gives, through Parquet."""
    to_file = Step(id="write", component="filesystem.parquet_writer", config={"path": "o.parquet"}, reads=("read",))
    outcome = run(root, read(**config), to_file, connections={"read": database.values})
    assert outcome.status == "success", outcome.error
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection.sql(f"FROM read_parquet('{root}/o.parquet')")


def refusal(root: Path, database: Database, **config: Any) -> StepError:
    """Why an extractor gives nothing."""
    to_file = Step(id="write", component="filesystem.parquet_writer", config={"path": "o.parquet"}, reads=("read",))
    return failure(run(root, read(**config), to_file, connections={"read": database.values}))


def load(
    root: Path, database: Database, query: str, table: str = "t", cancel: Cancellation | None = None, **config: Any
) -> ExecutionOutcome:
    """Write the rows of a query in DuckDB."""
    return run(
        root, select("read", query), write(table, **config), connections={"write": database.values}, cancel=cancel
    )


def failure(outcome: ExecutionOutcome) -> StepError:
    """The error that ended a run."""
    assert outcome.error is not None, "it did not fail"
    return outcome.error
