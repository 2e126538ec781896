"""All projections, folded together: the states, how far they got, and what one more entry changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from osiris.errors import ExitCode, OsirisError
from osiris.events.catalog import EVENT_TYPES, UnknownEvent
from osiris.events.entry import Entry
from osiris.projections import PROJECTIONS
from osiris.projections.base import Change, Projection, Step

_State = TypeVar("_State", bound=msgspec.Struct)
_encode = msgspec.json.Encoder().encode


class Fold:
    """The states of all projections behind some entry: by default those before the first.

    ``unknown`` counts, by type, the events of a newer Osiris that were passed over.
    """

    def __init__(self, states: dict[str, msgspec.Struct] | None = None, unknown: dict[str, int] | None = None) -> None:
        self._states = states or {projection.name: projection.state_type() for projection in PROJECTIONS}
        self.unknown = unknown or {}
        self._steps: dict[type, list[tuple[Step, object]]] = {UnknownEvent: [(_pass_over, self.unknown)]}
        for projection in PROJECTIONS:
            for event_type, step in projection.steps.items():
                self._steps.setdefault(event_type, []).append((step, self._states[projection.name]))

    def state(self, projection: Projection, state_type: type[_State]) -> _State:
        """The state of one projection, typed."""
        state = self._states[projection.name]
        if not isinstance(state, state_type):
            raise TypeError(f"{projection.name} keeps a {type(state).__name__}")
        return state

    def advance(self, entry: Entry) -> list[Change]:
        """Fold one more entry and return what it changes in the index, in order."""
        event = entry.event
        return [change for step, state in self._steps.get(type(event), ()) for change in step(state, event, entry)]

    def run(self, entries: Iterable[Entry], sink: Callable[[Change], None]) -> None:
        """Fold all ``entries`` and hand every change to ``sink``."""
        steps_of = self._steps.get
        for entry in entries:
            event = entry.event
            for step, state in steps_of(type(event), ()):
                for change in step(state, event, entry):
                    sink(change)

    def refuse_newer(self) -> None:
        """Exit 8 where a newer Osiris wrote to this journal: what its events mean is not known here."""
        if self.unknown:
            raise newer_osiris(self.unknown)

    def dump(self) -> dict[str, str]:
        """The states as JSON texts by projection, and what is unknown under ``unknown``."""
        states = {name: _encode(state).decode() for name, state in self._states.items()}
        return {**states, "unknown": _encode(self.unknown).decode()}


def newer_osiris(types: Iterable[str]) -> OsirisError:
    """Exit 8: events of these ``types`` are in the journal."""
    return OsirisError(
        f"the journal has events that this version does not know: {', '.join(sorted(types))}",
        "Use the newer Osiris that wrote them; reading verbs still work with what is known here.",
        code="journal.newer",
        exit_code=ExitCode.NEWER_OSIRIS,
    )


def load_fold(texts: dict[str, str]) -> Fold | None:
    """The fold that was dumped as ``texts``.

    None where this version folds otherwise: another set of projections, a state of another shape, or events that were
    unknown then and are known now. Such an index is rebuilt.
    """
    try:
        unknown = msgspec.json.decode(texts.get("unknown", "{}"), type=dict[str, int])
        states: dict[str, msgspec.Struct] = {
            projection.name: msgspec.json.decode(texts[projection.name], type=projection.state_type)
            for projection in PROJECTIONS
        }
    except (KeyError, msgspec.MsgspecError):
        return None
    if len(texts) != len(states) + 1 or unknown.keys() & EVENT_TYPES.keys():
        return None
    return Fold(states, unknown)


def _pass_over(unknown: dict[str, int], event: UnknownEvent, entry: Entry) -> tuple[Change, ...]:  # noqa: ARG001 - a step has it
    unknown[event.type] = unknown.get(event.type, 0) + 1
    return ()
