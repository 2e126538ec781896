"""The journal: all entries of a project in order, appended under one lock and never changed.

``append`` returns once the event survives a power cut: one write and one ``fdatasync``, on the same descriptor.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

from osiris import durable
from osiris.canonical import sha256_hex
from osiris.clock import Clock, rfc3339
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.catalog import Event
from osiris.events.entry import Entry
from osiris.events.fence import Fence, FenceNote
from osiris.events.file_systems import refuse_untrusted
from osiris.events.group_commit import GroupCommit
from osiris.events.reader import JournalReader
from osiris.events.recovery import JournalRecovered, JournalRepaired
from osiris.events.sealing import Encoded, encoded, seal_all
from osiris.events.segment import (
    START,
    Extent,
    Position,
    TornTail,
    before_segment,
    list_segments,
    origin,
    rolls_over,
    segment_name,
)
from osiris.events.segment_writer import SegmentWriter, UndoFailed
from osiris.locks import LockFile, quiet

LOCK_NAME = "LOCK"
TORN_DIRECTORY = "torn"
KEEPING = ".keeping.tmp"
"""The one temporary name in ``torn/``; whoever uses it holds the lock."""


class Journal:
    """The journal in one directory. Any number of processes and threads may read and append."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        segment_bytes: int,
        lock_timeout_s: float,
        allow_file_systems: Collection[str] = (),
    ) -> None:
        self.directory = directory
        self._allow_file_systems = allow_file_systems
        self._is_ready = False
        self.fence = Fence(directory)
        self._name = str(directory)
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._lock_timeout_s = lock_timeout_s
        self._lock = LockFile(directory / LOCK_NAME, guard=directory)
        self._writer = SegmentWriter(self._name)
        self._group = GroupCommit(self._append_batch)
        self._known = START
        self._origin = ""

    @property
    def known(self) -> Position:
        """The end of what this process has appended or found good; that is on the disk, with all that stands before."""
        return self._known

    def adopt(self, position: Position) -> None:
        """What ends at ``position`` was found good and :meth:`settled`; the next append need not look at it again."""
        if position.seq > self._known.seq:
            self._known = position

    def read(self, after: Position = START, until: Extent | None = None) -> JournalReader:
        """Entries behind ``after``, in order, and none behind ``until``."""
        return JournalReader(self.directory, after, verified=after == self._known != START, until=until)

    def settled(self, timeout_s: float | None = None) -> Extent:
        """How far the journal reaches that nobody will take back any more, and that has reached the disk.

        It waits for an append that is going on, since that may yet fail; exit 6 past the deadline. The last writer may
        have been killed before its sync, so that is done here.
        """
        with self.quiet(timeout_s):
            extent = self._extent()
        return self._synced(extent)

    def settled_locked(self) -> Extent:
        """:meth:`settled` for who holds the lock."""
        return self._synced(self._extent())

    def read_behind(self, seq: int) -> JournalReader:
        """Entries behind number ``seq`` and some before it: those of its segment, so that not all must be read."""
        first_seqs = [first_seq for first_seq in list_segments(self.directory) if first_seq <= seq + 1]
        return self.read(before_segment(self.directory, max(first_seqs, default=START.segment)))

    def origin(self) -> str:
        """The hash of the first entry, by which this journal is told from another; "" before there is one."""
        if not self._origin:
            self._origin = origin(self.directory)
        return self._origin

    def exists(self) -> bool:
        """Whether anything was ever written to it."""
        return bool(list_segments(self.directory))

    def close(self) -> None:
        """Let go of open files; the next append opens them again."""
        self._lock.close()
        self._writer.close()

    @contextmanager
    def lock(self, *, behind_fence: bool = False) -> Iterator[None]:
        """The writers' lock; exit 6 past the deadline. Hold it for one append, never for the length of a run.

        Only a repair goes ``behind_fence``.
        """
        if not self._is_ready:
            self._get_ready()
        self._lock.take(timeout_s=self._lock_timeout_s, purpose="writing to the journal")
        try:
            if not behind_fence:
                self.fence.refuse()
            yield
        finally:
            self._lock.release()

    def _get_ready(self) -> None:
        try:
            durable.make_directory(self.directory)
        except OSError as cause:
            raise disk_error("create", self.directory, cause) from cause
        refuse_untrusted(self.directory, self._allow_file_systems)
        self._is_ready = True

    def quiet(self, timeout_s: float | None = None) -> AbstractContextManager[None]:
        """Keep writers out for a moment, without writing a byte; exit 6 past the deadline."""
        deadline_s = self._lock_timeout_s if timeout_s is None else timeout_s
        return quiet(self.directory / LOCK_NAME, timeout_s=deadline_s, purpose="looking at the journal's end")

    def append(self, event: Event) -> Entry:
        """Append one event by itself: lock, look at the tail, write, sync, release.

        Threads that do so at the same time share one write and one sync. Raises exit 6 past the lock's deadline, 5 on
        corruption, and 7 where the disk fails; its words say whether it was recorded.
        """
        return self._group.submit((event, encoded(event)))

    def append_locked(self, events: Sequence[Event], tail: JournalReader) -> list[Entry]:
        """Append ``events`` in one write and one sync. The caller holds the lock and has drained ``tail`` under it.

        Returns their entries; a torn tail is cut first, and its ``journal.recovered`` comes before them.
        """
        entries = self._append([(event, encoded(event)) for event in events], tail.position, tail.torn)
        tail.wrote(self._known)
        return entries

    def repair_locked(self, after: Position, strays: Sequence[Path], event: JournalRepaired, moment: datetime) -> Entry:
        """Let the journal go on with ``event`` behind ``after``, whatever stands there; the segments ``strays`` go.

        The caller holds the lock and has kept a copy of what is lost. Killed in between, it leaves a journal that is
        still corrupt, and is repaired again.
        """
        [entry], line = seal_all([(event, encoded(event))], after, moment)
        path = self.directory / segment_name(after.segment)
        self._writer.close()
        try:
            durable.replace_end(path, after.offset, line)
            for stray in strays:
                durable.remove_tree(stray)
            durable.sync_directory(self.directory)
            self.fence.take_down()
        except OSError as cause:
            raise disk_error("repair the journal in", self.directory, cause) from cause
        self._known = Position(entry.seq, entry.hash, entry.id, after.segment, after.offset + len(line))
        return entry

    def _extent(self) -> Extent:
        segment = max(list_segments(self.directory), default=START.segment)
        path = self.directory / segment_name(segment)
        return Extent(segment, path.stat().st_size if path.exists() else 0)

    def _synced(self, extent: Extent) -> Extent:
        if extent.size and extent != (self._known.segment, self._known.offset):
            path = self.directory / segment_name(extent.segment)
            try:
                durable.sync_path(path)
            except OSError as cause:
                raise disk_error("sync", path, cause) from cause
        return extent

    def _append_batch(self, batch: Sequence[Encoded]) -> Sequence[Entry]:
        with self.lock():
            if self._is_at_end():
                return self._append(batch, self._known, None)
            tail = self.read(self._known).drain()
            return self._append(batch, tail.position, tail.torn)

    def _is_at_end(self) -> bool:
        """Whether nobody has appended since this process did; the usual case, for which no reader is made."""
        known = self._known
        if known == START:
            return False
        try:
            size = os.stat(f"{self._name}/{segment_name(known.segment)}").st_size
        except FileNotFoundError:
            return False
        return size == known.offset and not os.access(f"{self._name}/{segment_name(known.seq + 1)}", os.F_OK)

    def _append(self, events: Sequence[Encoded], after: Position, torn: TornTail | None) -> list[Entry]:
        moment = self._clock.now()
        recovered: list[Encoded] = []
        if torn:
            event = self._keep(torn, rfc3339(moment))
            recovered = [(event, encoded(event))]
        entries, lines = seal_all([*recovered, *events], after, moment)
        self._known = self._write(lines, entries[-1], after, moment, over_torn_tail=torn is not None)
        return entries[len(recovered) :]

    def _keep(self, torn: TornTail, recovered_at: str) -> JournalRecovered:
        """Keep a copy of a torn tail and say so in an event; the entries are then written over the tail itself.

        So the tail goes in the same step in which the event comes, and a crash in between leaves a torn tail again.
        """
        try:
            with torn.path.open("rb") as segment:
                segment.seek(torn.offset)
                content = segment.read()
            digest = sha256_hex(content)
            kept = self.directory / TORN_DIRECTORY / f"{torn.path.stem}-{torn.offset}-{digest[:16]}.bytes"
            durable.make_directory(kept.parent)
            durable.replace_file(kept, content, sync=True, temporary=kept.with_name(KEEPING))
        except OSError as cause:
            raise disk_error("keep the torn tail of", torn.path, cause) from cause
        return JournalRecovered(
            segment=torn.path.name,
            offset=torn.offset,
            bytes_cut=len(content),
            kept_as=f"{TORN_DIRECTORY}/{kept.name}",
            sha256=digest,
            recovered_at=recovered_at,
        )

    def _write(self, lines: bytes, last: Entry, after: Position, moment: datetime, *, over_torn_tail: bool) -> Position:
        """Write and sync ``lines`` behind ``after``, in a new segment where the last one is full.

        A torn tail is written over where it stands: left behind in a full segment, it would be corruption.
        """
        segment, offset = after.segment, after.offset
        try:
            if not over_torn_tail and rolls_over(after, len(lines), self._segment_bytes):
                # Its last writer may have been killed before its sync, and no later one will reach the old segment.
                durable.sync_path(self.directory / segment_name(segment))
                segment, offset = after.seq + 1, 0
            path = f"{self._name}/{segment_name(segment)}"
            self._writer.write(path, lines, offset, over_torn_tail=over_torn_tail)
        except UndoFailed as failed:
            raise self._fenced_off(segment, offset, moment, failed) from failed
        except OSError as cause:
            error = disk_error("append to the journal", self.directory / segment_name(segment), cause)
            error.problem += "; nothing was recorded"
            raise error from cause
        return Position(last.seq, last.hash, last.id, segment, offset + len(lines))

    def _fenced_off(self, segment: int, offset: int, moment: datetime, failed: UndoFailed) -> OsirisError:
        """Put up the fence; the error that says what is known."""
        name = segment_name(segment)
        problem = f"{failed.__cause__}; then, cutting it off: {failed.undo}"
        self.fence.raise_up(FenceNote(at=rfc3339(moment), segment=name, offset=offset, problem=problem))
        return OsirisError(
            f"could not append to the journal {self.directory / name} ({failed.__cause__}), and could not take it back "
            f"({failed.undo}): it is unknown whether it was recorded, and nothing more is written behind it",
            "Check the disk, then run `osiris index repair`; it says what the journal holds.",
            code="journal.outcome_unknown",
            exit_code=ExitCode.DISK,
            path=str(self.directory / name),
        )
