"""Small notations inside OML texts: durations, version specifiers, references to a step's rows."""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.(post|dev)[0-9]+)*"
_SPECIFIER = re.compile(rf"\s*((~=|<=|>=|<|>)\s*{_VERSION}|(==|!=)\s*{_VERSION}(\.\*)?)\s*")
_ROWS = re.compile(r"\$\{\s*([^{}.\s]+)\.df\s*\}")


def parse_duration(text: str) -> int | None:
    """``500ms``, ``30s``, ``10m``, ``1h`` in milliseconds; None where it is none of these, or zero."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNIT_MS[match[2]] or None if match else None


def is_package_name(text: str) -> bool:
    """Whether ``text`` can be the name of a Python package."""
    return bool(_PACKAGE.fullmatch(text))


def is_version_specifier(text: str) -> bool:
    """Whether ``text`` is one version specifier or several with commas between: ``>=1.1,<2``."""
    return all(_SPECIFIER.fullmatch(part) for part in text.split(","))


def parse_rows_reference(text: str) -> str | None:
    """The step id in ``${step-id.df}``, or None where it is something else."""
    match = _ROWS.fullmatch(text)
    return match[1] if match else None
