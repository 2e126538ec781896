"""How the start of a run is spelled in folder names, the same on every machine, whatever its locale."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from osiris.clock import epoch_ms
from osiris.config import is_run_ts_format

_ISO_BASIC = "%Y%m%dT%H%M%SZ"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NOT_SAFE = re.compile(r"[^A-Za-z0-9_.+-]+")
_DIRECTIVE = re.compile(r"%(.)")
# strftime would ask the locale for these, or leave them to the C library.
_OWN: dict[str, Callable[[datetime], str]] = {
    "a": lambda moment: _DAYS[moment.weekday()][:3],
    "A": lambda moment: _DAYS[moment.weekday()],
    "b": lambda moment: _MONTHS[moment.month - 1][:3],
    "B": lambda moment: _MONTHS[moment.month - 1],
    "p": lambda moment: "AM" if moment.hour < 12 else "PM",
    "Y": lambda moment: f"{moment.year:04d}",
    "F": lambda moment: moment.date().isoformat(),
    "R": lambda moment: f"{moment:%H:%M}",
    "T": lambda moment: f"{moment:%H:%M:%S}",
    "s": lambda moment: str(epoch_ms(moment) // 1000),
    "z": lambda _: "+0000",
    "Z": lambda _: "UTC",
    "%": lambda _: "%",
}


def render_run_ts(moment: datetime, run_ts_format: str) -> str:
    """The start of a run: ``iso_basic_z``, ``epoch_ms`` or a strftime pattern, in UTC.

    An unknown format is ``iso_basic_z``, and so is a pattern of which nothing is left that can stand in a name.
    """
    moment = moment.astimezone(UTC)
    if run_ts_format == "epoch_ms":
        return str(epoch_ms(moment))
    pattern = run_ts_format if "%" in run_ts_format and is_run_ts_format(run_ts_format) else _ISO_BASIC
    return _spelled(moment, pattern) or _spelled(moment, _ISO_BASIC)


def _spelled(moment: datetime, pattern: str) -> str:
    def value(directive: re.Match[str]) -> str:
        own = _OWN.get(directive[1])
        return own(moment) if own else moment.strftime(directive[0])

    return _NOT_SAFE.sub("-", _DIRECTIVE.sub(value, pattern)).strip(".-")
