"""One connection to MySQL or MariaDB through PyMySQL: signed in, in UTC, its errors told as ours.

PyMySQL is an extra, so it is imported where it is used.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from osiris.errors import OsirisError
from osiris.families.base import ConnectionField, FamilySpec, missing_extra
from osiris.families.mysql_errors import Doing, connection_error, statement_error

if TYPE_CHECKING:
    from pymysql.connections import Connection

SslMode = Literal["preferred", "disabled", "required", "verify_ca", "verify_identity"]

SPEC = FamilySpec(
    name="mysql",
    title="MySQL or MariaDB",
    extra="mysql",
    fields=(
        ConnectionField(name="dsn", description="mysql://user:password@host:port/database, all in one", secret=True),
        ConnectionField(name="host", description="Name or address of the server", default="localhost"),
        ConnectionField(name="port", description="Its port", default="3306"),
        ConnectionField(name="unix_socket", description="The server's socket on this machine, for host and port"),
        ConnectionField(name="user", description="Who signs in"),
        ConnectionField(name="password", description="That user's password", secret=True),
        ConnectionField(name="database", description="The database that names of tables count from"),
        ConnectionField(
            name="ssl_mode",
            description="preferred, disabled, required, verify_ca or verify_identity; the last where ssl_ca is given",
            default="preferred",
        ),
        ConnectionField(name="ssl_ca", description="File with the certificates of those who sign the server's"),
        ConnectionField(name="ssl_cert", description="File with this client's certificate"),
        ConnectionField(name="ssl_key", description="File with that certificate's key"),
        ConnectionField(name="connect_timeout", description="Seconds to wait for the server", default="10"),
    ),
)  # fmt: skip

_FIELDS = frozenset(field.name for field in SPEC.fields)


def fields_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The connection's fields, those in its ``dsn`` among them; what stands beside the DSN wins. Raises OsirisError."""
    fields = {**_read_dsn(str(values["dsn"])), **values} if values.get("dsn") else dict(values)
    unknown = sorted(set(fields) - _FIELDS - {"default"})
    if unknown:
        raise _wrong_field(f"a mysql connection has no field {unknown[0]}", f"It has {', '.join(sorted(_FIELDS))}.")
    return {name: value for name, value in fields.items() if value not in (None, "")}


@contextlib.contextmanager
def connected(values: Mapping[str, Any], **options: Any) -> Iterator[Connection]:
    """A connection for the length of the block; ``options`` are PyMySQL's. Raises OsirisError ``connection.*``."""
    connection = _connect(fields_of(values), options)
    try:
        yield connection
    finally:
        if connection.open:
            connection.close()


@contextlib.contextmanager
def naming_failures(values: Mapping[str, Any], doing: Doing) -> Iterator[None]:
    """What the server or PyMySQL raise in the block, as an OsirisError with a code and a hint."""
    try:
        yield
    except _driver().MySQLError as cause:
        raise statement_error(cause, values, doing) from cause


def killing(connection: Connection, values: Mapping[str, Any]) -> Callable[[], None]:
    """What stops the statement that ``connection`` executes: KILL QUERY by a second connection, if that can be had."""
    number: Any = connection.thread_id()  # type: ignore[no-untyped-call]

    def kill() -> None:
        with contextlib.suppress(OsirisError, _driver().MySQLError), connected(values) as other:
            execute(other, f"KILL QUERY {int(number)}")

    return kill


def execute(connection: Connection, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Execute one statement and give its rows; ``%s`` in it stand for ``arguments``."""
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments or None)
        return list(cursor.fetchall())


def quote(name: str) -> str:
    """``name`` as an identifier of MySQL, whatever stands in it."""
    return "`" + name.replace("`", "``") + "`"


def streaming_cursor(connection: Connection) -> Any:
    """A cursor whose rows stay on the server until they are fetched."""
    return connection.cursor(import_module("pymysql.cursors").SSCursor)


def raw_conversions() -> dict[Any, Any]:
    """For ``connected(conv=…)``: values come as the bytes that the server sends."""
    conversions = import_module("pymysql.converters").conversions
    return {kind: write for kind, write in conversions.items() if not isinstance(kind, int)}


def _driver() -> Any:
    try:
        return import_module("pymysql")
    except ImportError as cause:
        raise missing_extra(SPEC, cause) from cause


def _connect(fields: Mapping[str, Any], options: Mapping[str, Any]) -> Connection:
    driver = _driver()
    arguments: dict[str, Any] = {
        "host": fields.get("host", "localhost"),
        "port": _whole_number("port", fields.get("port", 3306)),
        "user": fields.get("user"),
        # PyMySQL would encode text as Latin-1; servers expect the bytes of their own character set.
        "password": str(fields.get("password", "")).encode(),
        "database": fields.get("database"),
        "unix_socket": fields.get("unix_socket"),
        "connect_timeout": _whole_number("connect_timeout", fields.get("connect_timeout", 10)),
        "charset": "utf8mb4",
        "init_command": "SET SESSION time_zone = '+00:00'",
        **_tls(fields),
        **options,
    }
    try:
        connection: Connection = driver.connect(**arguments)
    except (driver.MySQLError, OSError, RuntimeError) as cause:
        raise connection_error(cause, fields) from cause
    return connection


def _tls(fields: Mapping[str, Any]) -> dict[str, Any]:
    """PyMySQL's arguments. Its own ones switch the check of names off where no ``ssl_ca`` is given, so none is used."""
    mode = fields.get("ssl_mode", "verify_identity" if fields.get("ssl_ca") else "preferred")
    if mode not in get_args(SslMode):
        raise _wrong_field(f"ssl_mode is {mode!r}", f"It is one of {', '.join(get_args(SslMode))}.")
    if mode == "disabled":
        return {"ssl_disabled": True}
    if mode == "preferred" and not fields.get("ssl_cert"):
        return {}
    try:
        context = ssl.create_default_context(cafile=fields.get("ssl_ca"))
        # Certificates that MySQL makes for itself do not pass the strict checks that newer Pythons begin with.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = mode == "verify_identity"
        context.verify_mode = ssl.CERT_REQUIRED if mode.startswith("verify") else ssl.CERT_NONE
        if fields.get("ssl_cert"):
            context.load_cert_chain(fields["ssl_cert"], fields.get("ssl_key"))
    except OSError as cause:
        raise connection_error(ssl.SSLError(0, f"the files of the connection's TLS: {cause}"), fields) from cause
    return {"ssl": context}


def _read_dsn(dsn: str) -> dict[str, Any]:
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError as cause:
        raise _wrong_dsn() from cause
    if parts.scheme not in ("mysql", "mariadb"):
        raise _wrong_dsn()
    fields = {
        "host": parts.hostname,
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.removeprefix("/")),
        **dict(parse_qsl(parts.query)),
    }
    return {name: value for name, value in fields.items() if value}


def _whole_number(name: str, value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise _wrong_field(f"{name} is {text!r}", "It is a whole number above 0.")
    return int(text)


def _wrong_dsn() -> OsirisError:
    hint = "Write mysql://user:password@host:3306/database, special characters percent-encoded."
    return _wrong_field("the dsn of the mysql connection cannot be read", hint)


def _wrong_field(problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code="connection.invalid")
