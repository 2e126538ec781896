"""The table ``counters`` of ``counters.sqlite``: the last run number of each pipeline."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from osiris.events.entry import Entry
from osiris.events.runs import RunStarted
from osiris.projections.base import Change, Projection, SetCounter


class CountersState(msgspec.Struct, kw_only=True):
    """Last run number by pipeline slug."""

    last_value: dict[str, int] = {}


def apply(state: CountersState, entry: Entry) -> Sequence[Change]:
    """Count a run that started."""
    match entry.event:
        case RunStarted(pipeline_slug=slug, number=number, started_at=started_at):
            state.last_value[slug] = number
            return (SetCounter(slug, number, started_at),)
        case _:
            return ()


COUNTERS = Projection("counters", CountersState, apply)
