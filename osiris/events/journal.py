"""The journal: all entries of a project in order, appended under one lock and never changed.

``append`` returns once the event survives a power cut: one write and one ``fdatasync``, on the same descriptor. A sync
that failed is never tried again, for the kernel may have dropped the pages and would report success the second time;
the segment is cut back to its last good end instead (Rebello et al., "Can Applications Recover from fsync Failures?",
USENIX ATC 2020).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from osiris import durable
from osiris.canonical import sha256_hex
from osiris.clock import Clock, next_ulid, rfc3339
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.catalog import Event, encode_event
from osiris.events.entry import MAX_ENTRY_BYTES, Entry, seal
from osiris.events.recovery import JournalRecovered
from osiris.events.segment import (
    START,
    CorruptSegment,
    Position,
    TornTail,
    holds,
    list_segments,
    read_segment,
    rolls_over,
    segment_name,
)
from osiris.locks import HeldLock, acquire, quiet

LOCK_NAME = "LOCK"
TORN_DIRECTORY = "torn"


class JournalReader:
    """Iterates the entries behind ``after``; once it is exhausted, ``position`` and ``torn`` say how the journal ends.

    Takes no lock and writes nothing. Raises an exit-5 :class:`OsirisError` on corruption, naming file and byte.
    ``verified`` says that this process has itself read or written what ends at ``after``, so only what follows it is
    looked at.
    """

    def __init__(self, directory: Path, after: Position = START, *, verified: bool = False) -> None:
        self._directory = directory
        self._verified = verified
        self.position = after
        self.torn: TornTail | None = None

    def __iter__(self) -> Iterator[Entry]:
        try:
            if not self._verified:
                self._check_start()
            yield from self._segments()
            while not self._verified and (stray := self._stray_segment()):
                # Entries and a roll-over may have come since the last segment was read: only what stays is a gap.
                before = self.position
                yield from self._segments()
                if self.position == before:
                    raise CorruptSegment(stray, 0, f"the entries before it end at {before.seq}: a segment is missing")
        except OSError as cause:
            raise disk_error("read the journal in", self._directory, cause) from cause
        except CorruptSegment as cause:
            line = _line_number(cause.path, cause.offset)
            raise corruption(f"{cause.path}: line {line} (byte {cause.offset}): {cause.reason}", cause.path) from cause

    def drain(self) -> JournalReader:
        """Read to the end for the sake of ``position`` and ``torn`` alone."""
        for _ in self:
            pass
        return self

    def _segments(self) -> Iterator[Entry]:
        path = self._path()
        while path.exists():
            yield from self._one_segment(path)
            following = self._directory / segment_name(self.position.seq + 1)
            if following == path or not following.exists():
                break
            if self.torn:
                raise CorruptSegment(path, self.torn.offset, f"{self.torn.reason}, and another segment follows")
            self.position = self.position._replace(segment=self.position.seq + 1, offset=0)
            path = following

    def _one_segment(self, path: Path) -> Iterator[Entry]:
        for item in read_segment(path, self.position):
            if isinstance(item, TornTail):
                self.torn = item
                return
            entry, self.position = item
            yield entry

    def _check_start(self) -> None:
        if self.position.offset and not holds(self._path(), self.position):
            raise corruption(
                f"{self._path()}: entry {self.position.seq}, which the index has seen, does not end at byte "
                f"{self.position.offset} any more: the journal was rolled back or changed, or the index is not its own",
                self._path(),
            )

    def _stray_segment(self) -> Path | None:
        """A segment that begins behind the last entry's successor."""
        for first_seq in list_segments(self._directory):
            if first_seq > self.position.segment and first_seq != self.position.seq + 1:
                return self._directory / segment_name(first_seq)
        return None

    def _path(self) -> Path:
        return self._directory / segment_name(self.position.segment)


