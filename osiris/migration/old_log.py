"""Reading the files of an old session: any line may be torn, binary or of another shape, and none is followed away.

The old format was one JSON object a line, with ``ts`` and ``event`` (``events.jsonl``) or ``metric``
(``metrics.jsonl``) and whatever else its writer knew. It was never specified, so nothing here relies on more than that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from osiris.errors import disk_error
from osiris.redaction import MASK, Redactor, is_secret_key, secret_shape

LONGEST_LINE_BYTES = 16 << 20
_LARGEST_NUMBER = 2**53
_TIME_KEYS = ("ts", "timestamp", "at", "time")
_DEEPEST = 40
_YEARS = range(2000, 2200)
_scrub = Redactor().scrub

Fields = Mapping[str, object]


class OldLine(NamedTuple):
    """One line, numbered from 1; ``fields`` is None where it is no JSON object. ``raw`` is its bytes."""

    number: int
    raw: bytes
    fields: Fields | None


def is_plain_file(path: Path) -> bool:
    """Whether there is a file that is no link: links in an old tree are never followed."""
    return path.is_file() and not path.is_symlink()


def read_lines(path: Path) -> Iterator[OldLine]:
    """The lines of ``path``, blank ones left out; none where it is no plain file. Exit 7 where the disk fails."""
    if not is_plain_file(path):
        return
    number, continued = 1, False
    try:
        with path.open("rb") as file:
            while raw := file.readline(LONGEST_LINE_BYTES):
                whole = raw.endswith(b"\n") or len(raw) < LONGEST_LINE_BYTES
                if raw.strip():
                    yield OldLine(number, raw, None if continued or not whole else _fields(raw))
                continued = not whole
                number += whole
    except OSError as cause:
        raise disk_error("read", path, cause) from cause


def _fields(raw: bytes) -> Fields | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def time_of(fields: Fields) -> datetime | None:
    """When it was written, in UTC: a text without a zone counts as UTC, a number as seconds since 1970.

    What is no time that a log of Osiris could have is none.
    """
    for key in _TIME_KEYS:
        value = fields.get(key)
        try:
            if isinstance(value, str):
                moment = datetime.fromisoformat(value)
                moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                moment = datetime.fromtimestamp(value, UTC)
            else:
                continue
        except (ValueError, OverflowError, OSError):
            continue
        if moment.year in _YEARS:
            return moment
    return None


def text_of(fields: Fields, *keys: str) -> str:
    """The first of ``keys`` that holds a text with something in it; ``""`` where none does."""
    for key in keys:
        value = fields.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def number_of(fields: Fields, *keys: str) -> float | None:
    """The first of ``keys`` that holds a finite number from 0 to 2**53; None where none does."""
    for key in keys:
        value = fields.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value) if abs(value) <= _LARGEST_NUMBER else math.inf
            if math.isfinite(number) and number >= 0:
                return number
    return None


def count_of(fields: Fields, *keys: str) -> int | None:
    """As :func:`number_of`, for a number of rows."""
    number = number_of(fields, *keys)
    return None if number is None else int(number)


def duration_ms_of(fields: Fields) -> int | None:
    """``duration_ms``, or ``duration`` and its kin in seconds."""
    milliseconds = number_of(fields, "duration_ms")
    if milliseconds is not None:
        return int(milliseconds)
    seconds = number_of(fields, "duration", "duration_s", "duration_seconds", "elapsed")
    return None if seconds is None else int(seconds * 1000)


def cleaned(value: object, depth: int = 0) -> object:
    """``value`` without secrets: those under a key that names one, and those that a text shows by its shape."""
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, str):
        return cleaned_text(value)
    if isinstance(value, dict):
        return {
            key: MASK if is_secret_key(key) and item not in (None, "", MASK) else cleaned(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [cleaned(item, depth + 1) for item in value]
    return value


def cleaned_text(text: str) -> str:
    """``text`` without the password of a DSN; nothing of it where it still looks as if it held a secret."""
    scrubbed = _scrub(text)
    return MASK if secret_shape(scrubbed.replace(MASK, "${MASKED}")) else scrubbed


def is_cleaned(fields: Fields) -> bool:
    """Whether cleaning changes ``fields``: there is a secret in them."""
    return cleaned(dict(fields)) != fields
