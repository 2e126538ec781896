"""What a projection is: a fold over entries whose steps are small changes to files.

A step gets the fold's state, an event of the type that it stands for, and the entry that holds it; it changes the state
and returns the changes that the entry makes to the index. It touches nothing else: no disk, no clock. The same changes
are carried out on the index as it stands (live), on an empty one (rebuild), or only compared (verify), so the three
cannot disagree about what an entry means.

A state holds what later entries need, not the history: open runs, tags of a pipeline. It is kept beside the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from osiris.events.base import EventBase
from osiris.events.entry import Entry

Edit = Callable[[bytes], bytes]
"""Makes the line that a later entry wants from the line that there is. Editing twice is the same as once."""


class Append(msgspec.Struct, frozen=True, gc=False):
    """One more line at the end of the file ``path``."""

    path: str
    line: bytes


class Prepend(msgspec.Struct, frozen=True, gc=False):
    """One more line at the beginning of the file ``path``: the file is newest first."""

    path: str
    line: bytes


class Write(msgspec.Struct, frozen=True):
    """The file ``path`` has exactly the bytes that ``render`` gives.

    It is called when the change is carried out, not when it is made, so that of many changes in a row only the last one
    is rendered. By then the state may be behind later entries. That is right: a state only moves forward, and whoever
    carries out this change has those entries' changes to carry out as well.
    """

    path: str
    render: Callable[[], bytes]


class Revise(msgspec.Struct, frozen=True):
    """The line of ``path`` that begins with ``key`` becomes ``edit(line)``."""

    path: str
    key: bytes
    edit: Edit


class SetCounter(NamedTuple):
    """The row of ``slug`` in the table ``counters``."""

    slug: str
    last_value: int
    updated_at: str


class SetKey(NamedTuple):
    """The row of ``key`` in the table ``idempotency_keys``: which entry was recorded with it. The first one stays."""

    key: str
    seq: int
    hash: str


Change = Append | Prepend | Write | Revise | SetCounter | SetKey
Step = Callable[[Any, Any, Entry], Sequence[Change]]


class Projection(NamedTuple):
    """One fold: its name, the type of its state (``state_type()`` is the state before the first entry), its steps.

    ``steps`` says for each type of event what it does; events of other types cost nothing.
    """

    name: str
    state_type: type[msgspec.Struct]
    steps: Mapping[type[EventBase], Step]
