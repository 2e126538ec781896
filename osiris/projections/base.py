"""What a projection is: a fold over entries whose steps are small changes to files.

``apply`` gets the fold's state and one entry, changes the state, and returns the changes that the entry makes to the
index. It touches nothing else: no disk, no clock. The same changes are carried out on the index as it stands (live),
on an empty one (rebuild), or only compared (verify), so the three cannot disagree about what an entry means.

A state holds what later entries need, not the history: open runs, tags of a pipeline. It is kept beside the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from osiris.events.entry import Entry


class Append(NamedTuple):
    """One more line at the end of the file ``path``."""

    path: str
    line: bytes


class Prepend(NamedTuple):
    """One more line at the beginning of the file ``path``: the file is newest first."""

    path: str
    line: bytes


class Write(NamedTuple):
    """The file ``path`` has exactly this content from now on."""

    path: str
    content: bytes


class Revise(NamedTuple):
    """The line of ``path`` that begins with ``key`` becomes ``edit(line)``. Editing twice is the same as once."""

    path: str
    key: bytes
    edit: Callable[[bytes], bytes]


class SetCounter(NamedTuple):
    """The row of ``slug`` in the table ``counters``."""

    slug: str
    last_value: int
    updated_at: str


Change = Append | Prepend | Write | Revise | SetCounter


class Projection(NamedTuple):
    """One fold: its name, the type of its state (``state_type()`` is the state before the first entry), its step."""

    name: str
    state_type: type[msgspec.Struct]
    apply: Callable[[Any, Entry], Sequence[Change]]
