"""The YAML 1.2 core schema: from the text of an unquoted scalar to its value (YAML 1.2.2, section 10.3.2).

Unlike YAML 1.1, ``no``, ``on``, ``2024-01-01``, ``1:30`` and ``1_000`` are text.
"""

from __future__ import annotations

import re

from osiris.documents.nodes import Scalar

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o([0-7]+)")
_HEXADECIMAL = re.compile(r"0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NOT_A_NUMBER = frozenset({".nan", ".NaN", ".NAN"})

# Longer digit strings are text: no number type here holds them, and Python refuses to read them as a number.
_MOST_DIGITS = 400


def resolve_plain(raw: str) -> Scalar:
    """The value of an unquoted scalar; everything that the core schema does not name is text."""
    if raw in _NULLS:
        return None
    if raw in _BOOLS:
        return _BOOLS[raw]
    if len(raw) > _MOST_DIGITS or not (raw[0].isdigit() or raw[0] in "-+."):
        return raw
    number = _resolve_number(raw)
    return raw if number is None else number


def _resolve_number(raw: str) -> int | float | None:
    if _DECIMAL.fullmatch(raw):
        return int(raw)
    if match := _OCTAL.fullmatch(raw):
        return int(match[1], 8)
    if match := _HEXADECIMAL.fullmatch(raw):
        return int(match[1], 16)
    if _FLOAT.fullmatch(raw):
        return float(raw)
    if match := _INFINITE.fullmatch(raw):
        return float(match[1] + "inf")
    return float("nan") if raw in _NOT_A_NUMBER else None
