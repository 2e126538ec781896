"""Times, durations, sizes and shares as a person reads them on the page."""

from __future__ import annotations

from datetime import UTC, datetime

from osiris.cli.output import duration
from osiris.clock import parse_rfc3339

_HOUR_MS = 3_600_000
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def moment(written: str | None) -> datetime | None:
    """The time that a file states; None where it states none, or nothing that is one."""
    try:
        return parse_rfc3339(written) if written else None
    except ValueError:
        return None


def local(at: datetime) -> str:
    """``2026-11-21 09:36:23 UTC+01:00``: local time, with the distance from UTC, for names of zones are ambiguous."""
    here = at.astimezone()
    offset = here.strftime("%z")
    zone = "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{here:%Y-%m-%d %H:%M:%S} {zone}"


def in_utc(at: datetime) -> str:
    """``2026-11-21 08:36:23.768 UTC``."""
    return f"{at.astimezone(UTC).isoformat(' ', 'milliseconds')[:23]} UTC"


def length(milliseconds: float | None) -> str:
    """``640 ms``, ``12.3 s``, ``4 min 05 s``, ``5 h 07 min``; ``-`` where it is not known."""
    if milliseconds is None:
        return "-"
    whole = round(milliseconds)
    return duration(whole) if whole < _HOUR_MS else f"{whole // _HOUR_MS:,} h {whole // 60_000 % 60:02d} min"


def size(count: int) -> str:
    """``17.2 KB``: bytes in units of a thousand."""
    amount, unit = float(count), 0
    while amount >= 999.95 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:,.1f} {_UNITS[unit]}" if unit else f"{count} byte{'' if count == 1 else 's'}"


def signed(number: int) -> str:
    """``+1,234``, or a minus sign that is as wide as a digit."""
    return f"{number:+,}".replace("-", "\N{MINUS SIGN}")


def share(difference: int, before: int) -> str:
    """``+3.2 %``; "" where there was nothing before to be a share of."""
    if not before:
        return ""
    percent = 100 * difference / before
    if 0 < abs(percent) < 0.05:
        return "less than 0.1 %"
    return f"{percent:+,.1f} %".replace("-", "\N{MINUS SIGN}")


def plural(count: int, noun: str) -> str:
    """``1 step``, ``2 steps``, ``1 try``, ``2 tries``."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"