class Journal:
    """The journal in one directory. Any number of processes may read; appending takes the lock."""

    def __init__(self, directory: Path, *, clock: Clock, segment_bytes: int, lock_timeout_s: float) -> None:
        self.directory = directory
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._lock_timeout_s = lock_timeout_s
        self._known = START

    def read(self, after: Position = START) -> JournalReader:
        """Entries behind ``after``, in order."""
        return JournalReader(self.directory, after, verified=after == self._known != START)

    def exists(self) -> bool:
        """Whether anything was ever written to it."""
        return bool(list_segments(self.directory))

    def lock(self) -> HeldLock:
        """The writers' lock; exit 6 past the deadline. Hold it for one append, never for the length of a run."""
        try:
            durable.make_directory(self.directory)
        except OSError as cause:
            raise disk_error("create", self.directory, cause) from cause
        return acquire(self.directory / LOCK_NAME, timeout_s=self._lock_timeout_s, purpose="writing to the journal")

    def quiet(self) -> AbstractContextManager[None]:
        """Keep writers out for a moment, without writing a byte."""
        return quiet(self.directory / LOCK_NAME, timeout_s=self._lock_timeout_s, purpose="looking at the journal's end")

    def append(self, event: Event) -> Entry:
        """Append one event by itself: lock, look at the tail, write, sync, release."""
        with self.lock():
            tail = self.read(self._known).drain()
            return self.append_locked([event], tail)[-1]

    def append_locked(self, events: Sequence[Event], tail: JournalReader) -> list[Entry]:
        """Append ``events`` in one write and one sync. The caller holds the lock and has drained ``tail`` under it.

        Returns their entries; a torn tail is cut first, and its ``journal.recovered`` comes before them. Raises exit 7
        when the disk fails; then none of them was recorded.
        """
        moment = self._clock.now()
        recovered = self._keep(tail.torn, rfc3339(moment)) if tail.torn else []
        entries, lines = self._seal([*recovered, *events], tail.position, moment)
        position = self._write(b"".join(lines), entries[-1], tail.position, over_torn_tail=tail.torn is not None)
        self._known = position
        tail.position, tail.torn = position, None
        return entries[len(recovered) :]

    def _keep(self, torn: TornTail, recovered_at: str) -> list[JournalRecovered]:
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
            durable.replace_file(kept, content, sync=True)
        except OSError as cause:
            raise disk_error("keep the torn tail of", torn.path, cause) from cause
        return [
            JournalRecovered(
                segment=torn.path.name,
                offset=torn.offset,
                bytes_cut=len(content),
                kept_as=f"{TORN_DIRECTORY}/{kept.name}",
                sha256=digest,
                recovered_at=recovered_at,
            )
        ]

    def _seal(self, events: Sequence[Event], after: Position, moment: datetime) -> tuple[list[Entry], list[bytes]]:
        at = rfc3339(moment)
        seq, ulid, prev = after.seq, after.id, after.hash
        entries: list[Entry] = []
        lines: list[bytes] = []
        for event in events:
            seq, ulid = seq + 1, next_ulid(moment, after=ulid)
            line, digest = seal(seq, ulid, at, prev, _encoded(event))
            if len(line) > MAX_ENTRY_BYTES:
                raise OsirisError(
                    f"an event of {len(line):,} bytes is larger than the {MAX_ENTRY_BYTES:,} that an entry may have",
                    "Shorten the texts that it carries; nothing was recorded.",
                    code="journal.entry_too_large",
                )
            entries.append(Entry(seq, ulid, at, prev, digest, event))
            lines.append(line)
            prev = digest
        return entries, lines

    def _write(self, lines: bytes, last: Entry, after: Position, *, over_torn_tail: bool) -> Position:
        """Write and sync ``lines`` behind ``after``, in a new segment where the last one is full.

        A torn tail is written over where it stands: left behind in a full segment, it would be corruption.
        """
        if not over_torn_tail and rolls_over(after, len(lines), self._segment_bytes):
            after = after._replace(segment=after.seq + 1, offset=0)
        path = self.directory / segment_name(after.segment)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if after.offset == 0:
                    durable.sync_directory(self.directory)
                _write_or_cut(fd, lines, after.offset)
            finally:
                os.close(fd)
        except OSError as cause:
            raise disk_error("append to the journal", path, cause) from cause
        return Position(last.seq, last.hash, last.id, after.segment, after.offset + len(lines))


def corruption(problem: str, path: Path) -> OsirisError:
    """Exit 5. Nothing is ever repaired by guessing."""
    return OsirisError(
        problem,
        "Restore the journal from a backup, or keep it as evidence and ask; nothing was changed.",
        code="journal.corrupt",
        exit_code=ExitCode.CORRUPT,
        path=str(path),
    )


def _encoded(event: Event) -> bytes:
    try:
        return encode_event(event)
    except UnicodeEncodeError as cause:
        raise OsirisError(
            f"a text in {type(event).__name__} cannot be written as UTF-8: {cause.reason}",
            "Remove the lone surrogate from that text; nothing was recorded.",
            code="journal.not_utf8",
        ) from cause


def _write_or_cut(fd: int, lines: bytes, offset: int) -> None:
    """One write and one sync; on failure the file is cut back to ``offset``, and then nothing was recorded."""
    try:
        written = os.pwrite(fd, lines, offset)
        if written < len(lines):
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({written} of {len(lines)} bytes were written)")
        if os.fstat(fd).st_size > offset + len(lines):
            os.ftruncate(fd, offset + len(lines))  # what is left of a torn tail
        durable.sync_file(fd)
    except OSError:
        os.ftruncate(fd, offset)
        durable.sync_file(fd)
        raise


def _line_number(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        return file.read(offset).count(b"\n") + 1
