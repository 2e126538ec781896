"""What every event is."""

from __future__ import annotations

import re

import msgspec

TAG_RULE = re.compile(r"[a-z]+(\.[a-z]+(_[a-z]+)*)+")
"""A tag is ``family.past_tense``: ``run.finished``. Its meaning never changes once it is released: a new shape gets a
new tag, or a field with a default."""


class EventBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact in the past tense.

    Subclasses repeat ``frozen=True, kw_only=True`` and name their ``tag``. Unknown fields are ignored when read, so a
    newer Osiris may add fields with defaults. Times are RFC 3339 texts as :func:`osiris.clock.rfc3339` writes them.
    ``idempotency_key`` is the caller's: an event whose key has been recorded before is not recorded again.
    """

    idempotency_key: str | msgspec.UnsetType = msgspec.UNSET


class OldShape(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The shape of an event that is no longer written: subclasses have the old ``tag`` and fields.

    Journals keep it for ever, so it is kept here as well, with a golden line of it.
    """

    def upcast(self) -> EventBase:
        """The event of today that says the same."""
        raise NotImplementedError
