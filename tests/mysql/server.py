"""The MariaDB or MySQL server that these tests use, and a database of its own for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pymysql
import pytest

DSN = os.environ.get("OSIRIS_TEST_MYSQL_DSN", "mysql://root@127.0.0.1:3306/test")


def server_values() -> dict[str, Any]:
    """The fields of a connection to that server, without a database."""
    parts = urlsplit(DSN)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": parts.username or "root",
        "password": parts.password or "",
    }


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """One database, made for a test."""

    name: str

    @property
    def values(self) -> dict[str, Any]:
        """A connection as the runner resolves it."""
        return {**server_values(), "database": self.name}

    def execute(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Execute statements; the rows of the last."""
        connection = pymysql.connect(**self.values, charset="utf8mb4", autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            rows: tuple[tuple[Any, ...], ...] = tuple(cursor.fetchall())
            return rows

    def wait_for(self, query: str) -> None:
        """Until ``query`` gives a row; asked some thirty times a second."""
        while not self.execute("DO SLEEP(0.02)", query):
            pass

    def running(self, statement: str) -> str:
        """A query for the numbers of the connections that execute something like ``statement`` now."""
        return (
            "SELECT ID FROM information_schema.PROCESSLIST "
            f"WHERE INFO LIKE '%{statement}%' AND INFO NOT LIKE '%PROCESSLIST%' AND DB = '{self.name}'"
        )


@contextmanager
def new_database() -> Iterator[Database]:
    """A database that is dropped afterwards; without a server the test is skipped, or fails where CI is true."""
    database = Database(name=f"osiris_{uuid.uuid4().hex[:12]}")
    try:
        connection = pymysql.connect(**server_values(), autocommit=True, connect_timeout=5)
    except pymysql.OperationalError as cause:
        reason = f"no MariaDB server: {cause}; set OSIRIS_TEST_MYSQL_DSN or start one on 127.0.0.1:3306"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database.name} CHARACTER SET utf8mb4")
        try:
            yield database
        finally:
            cursor.execute(f"DROP DATABASE {database.name}")
