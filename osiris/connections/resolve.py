"""From a connection to its values, with every secret among them. The values live in memory only."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from osiris.connections.file import DEFAULT_KEY, Connection, field_node
from osiris.connections.variables import CONNECTIONS_NAME, ENV_NAME, VariableReference, Variables, expand
from osiris.documents import Node, joined
from osiris.errors import Finding, findings_error
from osiris.redaction import MASK, SHORTEST_MASKED, Redactor, is_dsn_key, is_secret_key, remember

_USER_KEYS = frozenset({"user", "username", "login", "uid", "client_id"})
_URL = re.compile(r"[a-z][a-z0-9+.\-]*:(?:[a-z0-9]+:)?//", re.IGNORECASE)
_KEYWORD = r"(?:^|[\s;?&])(?P<key>[\w.\- ]*\w)\s*=\s*(?P<value>'(?:\\.|[^'\\])*'|\"[^\"]*\"|[^%s]*)"
_BETWEEN_SPACES = re.compile(_KEYWORD % r"\s;&")
_BETWEEN_SEMICOLONS = re.compile(_KEYWORD % ";")
_SECRET_KEYWORD = re.compile(r"(?:accountkey|accesskey|secret|password|passwd|pwd|token|sig)$", re.IGNORECASE)
_URL_PARTS = re.compile(r"[@/:?#]")


class ResolvedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gets. ``secrets`` are all texts that must not be seen, ``too_short`` the keys of those that are too
    short to be masked by value.

    A value that is one ``${VAR}`` is text; numbers, true and false stay as YAML has them.
    """

    name: str
    values: Mapping[str, Any]
    secrets: frozenset[str]
    too_short: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the values."""
        return f"ResolvedConnection({self.name}, {MASK})"


def resolve(
    connection: Connection, variables: Variables, secret_fields: tuple[str, ...] = (), *, tolerant: bool = False
) -> ResolvedConnection:
    """The values of ``connection``; fields in ``secret_fields`` (``pin``, ``auth.code``) are secret besides the usual.

    A variable that is not set is ``connection.variable_missing`` (exit 2), which names variable, connection and place;
    with ``tolerant`` it is the empty text.
    """
    declared = {id(node) for field in secret_fields if (node := field_node(connection.node, field)) is not None}
    reading = _Reading(connection, variables, declared)
    values = reading.read_map(connection.node, f"connections.{connection.family}.{connection.alias}", secret=False)
    if reading.missing and not tolerant:
        raise findings_error(reading.missing, code="connection.variable_missing")
    values.pop(DEFAULT_KEY, None)
    return ResolvedConnection(
        name=connection.name,
        values=values,
        secrets=frozenset(reading.secrets),
        too_short=tuple(dict.fromkeys(reading.too_short)),
    )


def resolve_masked(
    connection: Connection, variables: Variables, secret_fields: tuple[str, ...] = (), *, tolerant: bool = False
) -> ResolvedConnection:
    """The same; from now on its secrets are masked in all that this process says of anything."""
    resolved = resolve(connection, variables, secret_fields, tolerant=tolerant)
    remember(Redactor(resolved.secrets))
    return resolved


class _Reading:
    """One connection being resolved: what was found on the way."""

    def __init__(self, connection: Connection, variables: Variables, declared: set[int]) -> None:
        self.secrets: set[str] = set()
        self.too_short: list[str] = []
        self.missing: list[Finding] = []
        self._connection = connection
        self._variables = variables
        self._declared = declared

    def read_map(self, node: Node, at: str, *, secret: bool) -> dict[str, Any]:
        values: dict[str, Any] = {}
        before = set(self.secrets)
        for entry in node.entries:
            below = secret or is_secret_key(entry.key)
            values[entry.key] = self._read(entry.value, joined(at, entry.key), secret=below, dsn=is_dsn_key(entry.key))
        users = [value for key, value in values.items() if key.lower() in _USER_KEYS and isinstance(value, str)]
        for password in self.secrets - before:
            self.secrets |= {base64.b64encode(f"{user}:{password}".encode()).decode() for user in users}
        return values

    def _read(self, node: Node, at: str, *, secret: bool, dsn: bool = False) -> Any:
        secret = secret or id(node) in self._declared
        if node.kind == "map":
            return self.read_map(node, at, secret=secret)
        if node.kind == "list":
            return [self._read(item, f"{at}[{place}]", secret=secret) for place, item in enumerate(node.items)]
        return self._read_scalar(node, at, secret=secret, dsn=dsn)

    def _read_scalar(self, node: Node, at: str, *, secret: bool, dsn: bool) -> Any:
        used: dict[str, str] = {}

        def value_of(reference: VariableReference) -> str:
            value = self._variables.get(reference.name)
            if reference.default is not None and not value:
                return reference.default
            if value is None:
                self._miss(reference.name, node, at)
                return ""
            used[reference.name] = value
            return value

        text = expand(node.raw, value_of)
        from_secret = [value for name, value in used.items() if is_secret_key(name)]
        # A DSN without a password in it is no secret: its host is worth reading in a message.
        found = {*from_secret, *secret_parts(text)}
        if from_secret or (secret and not (dsn and not used)):
            found.add(text)
        if _URL.match(text):
            # A library that misreads an unescaped @ in a password names the rest of it as the host.
            inside = {value for value in used.values() if value in found and not _URL.match(value)}
            found |= {part for value in inside for part in _URL_PARTS.split(value)}
        self._keep(found, {text, *used.values()}, at)
        if text == node.raw:
            return node.value
        return text

    def _keep(self, found: set[str], whole: set[str], at: str) -> None:
        self.secrets |= {secret for secret in found if len(secret) >= SHORTEST_MASKED}
        if any(0 < len(secret) < SHORTEST_MASKED for secret in found & whole):
            self.too_short.append(at)

    def _miss(self, name: str, node: Node, at: str) -> None:
        problem = f"{at}: the variable {name} is not set, and {self._connection.name} needs it"
        hint = f"Set {name} in the environment, or in {ENV_NAME} beside {CONNECTIONS_NAME}."
        self.missing.append(Finding(problem, hint, CONNECTIONS_NAME, node.line, node.column))


def secret_parts(text: str) -> set[str]:
    """The secrets inside of a value: passwords of DSNs in every notation, and those of a JSON document."""
    found: set[str] = set()
    if _URL.match(text):
        found |= _url_passwords(text)
    keyword = _BETWEEN_SEMICOLONS if ";" in text else _BETWEEN_SPACES
    for match in keyword.finditer(text) if "=" in text else ():
        if is_secret_key(match["key"]) or _SECRET_KEYWORD.search(match["key"]):
            value = match["value"]
            found |= {value, unquote(value), re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] in "'\"" else value}
    if text.lstrip().startswith("{"):
        found |= set(_json_secrets(text))
    return found - {""}


def _url_passwords(url: str) -> set[str]:
    behind = url.partition("://")[2]
    # An unescaped / or @ in a password: where it ends is anybody's guess, so all guesses are masked.
    ends = [behind.partition("/")[0].rpartition("@")[0], behind.rpartition("@")[0], behind.partition("@")[0]]
    passwords = {end.partition(":")[2] for end in ends}
    try:
        passwords |= {value for key, value in parse_qsl(urlsplit(url).query) if is_secret_key(key)}
    except ValueError:  # not a URL after all
        return passwords
    return passwords | {unquote(password) for password in passwords}


def _json_secrets(text: str) -> Iterator[str]:
    """A service account, for instance: the key in it is printed without the document around it."""
    try:
        document = json.loads(text)
    except ValueError:
        return
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(key, below) for below in value]
        elif isinstance(value, str) and is_secret_key(key):
            yield value
