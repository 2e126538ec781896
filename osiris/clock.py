"""The only source of "now" and of ids made from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time; tests bring their own."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """``2026-11-21T00:40:01.123456Z``: always UTC, always six decimals, so that texts sort as times do."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The inverse of :func:`rfc3339`; raises ``ValueError`` on anything else."""
    moment = datetime.fromisoformat(text)  # a tenth of what ``strptime`` costs, which also imports the locales
    if rfc3339(moment) != text:
        raise ValueError(f"not a time as the journal writes it: {text!r}")
    return moment


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return int(moment.timestamp() * 1000)


def next_ulid(moment: datetime, after: str = "") -> str:
    """A new ULID for ``moment`` that sorts behind ``after``, also when the clock went back or stood still.

    python-ulid alone increases only within one process and one millisecond, and follows the clock back.
    """
    from ulid import ULID  # noqa: PLC0415 - costs 40 ms of start-up, and reading verbs never need it

    fresh = ULID.from_timestamp(epoch_ms(moment))
    text = str(fresh)
    if text > after:
        return text
    return str(ULID.from_int(int(ULID.from_str(after)) + 1))
