"""``osiris_connections.yaml``: its shape, its rules, and which connection a step means. Resolves no variable."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from osiris.connections.variables import CONNECTIONS_NAME, MalformedReferenceError, expand, references
from osiris.documents import FREE_PREFIX, Entry, Node, Report, described, joined, load_document, shown, suggest
from osiris.errors import Finding, OsirisError, findings_error
from osiris.redaction import is_dsn_key, is_secret_key, secret_shape

DEFAULT_KEY = "default"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_REFERENCE = re.compile(rf"@({_NAME})\.({_NAME})")
_CLEAR_HINT = "Write ${VARIABLE} here, and set the variable in the environment or in .env."
_REFERENCE_HINT = "Write ${NAME} or ${NAME:-default}; a $ itself is $$."


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One connection as it stands in the file; ``node`` is its map of keys."""

    family: str
    alias: str
    node: Node
    is_default: bool

    @property
    def name(self) -> str:
        """How a pipeline refers to it: ``@family.alias``."""
        return f"@{self.family}.{self.alias}"


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """All connections by family and alias; ``warnings`` names keys of the file that mean nothing."""

    families: dict[str, dict[str, Connection]] = {}
    warnings: tuple[Finding, ...] = ()

    def find(self, reference: str, family: str) -> Connection:
        """The connection that a step of ``family`` means by ``reference``, by "" the family's default.

        Raises OsirisError: ``connection.reference``, ``connection.family``, ``connection.unknown`` or
        ``connection.no_default``.
        """
        if not reference:
            return self._default(family)
        parts = parse_reference(reference)
        if parts is None:
            problem = f"{shown(reference)} does not name a connection"
            raise OsirisError(problem, f'Write it as "@{family}.ALIAS".', code="connection.reference")
        if parts[0] != family:
            problem = f"{reference} is a connection of {parts[0]}, but a connection of {family} is needed"
            raise OsirisError(problem, self._known(family), code="connection.family")
        found = self.families.get(family, {}).get(parts[1])
        if found is None:
            hint = suggest(parts[1], self.families.get(family, ())).replace("'", f"'@{family}.", 1)
            problem = f"{CONNECTIONS_NAME} has no connection {reference}"
            raise OsirisError(problem, hint or self._known(family), code="connection.unknown")
        return found

    def named(self, reference: str) -> Connection:
        """The connection of a reference that somebody typed, with or without its ``@``. Raises as ``find`` does."""
        parts = parse_reference(f"@{reference.removeprefix('@')}")
        if parts is None:
            raise OsirisError(
                f"{shown(reference)} does not name a connection",
                "Write it as @FAMILY.ALIAS.",
                code="connection.reference",
            )
        if parts[0] not in self.families:
            problem = f"{CONNECTIONS_NAME} has no connection of the family {parts[0]}"
            hint = suggest(parts[0], self.families) or "See `osiris connections list`."
            raise OsirisError(problem, hint, code="connection.unknown")
        return self.find("@" + ".".join(parts), parts[0])

    def all(self) -> list[Connection]:
        """Every connection, as they stand in the file."""
        return [connection for aliases in self.families.values() for connection in aliases.values()]

    def _default(self, family: str) -> Connection:
        for connection in self.families.get(family, {}).values():
            if connection.is_default:
                return connection
        if not self.families.get(family):
            raise OsirisError(
                f"{CONNECTIONS_NAME} has no connection of the family {family}",
                suggest(family, self.families) or f"Add connections.{family}.default to it.",
                code="connection.unknown",
            )
        problem = f"no connection is named, and the family {family} has no default"
        hint = f"{self._known(family)} Name one, or give one of them `default: true`."
        raise OsirisError(problem, hint, code="connection.no_default")

    def _known(self, family: str) -> str:
        names = [connection.name for connection in self.families.get(family, {}).values()]
        return (
            f"There {'is' if len(names) == 1 else 'are'}: {', '.join(names)}."
            if names
            else (f"Add it to {CONNECTIONS_NAME} below connections.{family}.")
        )


def parse_reference(text: str) -> tuple[str, str] | None:
    """Family and alias of ``@family.alias``; None for anything else."""
    match = _REFERENCE.fullmatch(text)
    return (match[1], match[2]) if match else None


def load_connections(root: Path) -> Connections:
    """The connections of the project in ``root``; none where it has no such file.

    Raises OsirisError ``connections.invalid`` with every problem, or ``yaml.invalid``; no message repeats a value.
    """
    try:
        source = (root / CONNECTIONS_NAME).read_bytes()
    except FileNotFoundError:
        return Connections()
    except OSError as cause:
        problem = f"could not read {root / CONNECTIONS_NAME}: {cause.strerror}"
        raise OsirisError(
            problem, "Check its permissions.", code="connections.unreadable", path=CONNECTIONS_NAME
        ) from cause
    document = load_document(source, CONNECTIONS_NAME)
    report, warnings = Report(CONNECTIONS_NAME, []), Report(CONNECTIONS_NAME, [])
    families: dict[str, dict[str, Connection]] = {}
    for entry in _entries(document, "", report):
        if entry.key == "connections":
            for family in _entries(entry.value, "connections", report):
                families[family.key] = _read_family(family, report)
        elif not entry.key.startswith(FREE_PREFIX):
            hint = suggest(entry.key, ["connections"]) or "Connections stand below the key connections."
            warnings.add(entry, "", f"unknown key {shown(entry.key)}", hint)
    if report.findings:
        raise findings_error(report.findings, code="connections.invalid")
    return Connections(families=families, warnings=tuple(warnings.findings))


