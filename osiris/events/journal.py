"""The journal: all entries of a project in order, appended under one lock and never changed.

``append`` returns once the event survives a power cut: one write and one ``fdatasync``, on the same descriptor.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

from osiris import durable
from osiris.clock import Clock, rfc3339
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.catalog import Event
from osiris.events.entry import Entry
from osiris.events.fence import Fence, FenceNote
from osiris.events.file_systems import refuse_untrusted
from osiris.events.group_commit import GroupCommit
from osiris.events.reader import JournalReader
from osiris.events.recovery import JournalRepaired
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
from osiris.events.torn_tail import keep_torn_tail, nothing_recorded, take_away
from osiris.locks import LockFile, quiet

LOCK_NAME = "LOCK"


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
        self._holder = 0

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
        have been killed before its sync, so that is done here. A thread that holds the lock does not wait for itself.
        """
        if self._holder == threading.get_ident():
            return self.settled_locked()
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
        self._take(behind_fence=behind_fence)
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = 0
            self._lock.release()

    def _take(self, *, behind_fence: bool = False) -> None:
        try:
            if not self._is_ready:
                self._get_ready()
            self._lock.take(timeout_s=self._lock_timeout_s, purpose="writing to the journal")
        except OsirisError as error:
            raise nothing_recorded(error)  # noqa: B904 - the same error, which says more now
        if not behind_fence:
            try:
                self.fence.refuse()
            except BaseException:
                self._lock.release()
                raise

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
        self._origin = ""
        problem = "a repair has begun and not ended"
        note = FenceNote(at=rfc3339(moment), segment=path.name, offset=after.offset, problem=problem)
        try:
            self.fence.put_up(note)
            durable.replace_end(path, after.offset, line)
            take_away(strays)
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
            self._sync_segment(extent.segment)
        return extent

    def _sync_segment(self, first_seq: int) -> None:
        """Sync what others wrote. Should that fail, what can be read there may not be on the disk: nobody goes on."""
        path = self.directory / segment_name(first_seq)
        try:
            fd = durable.open_for_syncing(path)
        except OSError as cause:
            raise nothing_recorded(disk_error("open", path, cause)) from cause
        try:
            durable.sync_file(fd)
        except OSError as cause:
            problem = f"what can be read in it may not be on the disk: {cause}"
            self.fence.raise_somehow(
                FenceNote(at=rfc3339(self._clock.now()), segment=path.name, offset=0, problem=problem)
            )
            error = disk_error("sync what others had written to", path, cause)
            error.code, error.hint = "journal.fenced", "Check the disk, then run `osiris index repair`."
            raise nothing_recorded(error) from cause
        finally:
            os.close(fd)

    def _append_batch(self, batch: Sequence[Encoded]) -> Sequence[Entry]:
        self._take()
        try:
            if self._is_at_end():
                return self._append(batch, self._known, None)
            tail = self.read(self._known).drain()
            if self._known == START and tail.position != START:
                self._sync_segment(tail.position.segment)  # nobody has said yet that what was found is on the disk
                self._known = tail.position
            return self._append(batch, tail.position, tail.torn)
        finally:
            self._lock.release()

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
        cut = b""
        if torn:
            event, cut = keep_torn_tail(self.directory, torn, rfc3339(moment))
            recovered = [(event, encoded(event))]
        entries, lines = seal_all([*recovered, *events], after, moment)
        self._known = self._write(lines, entries[-1], after, moment, cut)
        return entries[len(recovered) :]

    def _write(self, lines: bytes, last: Entry, after: Position, moment: datetime, torn: bytes) -> Position:
        """Write and sync ``lines`` behind ``after``, in a new segment where the last one is full.

        A torn tail is written over where it stands: left behind in a full segment, it would be corruption.
        """
        segment, offset = after.segment, after.offset
        try:
            if not torn and rolls_over(after, len(lines), self._segment_bytes):
                # Its last writer may have been killed before its sync, and no later one will reach the old segment.
                self._sync_segment(segment)
                segment, offset = after.seq + 1, 0
            path = f"{self._name}/{segment_name(segment)}"
            is_synced = offset == 0 or after == self._known
            self._writer.write(path, lines, offset, torn=torn, is_synced=is_synced)
        except UndoFailed as failed:
            raise self._fenced_off(segment, offset, moment, failed) from failed
        except OSError as cause:
            error = disk_error("append to the journal", self.directory / segment_name(segment), cause)
            raise nothing_recorded(error) from cause
        return Position(last.seq, last.hash, last.id, segment, offset + len(lines))

    def _fenced_off(self, segment: int, offset: int, moment: datetime, failed: UndoFailed) -> OsirisError:
        """Put up the fence; the error that says what is known."""
        name = segment_name(segment)
        problem = f"{failed.__cause__}; then, cutting it off: {failed.undo}"
        self.fence.raise_somehow(FenceNote(at=rfc3339(moment), segment=name, offset=offset, problem=problem))
        return OsirisError(
            f"could not append to the journal {self.directory / name} ({failed.__cause__}), and could not take it back "
            f"({failed.undo}): it is unknown whether it was recorded, and nothing more is written behind it",
            "Check the disk, then run `osiris index repair`; it says what the journal holds.",
            code="journal.outcome_unknown",
            exit_code=ExitCode.DISK,
            path=str(self.directory / name),
        )
