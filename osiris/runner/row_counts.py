"""How many rows each step took and gave, from what DuckDB counted while the one statement of a stage ran.

A count is exact or it is None. An extractor's rows are those of its source: a scan that was cut short counts for
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from osiris.components.base import Produced

_FILES_SHOWN = 5


class Operator(msgspec.Struct):
    """One operator of DuckDB's profile, as 2.0 or as 1.5 spells it."""

    type: str = ""
    operator_type: str = ""
    extra_info: dict[str, str | list[str]] = {}
    intermediate_rows: int = 0
    operator_cardinality: int = 0
    children: list[Operator] = []

    @property
    def kind(self) -> str:
        """Such as ``TABLE_SCAN`` or ``HASH_JOIN``."""
        return self.type or self.operator_type

    @property
    def rows(self) -> int:
        """What the operator handed on."""
        return self.intermediate_rows or self.operator_cardinality


class Profile(msgspec.Struct):
    """The operators of one statement, from the top."""

    operator: list[Operator] = []
    children: list[Operator] = []


class Scan(msgspec.Struct, frozen=True):
    """One scan: what function read which files (as far as the profile shows them), and its rows if all were read."""

    function: str
    files: str
    rows: int | None


def read_scans(profile: str) -> list[Scan]:
    """The scans in a profile as DuckDB gives it in JSON."""
    parsed = msgspec.json.decode(profile, type=Profile)
    return [scan for top in parsed.operator or parsed.children for scan in _scans(top, cut_short=False)]


def source_rows(produced: Produced, scans: Sequence[Scan]) -> int | None:
    """The rows that an extractor gave, if they can be known exactly.

    Two scans of the same files cannot be told apart, and need not be if they agree.
    """
    if produced.row_count is not None:
        return produced.row_count
    if produced.files:
        shown = ", ".join(produced.files[:_FILES_SHOWN]) + (", ..." if len(produced.files) > _FILES_SHOWN else "")
        counts = {scan.rows for scan in scans if scan.files == shown}
    elif not is_relation(produced):
        counts = {scan.rows for scan in scans if "ARROW_SCAN" in scan.function}
    else:
        return None
    return counts.pop() if len(counts) == 1 else None


def is_relation(produced: Produced) -> bool:
    """Whether its rows are a DuckDB relation, and not a stream that can be read once."""
    return hasattr(produced.rows, "create_view")


def rows_in(inputs: Mapping[str, str], rows_out: Mapping[str, int | None]) -> int | None:
    """The sum of what the inputs gave; None if one of them is not known, or if there are none."""
    counts = [rows_out.get(producer) for producer in sorted(set(inputs.values()))]
    known = [count for count in counts if count is not None]
    return sum(known) if counts and len(known) == len(counts) else None


def _scans(operator: Operator, *, cut_short: bool) -> Iterator[Scan]:
    """``cut_short``: something above may have stopped reading before the end.

    That is a limit, or a join that saw one side empty and then gave nothing.
    """
    if operator.kind == "TABLE_SCAN":
        function, files = (operator.extra_info.get(key, "") for key in ("Function", "Filename(s)"))
        filtered = not {"Filters", "File Filters"}.isdisjoint(operator.extra_info)
        yield Scan(_text(function), _text(files), None if cut_short or filtered else operator.rows)
    cut_below = cut_short or _stops_early(operator)
    for place, child in enumerate(operator.children):
        # Rows that are computed once are read only as far as those want who stand beside them.
        readers = operator.children[1:] if operator.kind == "CTE" and place == 0 else []
        yield from _scans(child, cut_short=cut_below or any(map(_stops_early_somewhere, readers)))


def _stops_early(operator: Operator) -> bool:
    return "LIMIT" in operator.kind or ("JOIN" in operator.kind and not operator.rows)


def _stops_early_somewhere(operator: Operator) -> bool:
    return _stops_early(operator) or any(map(_stops_early_somewhere, operator.children))


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
