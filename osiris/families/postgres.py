"""The family ``postgres``: what a connection to PostgreSQL looks like, and what it is asked."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import groupby
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from osiris.errors import OsirisError
from osiris.families.base import Check, Column, ConnectionField, FamilySpec, Table, Values, checked
from osiris.families.postgres_session import Session

TLS_FIELDS = (
    ConnectionField(
        name="sslmode",
        description="As in libpq; left out: require, but prefer where the host is this machine",
    ),
    ConnectionField(name="sslrootcert", description="File with the certificates to trust, or system"),
    ConnectionField(name="sslcert", description="File with the client's certificate"),
    ConnectionField(name="sslkey", description="File with the client's private key"),
)
SPEC = FamilySpec(
    name="postgres",
    title="PostgreSQL",
    extra="postgres",
    fields=(
        ConnectionField(name="host", description="Name or address, or the folder of a socket", default="localhost"),
        ConnectionField(name="port", description="Port", default="5432"),
        ConnectionField(name="database", description="Database; left out: that with the user's name"),
        ConnectionField(name="user", description="User; left out: the one of this process"),
        ConnectionField(name="password", description="Password; left out: from ~/.pgpass", secret=True),
        *TLS_FIELDS,
        ConnectionField(name="connect_timeout", description="Seconds to wait for the server", default="10"),
        ConnectionField(name="options", description="Settings for the server, such as -c search_path=sales"),
        ConnectionField(name="dsn", description="URL or keywords of libpq, instead of all others", secret=True),
    ),
)
_FILES = ("sslrootcert", "sslcert", "sslkey")
_VERSION = "SELECT current_setting('server_version')"
_KEYWORD = re.compile(r"\b(host|hostaddr|port)\s*=\s*'?([^'\s]+)")
_VISIBLE = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind IN ('v', 'm') AS is_view,
       CASE WHEN c.relkind IN ('r', 'm', 'p') AND c.reltuples >= 0 THEN c.reltuples::int8 END AS rows
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND has_schema_privilege(n.oid, 'USAGE')
"""
_TABLES = f"""
SELECT t.schema::text, t.name::text, t.is_view, t.rows, a.attname::text,
       format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       coalesce(array_position(p.conkey, a.attnum), 0)::int4
FROM ({_VISIBLE}) AS t
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_constraint AS p ON p.conrelid = t.oid AND p.contype = 'p'
ORDER BY 1, 2, a.attnum
"""  # noqa: S608 - constants
_PERMISSION = f"""
SELECT count(*)::int8, count(*) FILTER (WHERE has_table_privilege(oid, 'SELECT'))::int8,
       has_database_privilege(current_database(), 'TEMP'), pg_is_in_recovery()
FROM ({_VISIBLE}) AS t
"""  # noqa: S608 - constants


def conninfo(values: Values, root: Path) -> str:
    """The values of a connection as libpq wants them; files count from the project's ``root``."""
    if values.get("dsn"):
        return str(values["dsn"])
    host = str(values.get("host") or "localhost")
    given = {name: str(value) for name, value in values.items() if value not in (None, "")}
    keywords = {
        "host": host,
        "port": given.get("port", "5432"),
        "dbname": given.get("database", ""),
        "user": given.get("user", ""),
        "password": given.get("password", ""),
        "sslmode": given.get("sslmode") or ("prefer" if _is_this_machine(host) else "require"),
        "connect_timeout": given.get("connect_timeout", "10"),
        "options": given.get("options", ""),
        "application_name": "osiris",
        "client_encoding": "UTF8",
    }
    for name in _FILES:
        path = given.get(name, "")
        keywords[name] = path if path in ("", "system") else str(root / Path(path).expanduser())
    return " ".join(f"{name}={_quoted(value)}" for name, value in keywords.items() if value)


def check(values: Values, root: Path, timeout_s: float) -> Iterator[Check]:
    """See :class:`osiris.families.base.Family`."""
    yield from check_session(SPEC, conninfo(values, root), timeout_s)


def tables(values: Values, root: Path) -> Sequence[Table]:
    """See :class:`osiris.families.base.Family`: all that is not the system's own."""
    return session_tables(SPEC, conninfo(values, root))


