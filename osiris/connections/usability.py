"""Whether a connection could be used here, as far as that can be told without asking anybody."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

import msgspec

from osiris.connections.file import Connection
from osiris.connections.resolve import ResolvedConnection, resolve_masked
from osiris.connections.variables import VariableReference, Variables, references
from osiris.documents import Node, suggest
from osiris.families import FAMILIES, find_family
from osiris.families.base import FamilySpec
from osiris.redaction import Redactor, is_secret_key

_DISTRIBUTION = re.compile(r"[A-Za-z0-9._-]+")


class ListedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """One connection. ``settings`` are its values without any secret, ``problems`` what keeps it from being used here.

    ``usable`` is null for a family that only a package's component knows.
    """

    connection: str
    is_default: bool
    title: str
    usable: bool | None
    settings: dict[str, str]
    missing_variables: tuple[str, ...]
    problems: tuple[str, ...]


def look_at(connection: Connection, variables: Variables) -> ListedConnection:
    """What is known of ``connection`` from the file, the environment and the installed packages."""
    family = find_family(connection.family)
    spec = family.spec if family else FamilySpec(name=connection.family, title="", fields=())
    resolved = resolve_masked(connection, variables, spec.secret_fields, tolerant=True)
    incomplete = {entry.key: _not_set(entry.value, variables) for entry in connection.node.entries}
    missing = tuple(dict.fromkeys(name for names in incomplete.values() for name in names))
    problems = [f"{name} is not set" for name in missing]
    if family is None:
        hint = suggest(connection.family, FAMILIES)
        problems.insert(0, f"the family is none of those that Osiris brings{f': {hint}' if hint else ''}")
    problems += [
        f"{field.name} is missing" for field in spec.fields if field.required and field.name not in resolved.values
    ]
    problems += [f"{name} is not installed: pip install 'osiris[{spec.extra}]'" for name in _not_installed(spec.extra)]
    return ListedConnection(
        connection=connection.name,
        is_default=connection.is_default,
        title=spec.title,
        usable=None if family is None else not problems,
        settings={name: text for name, text in public_values(resolved, spec).items() if not incomplete[name]},
        missing_variables=missing,
        problems=tuple(problems),
    )


def public_values(resolved: ResolvedConnection, spec: FamilySpec) -> dict[str, str]:
    """The values that may be shown, as text: those of the fields that the family declares and that are no secret."""
    redactor = Redactor(resolved.secrets)
    names = [field.name for field in spec.fields if not (field.secret or is_secret_key(field.name))]
    return {name: redactor.scrub(_text(resolved.values[name])) for name in names if name in resolved.values}


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _not_set(node: Node, variables: Variables) -> list[str]:
    """The variables below ``node`` that have neither a value nor a default."""
    used: list[VariableReference] = references(node.raw) if node.kind == "scalar" else []
    missing = [one.name for one in used if one.default is None and variables.get(one.name) is None]
    below = [*(entry.value for entry in node.entries), *node.items]
    return [*missing, *(name for part in below for name in _not_set(part, variables))]


def _not_installed(extra: str) -> list[str]:
    """The packages of an extra of Osiris that are not installed here."""
    marker = re.compile(rf"extra == ['\"]{re.escape(extra)}['\"]")
    wanted = [
        found[0] for line in requires("osiris") or () if marker.search(line) and (found := _DISTRIBUTION.match(line))
    ]
    return [name for name in wanted if not _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
