"""The family ``supabase``: PostgreSQL, named as Supabase's page "Connect" names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from osiris.errors import OsirisError
from osiris.families import postgres
from osiris.families.base import Check, ConnectionField, FamilySpec, Table, Values

SPEC = FamilySpec(
    name="supabase",
    title="Supabase",
    extra="postgres",
    fields=(
        ConnectionField(name="project_ref", description="The project's reference, such as abcdefghijklmnopqrst"),
        ConnectionField(name="url", description="Instead of it the project's URL: https://REF.supabase.co"),
        ConnectionField(name="password", description="The database's password", secret=True),
        ConnectionField(
            name="pooler_host", description="Host of the session pooler; left out: db.REF.supabase.co, which is IPv6"
        ),
        ConnectionField(name="port", description="Port", default="5432"),
        ConnectionField(name="database", description="Database", default="postgres"),
        ConnectionField(name="user", description="User; left out: postgres, at the pooler postgres.REF"),
        *postgres.TLS_FIELDS,
        ConnectionField(name="connect_timeout", description="Seconds to wait for the server", default="10"),
        ConnectionField(name="dsn", description="The connection string, instead of all others", secret=True),
    ),
)


def conninfo(values: Values, root: Path) -> str:
    """The values of a connection as libpq wants them."""
    if values.get("dsn"):
        return str(values["dsn"])
    reference = str(values.get("project_ref") or "") or _reference_of(str(values.get("url") or ""))
    pooler = values.get("pooler_host")
    user = f"postgres.{reference}" if pooler else "postgres"
    shape = {"host": pooler or f"db.{reference}.supabase.co", "database": "postgres", "user": user}
    return postgres.conninfo({**shape, **{name: value for name, value in values.items() if value}}, root)


def check(values: Values, root: Path, timeout_s: float) -> Iterator[Check]:
    """See :class:`osiris.families.base.Family`."""
    yield from postgres.check_session(SPEC, conninfo(values, root), timeout_s)


def tables(values: Values, root: Path) -> Sequence[Table]:
    """See :class:`osiris.families.base.Family`."""
    return postgres.session_tables(SPEC, conninfo(values, root))


def _reference_of(url: str) -> str:
    host = urlsplit(url).hostname or ""
    if not host.endswith(".supabase.co"):
        raise OsirisError(
            "the connection has neither project_ref nor a url that ends in .supabase.co",
            "Copy project_ref from the project's settings, or give its connection string as dsn.",
            code="connection.incomplete",
        )
    return host.removesuffix(".supabase.co").removeprefix("db.")