def check_session(spec: FamilySpec, parameters: str, timeout_s: float) -> Iterator[Check]:
    """The checks of a connection that libpq opens with ``parameters``."""
    import duckdb  # noqa: PLC0415 - naming the family must not pay for DuckDB

    deadline_s = time.monotonic() + timeout_s
    yield (reached := checked("reach", lambda: _reach(parameters, timeout_s)))
    if not reached.ok:
        return
    sessions: list[Session] = []

    def sign_in() -> str:
        # libpq waits for each of its connections, of which ADBC opens two.
        each_s = max(1, int((deadline_s - time.monotonic()) / 2))
        sessions.append(Session(spec, _with_timeout(parameters, each_s), duckdb.connect(), "connection"))
        milliseconds = max(1, int((deadline_s - time.monotonic()) * 1000))
        sessions[0].rows("SELECT set_config('statement_timeout', $1, true)", str(milliseconds))
        [(user, database)] = sessions[0].rows("SELECT current_user::text, current_database()::text")
        return f"as {user} to the database {database}"

    yield (signed_in := checked("sign in", sign_in))
    if not signed_in.ok:
        return
    with sessions[0] as session:
        yield checked("version", lambda: f"PostgreSQL {session.rows(_VERSION)[0][0]}")
        yield checked("permission", lambda: _permission(session))


def session_tables(spec: FamilySpec, parameters: str) -> Sequence[Table]:
    """The tables and views that a connection with ``parameters`` sees, by schema and name."""
    import duckdb  # noqa: PLC0415

    with Session(spec, parameters, duckdb.connect(), "connection") as session:
        session.begin(read_only=True)
        found = session.rows(_TABLES)
    listed = []
    for (schema, name, is_view, rows), columns in groupby(found, key=lambda row: row[:4]):
        those = [column[4:] for column in columns if column[4] is not None]
        kind: Literal["table", "view"] = "view" if is_view else "table"
        listed.append(
            Table(
                name=name,
                schema=schema,
                kind=kind,
                columns=tuple(Column(name=column, type=type_, nullable=null) for column, type_, null, _ in those),
                primary_key=tuple(column for place, column in sorted((row[3], row[0]) for row in those) if place),
                rows=rows,
            )
        )
    return listed


def address_of(parameters: str) -> tuple[str, int]:
    """Host and port in a DSN of either notation, the first where it names several."""
    if "://" in parameters:
        try:
            where = urlsplit(parameters)
            host, port = unquote(where.hostname or "localhost"), where.port or 5432
        except ValueError:  # several hosts, or no URL after all: libpq knows
            return "", 0
        return host.partition(",")[0], port
    found: Mapping[str, str] = dict(_KEYWORD.findall(parameters))
    port_text = found.get("port", "5432").partition(",")[0]
    host = found.get("hostaddr") or found.get("host", "localhost")
    return host.partition(",")[0], int(port_text) if port_text.isdigit() else 5432


def _reach(parameters: str, timeout_s: float) -> str:
    host, port = address_of(parameters)
    if not host or host.startswith("/"):
        return "a socket of this machine" if host else "left to libpq"
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return f"{host}:{port}"
    except OSError as cause:
        raise OsirisError(
            f"{host}:{port} cannot be reached: {cause.strerror or cause}",
            "Check host and port of the connection, and that the server is up and lets this machine in.",
            code="connection.unreachable",
        ) from cause


def _permission(session: Session) -> str:
    [(there, readable, temporary, standby)] = session.rows(_PERMISSION)
    writing = "may write" if temporary and not standby else "may only read"
    if there and not readable:
        raise OsirisError(
            f"PostgreSQL: none of the {there} tables and views may be read",
            "GRANT SELECT ON ALL TABLES IN SCHEMA … TO that user.",
            code="connection.permission",
        )
    return f"reads {readable} of {there} tables and views, {writing}{' (a standby)' if standby else ''}"


def _with_timeout(parameters: str, seconds: int) -> str:
    if "://" not in parameters:
        return f"{parameters} connect_timeout={seconds}"  # the last one counts
    return f"{parameters}{'&' if '?' in parameters else '?'}connect_timeout={seconds}"


def _is_this_machine(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
