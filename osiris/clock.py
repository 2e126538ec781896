"""The only source of "now" and of ids made from it."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from osiris.forks import undivided

if TYPE_CHECKING:
    from ulid import ULID


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
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The inverse of :func:`rfc3339`; raises ``ValueError`` on anything else."""
    moment = datetime.fromisoformat(text)  # a tenth of what ``strptime`` costs, which also imports the locales
    if rfc3339(moment) != text:
        raise ValueError(f"not a time as the journal writes it: {text!r}")
    return moment


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return int(moment.timestamp() * 1000)


@functools.cache
def _ulid_type() -> type[ULID]:
    with undivided:
        from ulid import ULID  # noqa: PLC0415 - costs 3 ms of start-up, and reading verbs never need it

    return ULID


def next_ulid(moment: datetime, after: str = "") -> str:
    """A new ULID for ``moment`` that sorts behind ``after``, also when the clock went back or stood still.

    python-ulid alone increases only within one process and one millisecond, and follows the clock back.
    """
    ULID = _ulid_type()  # noqa: N806 - the class
    with undivided:  # python-ulid has a lock of its own
        text = str(ULID.from_timestamp(epoch_ms(moment)))
    if text > after:
        return text
    return str(ULID.from_int(int(ULID.from_str(after)) + 1))
