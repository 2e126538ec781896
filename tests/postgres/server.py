"""The real server that these tests speak to, and a schema of each test's own on it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from osiris.components.base import quote_identifier
from osiris.errors import OsirisError
from osiris.families import postgres
from osiris.families.postgres_session import Session
from tests.runner.pipelines import Diary, Step, run

DEFAULT_DSN = "postgresql://postgres@127.0.0.1:5432/test"
DSN = os.environ.get("OSIRIS_TEST_POSTGRES_DSN", DEFAULT_DSN)


def missing_server() -> str:
    """Why there is no server to test with, "" where there is one."""
    try:
        open_session().close()
    except OsirisError as error:
        return f"no PostgreSQL at OSIRIS_TEST_POSTGRES_DSN: {error.problem}"
    return ""


def open_session(dsn: str = DSN) -> Session:
    """A session beside the one that is tested."""
    return Session(postgres.SPEC, dsn, duckdb.connect(), "connection")


class Database:
    """A schema of its own; ``sql`` runs a statement in it and commits, ``ask`` gives rows as text."""

    def __init__(self) -> None:
        self.schema = f"test_{secrets.token_hex(6)}"
        self.session = open_session()
        self.sql(f"CREATE SCHEMA {self.schema}")
        self.dsn = f"{DSN}{'&' if '?' in DSN else '?'}options=-csearch_path%3D{self.schema},public"
        self.connection: Mapping[str, Any] = {"dsn": self.dsn}

    def sql(self, *statements: str) -> None:
        for statement in statements:
            self.session.execute(f"SET LOCAL search_path = {self.schema}, public")
            self.session.execute(statement)
            self.session.commit()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        self.session.begin()
        self.session.execute(f"SET LOCAL search_path = {self.schema}, public")
        answer = self.session.rows(query)
        self.session.begin()  # a transaction that is left open keeps the table from others
        return answer

    def close(self) -> None:
        self.session.begin()
        self.sql(f"DROP SCHEMA {self.schema} CASCADE")
        self.session.close()


def extract(
    root: Path, database: Database, *, component: str = "postgres.extractor", diary: Diary | None = None, **config: Any
) -> Any:
    """Run the extractor into ``rows.parquet``."""
    steps = (
        Step(id="read", component=component, config=config),
        Step(id="write", component="filesystem.parquet_writer", config={"path": "rows.parquet"}, reads=("read",)),
    )
    return run(root, *steps, connections={"read": database.connection}, listener=diary)


def extracted(root: Path, database: Database, **config: Any) -> duckdb.DuckDBPyRelation:
    """The rows that the extractor gave, as they came back from Parquet."""
    outcome = extract(root, database, **config)
    assert outcome.status == "success", outcome.error
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    return con.sql(f"FROM read_parquet('{root}/rows.parquet')")


def texts(relation: duckdb.DuckDBPyRelation) -> list[tuple[str | None, ...]]:
    """Each value as DuckDB writes it."""
    columns = ", ".join(f"{quote_identifier(name)}::VARCHAR" for name in relation.columns)
    return relation.project(columns).fetchall()


def write(root: Path, database: Database, query: str, *, diary: Diary | None = None, **config: Any) -> Any:
    """Run the writer on the rows of a DuckDB query."""
    steps = (
        Step(id="rows", component="duckdb.processor", config={"query": query}),
        Step(id="write", component="postgres.writer", config=config, reads=("rows",)),
    )
    return run(root, *steps, connections={"write": database.connection}, listener=diary)


def require_server() -> None:
    """Skip without a server, but fail where all services must be there."""
    reason = missing_server()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
