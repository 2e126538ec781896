"""All event types: one union, to which a new family is added here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union, cast, get_args

import msgspec

from osiris.events.base import EventBase, OldShape
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


OLD_SHAPES: tuple[type[OldShape], ...] = ()
"""Shapes that are no longer written, each with the tag that it had; there is none yet."""


class _Tagged(msgspec.Struct):
    type: str


encode_event = msgspec.json.Encoder().encode
_decode_tag = msgspec.json.Decoder(_Tagged).decode


def event_decoder(old_shapes: tuple[type[OldShape], ...]) -> Callable[[bytes], Event | UnknownEvent]:
    """A decoder of events as they are now and as they were: an old shape comes back as what it has become.

    It raises ``ValueError`` where the bytes are no event, or a known one of an impossible shape.
    """
    known = {*EVENT_TYPES, *(str(shape.__struct_config__.tag) for shape in old_shapes)}
    decode_known = msgspec.json.Decoder(Union[(Event, *old_shapes)]).decode

    def decode(raw: bytes) -> Event | UnknownEvent:
        try:
            event: Event | OldShape = decode_known(raw)
        except msgspec.ValidationError:
            tag = _decode_tag(raw).type
            if tag in known:
                raise
            return UnknownEvent(type=tag, raw=raw)
        return cast("Event", event.upcast()) if isinstance(event, OldShape) else event

    return decode


decode_event = event_decoder(OLD_SHAPES)
