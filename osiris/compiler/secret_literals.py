"""The search for secrets in an OML file: by the key's name, by the value's shape, and by what a component declares.

No message repeats the value. A reference such as ``${DB_PASSWORD}`` is not a secret.
"""

from __future__ import annotations

import re

from osiris.documents import Entry, Node, Report, joined
from osiris.redaction import is_secret_key, secret_shape

_REFERENCE = re.compile(r"\$\{[^{}]*\}")
# A column may be called password; that it holds text is no secret.
_COLUMN_TYPE = re.compile(
    r"varchar|text|string|char|boolean|bool|u?(?:tiny|small|big|huge)?int|integer|double|float|real|date|time|"
    r"timestamp(?:tz|_s|_ms|_ns)?|decimal(?:\([0-9]{1,2}(?:, ?[0-9]{1,2})?\))?|numeric|uuid|blob|json|interval",
    re.IGNORECASE,
)
_HINT = "Put it into osiris_connections.yaml as ${VARIABLE} and name the connection here."


def find_secrets(root: Node, report: Report) -> None:
    """A finding for each literal secret, wherever it stands in the document: also in keys, metadata and ``x-`` keys."""
    for entry in root.entries:
        at = joined("", entry.key)
        _search_key(entry, "", report)
        if entry.key == "params":
            _search_params(entry.value, report)
        else:
            _search(entry.value, at, is_secret_key(entry.key), report)


def find_declared_secrets(config: Node, fields: tuple[str, ...], at: str, report: Report) -> None:
    """A finding for each literal in a config field (``token``, ``auth.pin``) that the component declares secret."""
    for field in fields:
        node: Node | None = config
        for key in field.split("."):
            entry = node.entry(key) if node else None
            node = entry.value if entry else None
        found_before = is_secret_key(field) or (node is not None and secret_shape(node.raw))
        if node is not None and not found_before:
            _search(node, f"{at}.{field}", True, report)


def _search_params(params: Node, report: Report) -> None:
    for entry in params.entries:
        at = joined("params", entry.key)
        _search_key(entry, "params", report)
        if is_secret_key(entry.key):
            problem = "a parameter of this name would carry a secret into the manifest"
            report.add(entry, at, problem, "Use a connection for secrets, or another name if it is none.")
        _search(entry.value, at, False, report)


def _search_key(entry: Entry, at: str, report: Report) -> None:
    if kind := secret_shape(entry.key):
        report.add(entry, at, f"{kind} stands in a key", _HINT)


def _search(node: Node, at: str, secret_key: bool, report: Report) -> None:
    for entry in node.entries:
        _search_key(entry, at, report)
        _search(entry.value, joined(at, entry.key), secret_key or is_secret_key(entry.key), report)
    for place, item in enumerate(node.items):
        _search(item, f"{at}[{place}]", secret_key, report)
    if node.kind != "scalar":
        return
    if kind := secret_shape(node.raw):
        report.add(node, at, f"{kind} stands here", _HINT)
    elif secret_key and _is_literal(node):
        report.add(node, at, "a secret stands here in the clear", _HINT)


def _is_literal(node: Node) -> bool:
    if not node.raw or node.is_null or isinstance(node.value, bool):
        return False
    return not (_REFERENCE.fullmatch(node.raw) or _COLUMN_TYPE.fullmatch(node.raw))
