"""The family ``http``: APIs that answer with JSON, GraphQL among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from osiris.errors import OsirisError
from osiris.families.base import Check, ConnectionField, FamilySpec, Values, checked
from osiris.families.http_client import Answer, Client, Limits, Request
from osiris.families.http_connection import Connection, read_connection

_SECRET = ("token", "password")
# What tells that the server was reached and let us in, and only the path was not for this question.
_REACHED = ("extract.http_not_found", "extract.http_refused")


def _fields() -> Iterator[ConnectionField]:
    schema = msgspec.json.schema(Connection)["$defs"]["Connection"]
    for name, field in schema["properties"].items():
        default = field.get("default", "")
        yield ConnectionField(
            name=name,
            description=field["description"],
            required=name in schema["required"],
            secret=name in _SECRET,
            default=msgspec.json.encode(default).decode() if default not in ("", {}) else "",
        )


SPEC = FamilySpec(name="http", title="HTTP", fields=tuple(_fields()), extra="http")


def check(values: Values, root: Path, timeout_s: float) -> Iterator[Check]:
    """Reach the server, sign in at ``probe``, and see what it calls itself."""
    answers: list[Answer] = []
    failures: list[OsirisError] = []

    def reach() -> str:
        connection = read_connection(values)
        patience_s = min(timeout_s, connection.connect_timeout), min(timeout_s, connection.read_timeout)
        hurried = msgspec.structs.replace(connection, connect_timeout=patience_s[0], read_timeout=patience_s[1])
        url = join_url(connection.base_url, connection.probe)
        with Client(hurried, SPEC, root, Limits(), cancelled=lambda: False, warn=lambda _: None) as client:
            try:
                answers.append(client.fetch(Request(url=url)))
            except OsirisError as failure:
                if failure.code.startswith("connection.") and failure.code not in (
                    "connection.auth",
                    "connection.permission",
                ):
                    raise
                failures.append(failure)
        return client.shown(url)

    def sign_in() -> str:
        if failures and failures[0].code not in _REACHED:
            raise failures[0]
        return "accepted" if answers else "not refused; set probe to a path that answers 200 to be sure"

    def version() -> str:
        return answers[0].headers.get("server", "") if answers else ""

    for name, trial in (("reach", reach), ("sign in", sign_in), ("version", version)):
        done = checked(name, trial)  # type: ignore[arg-type]
        yield done
        if not done.ok:
            return


def join_url(base: str, path: str) -> str:
    """``path`` below ``base``, whose own path stays."""
    return f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base
