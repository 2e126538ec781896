"""All event types: one union, to which a new family is added here and nowhere else."""

from __future__ import annotations

from typing import get_args

import msgspec

from osiris.events.base import EventBase
from osiris.events.recovery import RecoveryEvent
from osiris.events.retention import RetentionEvent
from osiris.events.runs import RunEvent

Event = RunEvent | RetentionEvent | RecoveryEvent


class UnknownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a type that this version does not know: written by a newer Osiris, and never dropped."""

    type: str
    raw: bytes


EVENT_TYPES: dict[str, type[EventBase]] = {str(event.__struct_config__.tag): event for event in get_args(Event)}
"""Every tag that this version knows."""


class _Tagged(msgspec.Struct):
    type: str


_decode_event = msgspec.json.Decoder(Event).decode
_decode_tag = msgspec.json.Decoder(_Tagged).decode
encode_event = msgspec.json.Encoder().encode


def decode_event(raw: bytes | memoryview) -> Event | UnknownEvent:
    """The event in ``raw`` JSON; raises ``ValueError`` where it is no event, or a known one of an impossible shape."""
    try:
        event: Event = _decode_event(raw)
    except msgspec.ValidationError:
        tag = _decode_tag(raw).type
        if tag in EVENT_TYPES:
            raise
        return UnknownEvent(type=tag, raw=bytes(raw))
    return event
