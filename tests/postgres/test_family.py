"""What a connection is asked: whether it works, and what it leads to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from osiris.errors import OsirisError
from osiris.families import find_family
from osiris.families.base import Check, Family
from osiris.families.postgres import address_of, conninfo
from osiris.families.supabase import conninfo as supabase_conninfo
from tests.postgres.server import Database

ROOT = Path("/project")


@pytest.fixture
def postgres() -> Family:
    family = find_family("postgres")
    assert family is not None
    return family


def test_a_good_connection_passes_every_check(postgres: Family, database: Database) -> None:
    checks = list(postgres.check(database.connection, ROOT, 3.0))
    assert [(check.name, check.problem) for check in checks] == [
        ("reach", ""), ("sign in", ""), ("version", ""), ("permission", "")
    ]  # fmt: skip
    assert checks[2].detail.startswith("PostgreSQL ")


def failing(postgres: Family, server: Database, **values: Any) -> Check:
    host, port = address_of(server.dsn)
    default = {"host": host, "port": port, "user": "postgres", "database": "test", "password": "hunter2-secret"}
    *_, last = postgres.check({**default, **values}, ROOT, 3.0)
    assert "hunter2" not in last.problem + last.hint
    return last


@pytest.mark.parametrize(
    ("values", "name", "code"),
    [
        ({"port": 1}, "reach", "connection.unreachable"),
        ({"host": "no-such-host.invalid"}, "reach", "connection.unreachable"),
        ({"user": "nobody-of-that-name"}, "sign in", "connection.auth"),
        ({"database": "no_such_database"}, "sign in", "connection.database_missing"),
        ({"sslmode": "nonsense"}, "sign in", "connection.tls"),
        ({"dsn": "postgresql://x:hunter2%zz@127.0.0.1/test"}, "reach", ""),
    ],
)
def test_each_failure_has_a_code_and_a_hint(
    postgres: Family, database: Database, values: dict[str, Any], name: str, code: str
) -> None:
    last = failing(postgres, database, **values)
    if code:
        assert (last.name, last.code) == (name, code)
    assert last.hint


def test_tables_are_listed_with_columns_types_and_keys(postgres: Family, database: Database) -> None:
    database.sql(
        'CREATE TABLE "a ""t" (x numeric(5,2) NOT NULL, "Y" text[], PRIMARY KEY ("x"))',
        'CREATE TABLE two (a integer, b integer, PRIMARY KEY (b, a))',
        "CREATE VIEW v AS SELECT 1 AS one",
        "INSERT INTO two SELECT i, i FROM generate_series(1, 100) AS i",
        "ANALYZE two",
    )  # fmt: skip
    assert postgres.tables is not None
    table, two, view = (t for t in postgres.tables(database.connection, ROOT) if t.schema == database.schema)
    assert (table.name, table.kind, table.primary_key) == ('a "t', "table", ("x",))
    assert [(c.name, c.type, c.nullable) for c in table.columns] == [
        ("x", "numeric(5,2)", False), ("Y", "text[]", True)
    ]  # fmt: skip
    assert (two.primary_key, two.rows) == (("b", "a"), 100)
    assert (view.name, view.kind, view.rows) == ("v", "view", None)


def keywords(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)='((?:[^'\\]|\\.)*)'", text))


def test_tls_is_required_but_on_this_machine() -> None:
    assert keywords(conninfo({"host": "db.example"}, ROOT))["sslmode"] == "require"
    for host in ("localhost", "127.0.0.1", "::1", "/run/postgresql"):
        assert keywords(conninfo({"host": host}, ROOT))["sslmode"] == "prefer"
    given = keywords(conninfo({"host": "db.example", "sslmode": "verify-full", "sslrootcert": "ca.pem"}, ROOT))
    assert (given["sslmode"], given["sslrootcert"]) == ("verify-full", "/project/ca.pem")


def test_a_value_cannot_become_another_keyword() -> None:
    given = keywords(conninfo({"password": "x' host='evil\\"}, ROOT))
    assert list(given.values())[2] == "x\\' host=\\'evil\\\\"
    assert given["host"] == "localhost"


def test_supabase_says_where_a_project_lies() -> None:
    direct = keywords(supabase_conninfo({"url": "https://abc.supabase.co", "password": "p"}, ROOT))
    assert (direct["host"], direct["user"], direct["dbname"], direct["sslmode"]) == (
        "db.abc.supabase.co", "postgres", "postgres", "require"
    )  # fmt: skip
    pooled = keywords(supabase_conninfo({"project_ref": "abc", "pooler_host": "eu.pooler.supabase.com"}, ROOT))
    assert (pooled["host"], pooled["user"]) == ("eu.pooler.supabase.com", "postgres.abc")
    with pytest.raises(OsirisError, match="project_ref"):
        supabase_conninfo({"password": "p"}, ROOT)
