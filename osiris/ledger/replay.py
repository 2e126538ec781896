"""What a fold over the whole journal gives: the changes to an empty index, for whoever writes or compares them.

Memory is bounded by the buffers, the number of pipelines and the number of retro-active changes, not by the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from osiris.events.reader import JournalReader
from osiris.ledger.fold import Fold
from osiris.projections.base import Append, Change, Edit, Prepend, Revise, SetCounter, SetKey, Write

Edits = dict[bytes, tuple[Edit, ...]]
"""What later entries say about lines of one file, by line key, in journal order."""


Flush = Callable[[str, list[bytes]], None]
"""Writes or compares lines of a file, in the order in which they were made; they are forgotten afterwards."""

_STEP_BYTES = 8 * 1024 * 1024
_MANY_LINES = 64


class Replay:
    """Gathers the changes of a whole history; at most some ``buffer_bytes`` of lines wait for ``flush`` to take them.

    ``edits`` are gathered unless they are all ``known`` from an earlier replay.
    """

    def __init__(self, flush: Flush, buffer_bytes: int, known: dict[str, Edits] | None = None) -> None:
        self._flush = flush
        self._buffer_bytes = buffer_bytes
        self.known = known
        self._buffered_bytes = 0
        self._room_until = _STEP_BYTES
        self.lines: dict[str, list[bytes]] = {}
        self.newest_first: set[str] = set()
        self.whole: dict[str, Callable[[], bytes]] = {}
        self.edits: dict[str, Edits] = {}
        self.counters: dict[str, SetCounter] = {}
        self.keys: dict[str, SetKey] = {}

    def run(self, tail: JournalReader, up_to_seq: int | None = None) -> Fold:
        """Fold what ``tail`` reads, to its end or to ``up_to_seq``, and flush what came last."""
        fold = Fold()
        fold.run(tail if up_to_seq is None else islice(tail, up_to_seq), self.apply)
        self._flush_files(at_least_lines=1)
        return fold

    def rows(self) -> Iterable[SetCounter | SetKey]:
        """What the tables of the database hold."""
        return [*self.counters.values(), *self.keys.values()]

    def apply(self, change: Change) -> None:
        """Take one change in. Types are told apart by identity, for ``isinstance`` is slow where Structs are many."""
        if type(change) is Append or type(change) is Prepend:
            try:
                self.lines[change.path].append(change.line)
            except KeyError:
                self._begin(change)
            self._buffered_bytes += len(change.line)
            if self._buffered_bytes > self._room_until:
                self._make_room()
            if self.edits:
                self._begin_unedited(change)
        elif type(change) is SetCounter:
            self.counters[change.slug] = change
        elif type(change) is SetKey:
            self.keys.setdefault(change.key, change)
        elif type(change) is Write:
            self.whole[change.path] = change.render
        elif type(change) is Revise and self.known is None:
            edits = self.edits.setdefault(change.path, {})
            edits[change.key] = (*edits.get(change.key, ()), change.edit)

    def _begin(self, change: Append | Prepend) -> None:
        self.lines[change.path] = [change.line]
        if type(change) is Prepend:
            self.newest_first.add(change.path)

    def _begin_unedited(self, change: Append | Prepend) -> None:
        """What came before a line was of no line, as it is where lines are edited in place."""
        edits = self.edits.get(change.path)
        if edits:
            edits.pop(line_key(change.line), None)

    def _make_room(self) -> None:
        """Flush the files that have many lines already; those with few only when memory would run short.

        A buffer that is used again and again stays in the processor's cache, but opening thousands of files for a line
        each takes longer than all the rest.
        """
        self._flush_files(at_least_lines=_MANY_LINES)
        if self._buffered_bytes > self._buffer_bytes - _STEP_BYTES:
            self._flush_files(at_least_lines=1)
        self._room_until = self._buffered_bytes + _STEP_BYTES

    def _flush_files(self, at_least_lines: int) -> None:
        for path, lines in self.lines.items():
            if len(lines) >= at_least_lines:
                self._buffered_bytes -= sum(map(len, lines))
                self._flush(path, lines)
                lines.clear()


def line_key(line: bytes) -> bytes:
    """What a line is known by: its first two fields. Empty where it has no third one."""
    return line[: line.find(b",", line.find(b",") + 1) + 1]


def revised(line: bytes, edits: Edits) -> bytes:
    """``line`` as ``edits`` have it in the end."""
    for edit in edits.get(line_key(line), ()):
        line = edit(line)
    return line
