"""The only masking of secrets: by the value that was resolved, by the name of a key, and by shape in a literal."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"

_SECRET_KEY = re.compile(
    r"(^|[_.\-])(password|passwd|pwd|passphrase|secret|token|api[_\-]?key|apikey|access[_\-]?key|secret[_\-]?key|"
    r"private[_\-]?key|credentials?|authorization|dsn|connection[_\-]?string|service[_\-]?role[_\-]?key)$",
    re.IGNORECASE,
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_DSN_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.\-]*://[^\s/:@]*:(?P<secret>[^\s/@]+)@", re.IGNORECASE)
# `password=` alone: what cannot be a comparison in a query, so not `a.password=b.password` or `password=$1`.
_BARE_PASSWORD = re.compile(
    r"(?<![\w.])(?:password|passwd|pwd)=(?P<secret>[^\s;&'\"$?:.()<>]+)(?=$|[\s;&])", re.IGNORECASE
)
_KEYWORD_PASSWORD = re.compile(
    r"\b(?:host|hostaddr|server|user|uid|dbname|database|data source)=\S.*?\b(?:password|passwd|pwd)="
    r"(?P<secret>[^\s;&]+)",
    re.IGNORECASE | re.DOTALL,
)
_REFERENCE = re.compile(r"^\$\{[^}]*\}$")


def is_secret_key(name: str) -> bool:
    """Whether a key of this name holds a secret: ``password``, ``api_key``, ``DB_TOKEN`` and their kin."""
    return bool(_SECRET_KEY.search(name))


def secret_shape(text: str) -> str:
    """What kind of secret stands in ``text`` ("a private key", "a DSN with a password"), or "" for none.

    A reference such as ``${DB_PASSWORD}`` in the secret's place is not a secret.
    """
    if _PRIVATE_KEY.search(text):
        return "a private key"
    kinds = {
        _DSN_PASSWORD: "a DSN with a password",
        _KEYWORD_PASSWORD: "a DSN with a password",
        _BARE_PASSWORD: "a password",
    }
    for pattern, kind in kinds.items():
        match = pattern.search(text)
        if match and not _REFERENCE.match(match["secret"]):
            return kind
    return ""


class Redactor:
    """Masks every occurrence of the given secret values in a text; values shorter than four characters are left."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        longest_first = sorted({value for value in secrets if len(value) >= 4}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def scrub(self, text: str) -> str:
        """``text`` with each secret value replaced by ``***``, and the password inside any DSN as well."""
        if self._pattern:
            text = self._pattern.sub(MASK, text)
        return _DSN_PASSWORD.sub(lambda match: match[0].replace(match["secret"], MASK), text)
