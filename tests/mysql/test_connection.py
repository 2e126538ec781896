"""A connection: how it is reached, what is found there, and what an error says."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osiris.errors import OsirisError
from osiris.families import find_family
from osiris.families.base import Check, Column, Table
from osiris.families.mysql import readable_version
from osiris.families.mysql_session import connected, execute
from tests.mysql.server import Database

ROOT = Path()
PASSWORD = "hush! ünd/%40"  # noqa: S105 - of a user that one test makes


def checks(values: Mapping[str, Any], timeout_s: float = 3) -> list[Check]:
    family = find_family("mysql")
    assert family is not None
    return list(family.check(values, ROOT, timeout_s))


def tables(values: Mapping[str, Any]) -> list[Table]:
    family = find_family("mysql")
    assert family is not None
    assert family.tables is not None
    return list(family.tables(values, ROOT))


def test_a_good_connection_passes_every_check(database: Database) -> None:
    found = checks(database.values)
    assert [check.name for check in found] == ["reach", "sign in", "version", "permission"]
    assert all(check.ok for check in found), found
    assert found[2].detail.startswith(("MariaDB 1", "MySQL "))
    assert found[3].detail == f"sees 0 tables in {database.name}"


@pytest.mark.parametrize(
    ("version", "readable"),
    [
        ("5.5.5-10.11.19-MariaDB", "MariaDB 10.11.19"),
        ("10.11.19-MariaDB-0+deb12u1", "MariaDB 10.11.19"),
        ("11.4.2-MariaDB-ubu2404-log", "MariaDB 11.4.2"),
        ("8.0.36", "MySQL 8.0.36"),
        ("8.4.0-commercial", "MySQL 8.4.0"),
    ],
)
def test_a_version_reads_as_a_person_would_say_it(version: str, readable: str) -> None:
    assert readable_version(version) == readable


@pytest.mark.parametrize(
    ("wrong", "failed", "code"),
    [
        ({"port": 1}, "reach", "connection.unreachable"),
        ({"host": "nowhere.invalid"}, "reach", "connection.unreachable"),
        ({"unix_socket": "/nowhere"}, "reach", "connection.unreachable"),
        ({"user": "nobody", "password": PASSWORD}, "sign in", "connection.auth"),
        ({"database": "nix"}, "sign in", "connection.database_missing"),
        ({"ssl_mode": "required"}, "sign in", "connection.tls"),
        ({"ssl_mode": "verify_identity"}, "sign in", "connection.tls"),
        ({"ssl_ca": "/nowhere.pem"}, "sign in", "connection.tls"),
        ({"ssl_cert": "/nowhere.pem"}, "sign in", "connection.tls"),
        ({"ssl_mode": "sometimes"}, "reach", "connection.invalid"),
        ({"port": "many"}, "reach", "connection.invalid"),
        ({"pasword": "x"}, "reach", "connection.invalid"),
        ({"dsn": "postgres://a@b/c"}, "reach", "connection.invalid"),
        ({"dsn": "mysql://a@b:port/c"}, "reach", "connection.invalid"),
    ],
)
def test_the_check_that_fails_says_why_and_what_to_do(
    database: Database, wrong: dict[str, Any], failed: str, code: str
) -> None:
    *_, last = checks({**database.values, **wrong})
    assert (last.name, last.code) == (failed, code), last
    assert last.hint
    assert PASSWORD not in last.problem + last.hint


def test_a_server_that_says_nothing_is_given_up_in_time(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        [check] = checks({**database.values, "port": silent.getsockname()[1]}, timeout_s=0.3)
    assert (check.name, check.code) == ("reach", "connection.lost")


def test_a_password_of_any_letters_signs_in_by_fields_and_by_dsn(database: Database) -> None:
    user = database.name[:30]
    database.execute(f"CREATE USER {user} IDENTIFIED BY '{PASSWORD}'", f"GRANT SELECT ON {database.name}.* TO {user}")
    try:
        by_fields = {**database.values, "user": user, "password": PASSWORD}
        address = f"{database.values['host']}:{database.values['port']}/{database.name}?connect_timeout=5"
        by_dsn = {"dsn": f"mysql://{user}:hush%21%20%C3%BCnd%2F%2540@{address}"}
        for values in (by_fields, by_dsn, {**by_dsn, "database": "information_schema"}):
            with connected(values) as connection:
                assert execute(connection, "SELECT @@time_zone, @@character_set_client") == [("+00:00", "utf8mb4")]
        with pytest.raises(OsirisError) as refused, connected({**by_dsn, "password": "not " + PASSWORD}):
            pass
        assert refused.value.code == "connection.auth"
        assert PASSWORD not in refused.value.problem
    finally:
        database.execute(f"DROP USER {user}")


def test_tables_and_views_are_listed_with_their_columns_and_keys(database: Database) -> None:
    database.execute(
        "CREATE TABLE `b ``x` (v TEXT, k2 INT, k1 BIGINT UNSIGNED, PRIMARY KEY (k1, k2))",
        "CREATE VIEW a AS SELECT v FROM `b ``x`",
    )
    view, table = tables(database.values)
    assert (view.name, view.kind, view.rows, [column.name for column in view.columns]) == ("a", "view", None, ["v"])
    assert (table.name, table.schema, table.kind) == ("b `x", database.name, "table")
    assert table.primary_key == ("k1", "k2")
    assert table.columns[0] == Column(name="v", type="text", nullable=True)
    assert table.columns[2].type.startswith("bigint")
    assert table.columns[2].type.endswith("unsigned")
    assert table.rows == 0
