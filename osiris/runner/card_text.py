"""Texts for a card: from outside made harmless, numbers with their evidence, and sections that stay in their bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from osiris.runner.evidence import Value

_LONGEST_TEXT = 2_000
_LONGEST_CODE = 200
_CONTROLS = {ord(text): " " for text in (*map(chr, range(0x20)), "\x7f", "\x85", "\u2028", "\u2029") if text != "\n"}
_MARKS = re.compile(r"([\\<\[\]*_#|])")


def plain(text: str) -> str:
    """A text from outside in the middle of a line: one line, bounded, and without a meaning in Markdown."""
    return _MARKS.sub(r"\\\1", _shortened(" ".join(_clean(text).split()), _LONGEST_TEXT)).replace("`", "'")


def code(text: object) -> str:
    """A name or value from outside as code in the middle of a line, bounded."""
    return f"`{_shortened(' '.join(_clean(str(text)).split()), _LONGEST_CODE).replace('`', chr(39))}`"


def quoted(text: str) -> Iterator[str]:
    """A text from outside as a block of its own, with its lines as they are, bounded."""
    yield "```text"
    yield from (line.rstrip().replace("```", "'''") for line in _shortened(_clean(text), _LONGEST_TEXT).split("\n"))
    yield "```"


def bounded(lines: Iterable[str], limit_bytes: int, rest: str) -> Iterator[str]:
    """As many of ``lines`` as ``limit_bytes`` hold; ``rest`` is said in place of all others."""
    for line in lines:
        limit_bytes -= len(line.encode()) + 1
        if limit_bytes < 0:
            yield rest
            return
        yield line


def listed(names: Sequence[str], most: int = 20) -> str:
    """``a, b and c``; of a long list the beginning and how it goes on."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and others"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


class Citations:
    """Numbers with the id of their evidence behind them, so that none can be told without."""

    def __init__(self, evidence: dict[str, Value]) -> None:
        self._evidence = evidence

    def number(self, evidence_id: str, unit: str = "") -> str:
        """``1,234 rows [run.rows_in]``; "" where there is no such evidence."""
        value = self._evidence.get(evidence_id)
        if not isinstance(value, int):
            return ""
        word = unit.removesuffix("s") if value == 1 and unit not in ("ms", "bytes") else unit
        return f"{value:,}{' ' if word else ''}{word} [{evidence_id}]"

    def change(self, before_id: str, after_id: str, unit: str) -> str:
        """``from 3 [previous.rows_in] to 4 rows [run.rows_in]``; "" where one side is not known or they are equal."""
        before, after = self._evidence.get(before_id), self._evidence.get(after_id)
        if before is None or after is None or before == after:
            return ""
        return f"from {self.number(before_id)} to {self.number(after_id, unit)}"


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().translate(_CONTROLS)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
