"""From events to the lines of new entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from osiris.clock import next_ulid, rfc3339
from osiris.errors import OsirisError
from osiris.events.catalog import Event, encode_event
from osiris.events.entry import MAX_ENTRY_BYTES, MAX_EVENT_BYTES, Entry, seal
from osiris.events.segment import Position

Encoded = tuple[Event, bytes]
"""An event and its JSON, which has been found fit for an entry."""


def encoded(event: Event) -> bytes:
    """The event's JSON; an error where it cannot stand in an entry, before anything is locked or written."""
    try:
        content = encode_event(event)
    except UnicodeEncodeError as cause:
        raise OsirisError(
            f"a text in {type(event).__name__} cannot be written as UTF-8: {cause.reason}",
            "Remove the lone surrogate from that text; nothing was recorded.",
            code="journal.not_utf8",
        ) from cause
    if len(content) > MAX_EVENT_BYTES:
        raise OsirisError(
            f"an event of {len(content):,} bytes is too large: it may have {MAX_EVENT_BYTES:,}, so that an entry has "
            f"at most {MAX_ENTRY_BYTES:,}",
            "Shorten the texts that it carries; nothing was recorded.",
            code="journal.entry_too_large",
        )
    return content


def seal_all(events: Sequence[Encoded], after: Position, moment: datetime) -> tuple[list[Entry], bytes]:
    """The entries of ``events`` behind ``after``, and their lines."""
    at = rfc3339(moment)
    seq, ulid, prev = after.seq, after.id, after.hash
    entries: list[Entry] = []
    lines: list[bytes] = []
    for event, content in events:
        seq, ulid = seq + 1, next_ulid(moment, after=ulid)
        line, digest = seal(seq, ulid, at, prev, content)
        entries.append(Entry(seq, ulid, at, prev, digest, event))
        lines.append(line)
        prev = digest
    return entries, b"".join(lines)