def _entries(node: Node, at: str, report: Report) -> tuple[Entry, ...]:
    if node.kind != "map" and not node.is_null:
        report.add(node, at, f"expected a map, got {described(node)}", "Write it as key: value.")
    return node.entries


def _read_family(family: Entry, report: Report) -> dict[str, Connection]:
    found: dict[str, Connection] = {}
    at = _checked_name(family, "connections", report)
    for alias in _entries(family.value, at, report):
        below = _checked_name(alias, at, report)
        keys = _entries(alias.value, below, report)
        for key in keys:
            _check_value(key.value, joined(below, key.key), _Place(is_secret_key(key.key), is_dsn_key(key.key)), report)
        flag = alias.value.entry(DEFAULT_KEY)
        if flag and not isinstance(flag.value.value, bool):
            report.add(flag.value, f"{below}.default", f"expected true or false, got {described(flag.value)}")
        is_default = flag.value.value is True if flag else alias.key == DEFAULT_KEY
        found[alias.key] = Connection(family=family.key, alias=alias.key, node=alias.value, is_default=is_default)
    defaults = [alias for alias in family.value.entries if found and found[alias.key].is_default]
    for second in defaults[1:]:
        problem = f"{shown(defaults[0].key)} at line {defaults[0].line} is the default already"
        report.add(
            second, joined(at, second.key), problem, "Keep `default: true` at one; `default: false` turns it off."
        )
    return found


def _checked_name(entry: Entry, at: str, report: Report) -> str:
    below = joined(at, entry.key)
    if not re.fullmatch(_NAME, entry.key):
        report.add(entry, at, f"{shown(entry.key)} is not a name", "Use at most 64 letters, digits, - and _.")
    return below


class _Place(msgspec.Struct, frozen=True):
    """Whether a value stands under a secret's name, and whether that is the name of a DSN."""

    secret: bool
    dsn: bool = False


def _check_value(node: Node, at: str, place: _Place, report: Report) -> None:
    for entry in node.entries:
        if kind := secret_shape(entry.key):
            report.add(entry, at, f"{kind} stands in a key", _CLEAR_HINT)
        below = _Place(place.secret or is_secret_key(entry.key), is_dsn_key(entry.key))
        _check_value(entry.value, joined(at, entry.key), below, report)
    for number, item in enumerate(node.items):
        _check_value(item, f"{at}[{number}]", place, report)
    if node.kind == "scalar":
        try:
            if problem := literal_secret(node, secret=place.secret, dsn=place.dsn):
                report.add(node, at, problem, _CLEAR_HINT)
        except MalformedReferenceError:
            report.add(node, at, "a ${ here begins no reference to a variable", _REFERENCE_HINT)


def literal_secret(node: Node, *, secret: bool, dsn: bool = False) -> str:
    """What is wrong with a scalar that holds a secret in the clear, "" where it holds none.

    ``secret`` says that its key has a secret's name, ``dsn`` that this is the name of a DSN. A default of a reference
    stands in the file as well. Raises :class:`MalformedReferenceError`.
    """
    found = references(node.raw)
    written = expand(node.raw, lambda reference: reference.default or f"${{{reference.name}}}")
    if kind := secret_shape(written):
        return f"{kind} stands here in the clear"
    for reference in found:
        if reference.default and ((secret and not dsn) or is_secret_key(reference.name)):
            return f"the default of ${{{reference.name}}} is a secret in the clear"
    is_literal = bool(node.raw) and not found and not node.is_null and not isinstance(node.value, bool)
    return "a secret stands here in the clear" if secret and not dsn and is_literal else ""


def check_declared_secrets(connection: Connection, fields: tuple[str, ...]) -> list[Finding]:
    """A finding for each literal in a field (``pin``, ``auth.code``) that a component declares secret."""
    report = Report(CONNECTIONS_NAME, [])
    for field in fields:
        if (node := field_node(connection.node, field)) is not None:
            _check_value(node, f"connections.{connection.family}.{connection.alias}.{field}", _Place(True), report)
    return report.findings


def field_node(node: Node, field: str) -> Node | None:
    """The node at a dotted path below ``node``, or None."""
    found: Node | None = node
    for key in field.split("."):
        entry = found.entry(key) if found else None
        found = entry.value if entry else None
    return found
