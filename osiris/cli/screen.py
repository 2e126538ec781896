"""What fits on a person's screen: tables as wide as the terminal, short names of runs, sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import click

from osiris.cli.output import Output
from osiris.projections.runs import run_key

_GAP = 2
_NUMBERED = re.compile(r"(run-0[0-9]{5})_.+")
_UNITS = ("kB", "MB", "GB", "TB")
_THOUSAND = 1000


class Column(NamedTuple):
    """One column of a table on a terminal.

    Where there is no room, columns go, those with the greatest ``rank`` first; 0 stays. Before one goes, cells are
    shortened down to ``least`` characters, where that is not 0 and is enough.
    """

    name: str
    cells: Sequence[str]
    rank: int = 0
    least: int = 0

    @property
    def width(self) -> int:
        """The widest cell's, in characters."""
        return max(map(len, map(click.unstyle, (self.name, *self.cells))))


def fitted_table(columns: Sequence[Column], output: Output, *, indent: int = 0) -> list[str]:
    """An aligned table that fits the terminal as far as it can, without columns that say nothing; whole elsewhere."""
    if not output.on_terminal:
        return _table(columns, output)
    kept = [column for column in columns if not column.rank or any(cell not in ("", "-") for cell in column.cells)]
    while (over := indent + _width(kept) - output.columns) > 0:
        if over <= sum(map(_slack, kept)):
            kept = _shortened(kept, over)
            break
        last = max(kept, key=lambda column: column.rank)
        if not last.rank:
            break
        kept.remove(last)
    return _table(kept, output)


def short_run_name(slug: str, run_id: str) -> str:
    """``orders/run-000012``: the shortest name that is sure to mean this run only, now and later.

    A pipeline gives each number once, so the id's beginning up to its six-digit number is enough; other ids stay whole.
    """
    numbered = _NUMBERED.fullmatch(run_id)  # run-123456 may be the beginning of run-1234567 one day
    return run_key(slug, numbered[1] if numbered else run_id)


def size(number: int) -> str:
    """``850 B``, ``1.2 kB``, ``3.4 MB``: bytes, in powers of a thousand."""
    if number < _THOUSAND:
        return f"{number} B"
    power = 1
    while number / _THOUSAND**power >= _THOUSAND - 0.05 and power < len(_UNITS):
        power += 1
    return f"{number / _THOUSAND**power:,.1f} {_UNITS[power - 1]}"


def _table(columns: Sequence[Column], output: Output) -> list[str]:
    rows = zip(*(column.cells for column in columns), strict=True)
    return output.table([column.name for column in columns], list(rows))


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _slack(column: Column) -> int:
    return max(0, column.width - max(column.least, len(column.name))) if column.least else 0


def _shortened(columns: Sequence[Column], over: int) -> list[Column]:
    shortened = []
    for column in columns:
        cut = min(over, _slack(column))
        over -= cut
        room = column.width - cut
        shortened.append(column._replace(cells=[_cut(cell, room) for cell in column.cells]) if cut else column)
    return shortened


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"
