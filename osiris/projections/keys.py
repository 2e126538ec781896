"""The table ``idempotency_keys``: which entries were recorded with a key of the caller's, so that none comes twice."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from osiris.events.base import EventBase
from osiris.events.catalog import EVENT_TYPES
from osiris.events.entry import Entry
from osiris.projections.base import Change, Projection, SetKey


class KeysState(msgspec.Struct, kw_only=True):
    """Nothing: the table is looked up by key."""


def remember(state: KeysState, event: EventBase, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Remember the key of an event that has one."""
    key = event.idempotency_key
    return () if key is msgspec.UNSET else (SetKey(key, entry.seq, entry.hash),)


KEYS = Projection("keys", KeysState, dict.fromkeys(EVENT_TYPES.values(), remember))
