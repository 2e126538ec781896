"""Binding of single scalars: text, numbers, true or false, and words from a fixed set."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable

import msgspec
from msgspec import inspect as kinds

from osiris.documents.nodes import Entry, Node
from osiris.documents.wording import described, joined, last_key, listed, shown, suggest
from osiris.errors import Finding

_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**63 - 1
_DEFAULT_HINT = "Correct the value at that place."
_MOST_HINTED = 500  # nobody reads near misses after so many findings
_BOOL_WORDS = frozenset({"yes", "no", "on", "off", "y", "n", "0", "1"})


class Report(msgspec.Struct, frozen=True):
    """Where findings go: ``path`` is the file's name; ``unknown`` takes the keys that a Struct tolerates."""

    path: str
    findings: list[Finding]
    unknown: list[Finding] | None = None

    def add(self, place: Node | Entry, at: str, problem: str, hint: str = "") -> None:
        """One finding at ``place`` about the value at the dotted path ``at``."""
        text = f"{at}: {problem}" if at else problem
        self.findings.append(Finding(text, hint or _DEFAULT_HINT, self.path, place.line, place.column))

    def expected(self, node: Node, at: str, what: str, hint: str = "") -> None:
        """The finding that says what was wanted and what stands there."""
        self.add(node, at, f"expected {what}, got {described(node)}", hint)

    def near(self, word: str, allowed: Collection[str], otherwise: str) -> str:
        """A hint for a word that is not ``allowed``: the near miss, or ``otherwise``, a colon and what is allowed."""
        close = suggest(word, allowed) if len(self.findings) < _MOST_HINTED else ""
        return close or f"{otherwise}: {listed(allowed) or 'none'}."


def bind_text(node: Node, kind: kinds.StrType, at: str, report: Report) -> str | None:
    """Text; an unquoted scalar counts as it is written (``no``, ``1.10``, ``00501``), but null does not."""
    if node.kind != "scalar":
        hint = "Write one text." if node.kind == "list" else "Put a text that begins with { in quotes."
        report.expected(node, at, "text", hint)
        return None
    if node.is_null:
        hint = "Give it a value." if node.is_empty else f'Write "{node.raw}" in quotes if the word itself is meant.'
        report.expected(node, at, "text", hint)
        return None
    return (
        node.raw if _length_fits(node, len(node.raw), kind, at, report) and _matches(node, kind, at, report) else None
    )


def bind_bool(node: Node, _kind: kinds.BoolType, at: str, report: Report) -> bool | None:
    """``true`` or ``false``, unquoted."""
    if isinstance(node.value, bool):
        return node.value
    hint = "Write true or false, without quotes." if node.raw.lower() in {*_BOOL_WORDS, "true", "false"} else ""
    report.expected(node, at, "true or false", hint)
    return None


def bind_int(node: Node, kind: kinds.IntType, at: str, report: Report) -> int | None:
    """A whole number of 64 bits."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int):
        report.expected(node, at, "a whole number", _number_hint(node))
        return None
    return value if _representable(node, value, at, report) and _within(node, value, kind, at, report) else None


def bind_float(node: Node, kind: kinds.FloatType, at: str, report: Report) -> float | None:
    """A finite number, whole or not."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        report.expected(node, at, "a number", _number_hint(node))
        return None
    return float(value) if _representable(node, value, at, report) and _within(node, value, kind, at, report) else None


def bind_null(node: Node, _kind: kinds.NoneType, at: str, report: Report) -> None:
    """Null and nothing else."""
    if not node.is_null:
        report.expected(node, at, "null", "Leave the key out.")


def bind_choice(node: Node, choices: Iterable[object], at: str, report: Report) -> object:
    """One of ``choices``; a text among them also matches an unquoted scalar as it is written (``off``)."""
    allowed = list(choices)
    found, value = match_choice(node, allowed)
    if found:
        return value
    words = [choice for choice in allowed if isinstance(choice, str)]
    allowed_words = ", ".join(str(choice) if choice is not None else "null" for choice in allowed)
    if node.kind != "scalar" or node.is_null:
        report.expected(node, at, f"one of: {allowed_words}")
        return None
    hint = suggest(node.raw, words) or "Write one of these."
    report.add(node, at, f"{shown(node.raw, last_key(at))} is not one of: {allowed_words}", hint)
    return None


def match_choice(node: Node, choices: Iterable[object]) -> tuple[bool, object]:
    """Whether the scalar is one of ``choices``, and which; 1, 1.0 and true are three different things."""
    if node.kind != "scalar":
        return False, None
    for choice in choices:
        if type(choice) is type(node.value) and choice == node.value:
            return True, choice
    for choice in choices:
        if isinstance(choice, str) and choice == node.raw and not node.is_null:
            return True, choice
    return False, None


def check_numbers(node: Node, at: str, report: Report) -> None:
    """A finding for each number below ``node`` that JSON cannot carry from one program to another."""
    for entry in node.entries:
        check_numbers(entry.value, joined(at, entry.key), report)
    for place, item in enumerate(node.items):
        check_numbers(item, f"{at}[{place}]", report)
    if isinstance(node.value, int | float):
        _representable(node, node.value, at, report)


def _representable(node: Node, value: float, at: str, report: Report) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        report.add(node, at, "the number is not finite", "Write a finite number, or quote it as text.")
        return False
    if isinstance(value, int) and not _SMALLEST_INT <= value <= _LARGEST_INT:
        report.add(node, at, "the number does not fit into 64 bits", "Write a smaller number, or quote it as text.")
        return False
    return True


def _number_hint(node: Node) -> str:
    looks_like_number = re.fullmatch(r"[-+]?[0-9.]+", node.raw)
    return "Take the quotes away." if looks_like_number and not node.plain else ""


def _within(node: Node, value: float, kind: kinds.IntType | kinds.FloatType, at: str, report: Report) -> bool:
    limits = (
        (kind.ge, "at least", kind.ge is None or value >= kind.ge),
        (kind.gt, "more than", kind.gt is None or value > kind.gt),
        (kind.le, "at most", kind.le is None or value <= kind.le),
        (kind.lt, "less than", kind.lt is None or value < kind.lt),
        (kind.multiple_of, "a multiple of", kind.multiple_of is None or value % kind.multiple_of == 0),
    )
    for limit, words, holds in limits:
        if not holds:
            report.add(node, at, f"must be {words} {limit}")
            return False
    return True


def _length_fits(node: Node, length: int, kind: kinds.StrType, at: str, report: Report) -> bool:
    if kind.min_length is not None and length < kind.min_length:
        needed = "must not be empty" if kind.min_length == 1 else f"must have at least {kind.min_length} characters"
        report.add(node, at, needed)
        return False
    if kind.max_length is not None and length > kind.max_length:
        report.add(node, at, f"must have at most {kind.max_length} characters, has {length}")
        return False
    return True


def _matches(node: Node, kind: kinds.StrType, at: str, report: Report) -> bool:
    if kind.pattern is None or re.search(kind.pattern, node.raw):
        return True
    report.add(node, at, f"must match the pattern {kind.pattern}")
    return False
