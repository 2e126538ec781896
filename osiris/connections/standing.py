"""Secrets that are set now and stand where none may: in a build, in a tag, in what goes to the journal."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from osiris.connections.file import load_connections
from osiris.connections.resolve import resolve
from osiris.connections.variables import Variables
from osiris.documents import joined
from osiris.errors import Finding, OsirisError, findings_error
from osiris.redaction import Redactor, remember

_LONG_ENOUGH = 8
_CLASSES = tuple(map(re.compile, (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^a-zA-Z0-9]")))
_HINT = "Take it out: a secret reaches a step through a connection. If the two are equal by chance, change the secret."


class KnownSecrets:
    """Secret values, each with the connection that it belongs to.

    A value that could be a word (``postgres``) is found where it is the whole text, any other inside of texts as well.
    """

    def __init__(self, owners: Mapping[str, str]) -> None:
        self.owners = owners
        self._inside = [(Redactor([secret]), owner) for secret, owner in owners.items() if _is_no_word(secret)]

    def owner(self, text: str) -> str:
        """The connection whose secret stands in ``text``, or ""."""
        found = (owner for redactor, owner in self._inside if redactor.holds(text))
        return self.owners.get(text) or next(found, "")


def known_secrets_of(
    root: Path, environ: Mapping[str, str], secret_fields: Mapping[str, tuple[str, ...]] | None = None
) -> KnownSecrets:
    """Every secret of every connection in the project's file whose variable is set; ``secret_fields`` are by family.

    From now on they are masked on stderr and in the crash log.
    """
    variables = Variables(root, environ)
    owners: dict[str, str] = {}
    for family, aliases in load_connections(root).families.items():
        for connection in aliases.values():
            resolved = resolve(connection, variables, (secret_fields or {}).get(family, ()), tolerant=True)
            owners |= dict.fromkeys(resolved.secrets, connection.name)
    remember(Redactor(owners))
    return KnownSecrets(owners)


def scrubbed_error(root: Path, environ: Mapping[str, str], error: OsirisError) -> OsirisError:
    """``error`` without any secret that is set now: what is wrong with a pipeline may repeat what stands in it."""
    with contextlib.suppress(OsirisError):  # the connections themselves are wrong: that is said where one is used
        return Redactor(known_secrets_of(root, environ).owners).scrub_error(error)
    return error


def refuse_secrets(places: Mapping[str, Any], known: KnownSecrets, path: str = "") -> None:
    """OsirisError ``secret.in_the_clear`` (exit 2) that names each of ``places`` with a secret in it, and no value."""
    findings = [
        Finding(f"{at}: this is, or holds, a secret of the connection {owner}", _HINT, path)
        for place, value in places.items()
        for at, text in texts_in(value, place)
        if (owner := known.owner(text))
    ]
    if findings:
        raise findings_error(findings, code="secret.in_the_clear")


def texts_in(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Every text in a value of maps, lists and scalars, keys and numbers included, with its dotted path."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield at, str(key)
            yield from texts_in(below, joined(at, str(key)))
    elif isinstance(value, list | tuple):
        for place, below in enumerate(value):
            yield from texts_in(below, f"{at}[{place}]")
    elif value is not None and not isinstance(value, bool):
        yield at, str(value)


def _is_no_word(secret: str) -> bool:
    return len(secret) >= _LONG_ENOUGH and sum(bool(one.search(secret)) for one in _CLASSES) > 1
