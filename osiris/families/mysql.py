"""The family ``mysql``: whether a connection works, and what tables it leads to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from osiris.errors import OsirisError
from osiris.families.base import Check, CheckName, Column, Table, Values, checked
from osiris.families.mysql_session import SPEC, connected, execute, naming_failures

if TYPE_CHECKING:
    from pymysql.connections import Connection

__all__ = ["SPEC", "check", "tables"]

# Old drivers believed a server only if it called itself 5.5.5, so MariaDB says that first.
_MARIADB = re.compile(r"^(?:5\.5\.5-)?(\d+(?:\.\d+)*)-MariaDB", re.IGNORECASE)
_SHORTEST_WAIT_S = 0.1
_BEFORE_SIGNING_IN = ("connection.unreachable", "connection.lost", "connection.invalid", "connection.extra_missing")
_LIST = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, t.TABLE_ROWS,
       c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, k.ORDINAL_POSITION
FROM information_schema.TABLES t
JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
LEFT JOIN information_schema.KEY_COLUMN_USAGE k
  ON k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME
 AND k.CONSTRAINT_NAME = 'PRIMARY'
WHERE t.TABLE_SCHEMA = DATABASE()
   OR (DATABASE() IS NULL AND t.TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys'))
ORDER BY BINARY t.TABLE_SCHEMA, BINARY t.TABLE_NAME, c.ORDINAL_POSITION
"""


def check(values: Values, root: Path, timeout_s: float) -> Iterator[Check]:  # noqa: ARG001 - no field is a path of the project
    """Reach the server and sign in, read its version, and see whether there is something to read; within the time."""
    end = monotonic() + timeout_s
    with ExitStack() as open_until_the_end:
        opened: list[Connection] = []

        def sign_in() -> str:
            left_s = max(end - monotonic(), _SHORTEST_WAIT_S)
            session = connected(values, connect_timeout=left_s, read_timeout=left_s, write_timeout=left_s)
            opened.append(open_until_the_end.enter_context(session))
            with naming_failures(values, "extract"):
                return f"as {execute(opened[0], 'SELECT CURRENT_USER()')[0][0]}"

        def version() -> str:
            with naming_failures(values, "extract"):
                return readable_version(str(execute(opened[0], "SELECT VERSION()")[0][0]))

        def permission() -> str:
            with naming_failures(values, "extract"):
                return _permission(opened[0])

        yield from _until_one_fails(_reach_and_sign_in(sign_in), (("version", version), ("permission", permission)))


def tables(values: Values, root: Path) -> Sequence[Table]:  # noqa: ARG001
    """The tables and views of the connection's database, of all databases where it names none; rows as estimated."""
    with connected(values) as connection, naming_failures(values, "extract"):
        listed = execute(connection, _LIST)
    return [_table(list(rows)) for _, rows in groupby(listed, key=lambda row: row[:2])]


def readable_version(version: str) -> str:
    """What a server says of its version, as a person would: ``5.5.5-10.11.19-MariaDB`` is MariaDB 10.11.19."""
    found = _MARIADB.match(version)
    return f"MariaDB {found[1]}" if found else f"MySQL {version.partition('-')[0]}"


def _reach_and_sign_in(sign_in: Callable[[], str]) -> Iterator[Check]:
    """Both come from one call: PyMySQL tells by its error how far it came."""
    signed_in = checked("sign in", sign_in)
    if signed_in.code in _BEFORE_SIGNING_IN:
        yield Check(
            name="reach",
            duration_ms=signed_in.duration_ms,
            code=signed_in.code,
            problem=signed_in.problem,
            hint=signed_in.hint,
        )
        return
    yield Check(name="reach", duration_ms=signed_in.duration_ms, detail="the server answers")
    yield signed_in


def _until_one_fails(first: Iterator[Check], others: Sequence[tuple[CheckName, Callable[[], str]]]) -> Iterator[Check]:
    for result in first:
        yield result
        if not result.ok:
            return
    for name, trial in others:
        result = checked(name, trial)
        yield result
        if not result.ok:
            return


def _permission(connection: Connection) -> str:
    [(database,)] = execute(connection, "SELECT DATABASE()")
    where = "TABLE_SCHEMA = DATABASE()" if database else "TABLE_SCHEMA <> 'information_schema'"
    [(seen,)] = execute(connection, f"SELECT count(*) FROM information_schema.TABLES WHERE {where}")  # noqa: S608
    if not seen and not execute(connection, "SHOW DATABASES LIKE %s", database or "%"):
        raise OsirisError("that user sees no database", "GRANT it SELECT on one.", code="connection.permission")
    return f"sees {seen} tables" + (f" in {database}" if database else "")


def _table(rows: Sequence[Sequence[Any]]) -> Table:
    schema, name, kind, estimate = rows[0][:4]
    keys = sorted((row[7], row[4]) for row in rows if row[7] is not None)
    return Table(
        name=name,
        schema=schema,
        kind="view" if "VIEW" in kind else "table",
        columns=tuple(Column(name=row[4], type=row[5], nullable=row[6] == "YES") for row in rows),
        primary_key=tuple(key for _, key in keys),
        rows=None if estimate is None else int(estimate),
    )
