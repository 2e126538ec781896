"""The table ``counters`` of ``counters.sqlite``: the last run number of each pipeline."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from osiris.events.entry import Entry
from osiris.events.recovery import JournalRepaired
from osiris.events.runs import RunStarted
from osiris.projections.base import Change, Projection, SetCounter


class CountersState(msgspec.Struct, kw_only=True):
    """Last run number by pipeline slug."""

    last_value: dict[str, int] = {}


def count(state: CountersState, event: RunStarted, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Count a run that started."""
    state.last_value[event.pipeline_slug] = event.number
    return (SetCounter(event.pipeline_slug, event.number, event.started_at),)


def count_what_was_cut(state: CountersState, event: JournalRepaired, entry: Entry) -> Sequence[Change]:  # noqa: ARG001
    """Give no number again that a run had whose entries a repair cut."""
    state.last_value.update(event.last_run_numbers)
    return [SetCounter(slug, number, event.repaired_at) for slug, number in event.last_run_numbers.items()]


COUNTERS = Projection("counters", CountersState, {RunStarted: count, JournalRepaired: count_what_was_cut})
