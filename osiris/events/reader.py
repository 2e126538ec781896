"""Reading the journal: its entries in order, and how it ends. Takes no lock and writes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.entry import Damage, Entry, open_entry
from osiris.events.segment import (
    LONGEST_LINE_BYTES,
    START,
    CorruptSegment,
    Extent,
    Position,
    TornTail,
    holds,
    judge,
    list_segments,
    segment_name,
)

_BUFFER_BYTES = 1 << 20
_LEAST_BUFFER_BYTES = 1 << 12


class JournalReader:
    """Iterates the entries behind ``after``; once it is exhausted, ``position`` and ``torn`` say how the journal ends.

    Raises an exit-5 :class:`OsirisError` on corruption, naming file and byte. ``verified`` says that this process has
    itself read or written what ends at ``after``, so only what follows it is looked at. Nothing behind ``until`` is
    read, as if the journal ended there.
    """

    def __init__(
        self, directory: Path, after: Position = START, *, verified: bool = False, until: Extent | None = None
    ) -> None:
        self.directory = directory
        self._verified = verified
        self._until = until
        self._seq, self._hash, self._id, self._segment, self._offset = after
        self._from_start = after == START
        self._seen = {self._segment}
        self.torn: TornTail | None = None

    @property
    def position(self) -> Position:
        """The place behind the entry that was read last."""
        return Position(self._seq, self._hash, self._id, self._segment, self._offset)

    def wrote(self, position: Position) -> None:
        """What the reader had come to the end of now ends at ``position``."""
        self._seq, self._hash, self._id, self._segment, self._offset = position
        self.torn = None

    def __iter__(self) -> Iterator[Entry]:
        try:
            if not self._verified:
                self.check_start()
            yield from self._segments()
            while not self._verified and (stray := self._stray_segment()):
                # Entries and a roll-over may have come since the last segment was read: only what stays is a gap.
                before = self._seq
                yield from self._segments()
                if self._seq == before and stray in self.strays():
                    if self.torn:
                        raise CorruptSegment(
                            self.torn.path, self.torn.offset, f"{self.torn.reason}, and another segment follows"
                        )
                    raise CorruptSegment(stray, 0, f"no entry leads to it: the chain ends at entry {before}")
        except OSError as cause:
            raise disk_error("read the journal in", self.directory, cause) from cause
        except CorruptSegment as cause:
            line = _line_number(cause.path, cause.offset)
            raise corruption(f"{cause.path}: line {line} (byte {cause.offset}): {cause.reason}", cause.path) from cause

    def drain(self) -> JournalReader:
        """Read to the end for the sake of ``position`` and ``torn`` alone."""
        for _ in self:
            pass
        return self

    def _segments(self) -> Iterator[Entry]:
        self.torn = None
        if self._until and self._until <= (self._segment, self._offset):
            return
        path = self._path(self._segment)
        while True:
            size = self._size(path)
            if size < self._offset:
                reason = f"entry {self._seq} ended at byte {self._offset}, and the segment has {size} bytes now"
                raise CorruptSegment(Path(path), size, reason)
            if size > self._offset:
                yield from self._entries(path)
            following = self._path(self._seq + 1)
            if following == path or self._ends_here() or not os.access(following, os.F_OK):
                return
            if self.torn:
                raise CorruptSegment(Path(path), self.torn.offset, f"{self.torn.reason}, and another segment follows")
            self._segment, self._offset = self._seq + 1, 0
            self._seen.add(self._segment)
            path = following

    def _entries(self, path: str) -> Iterator[Entry]:
        """The entries of one segment from where the reader is; at its end a torn tail, if there is one."""
        limit = self._until.size if self._ends_here() and self._until else sys.maxsize
        while not self.torn:
            seq, prev, offset = self._seq, self._hash, self._offset
            ahead = min(max(self._size(path) - offset, _LEAST_BUFFER_BYTES), _BUFFER_BYTES)
            with open(path, "rb", buffering=ahead) as file:
                file.seek(offset)
                readline = file.readline
                while line := readline(LONGEST_LINE_BYTES):
                    if offset + len(line) > limit:
                        return
                    try:
                        entry = open_entry(line, seq + 1, prev)
                    except Damage as damage:
                        self.torn = _verdict(file.fileno(), Path(path), offset, line, damage)
                        break
                    seq, prev, offset = seq + 1, entry.hash, offset + len(line)
                    self._seq, self._hash, self._id, self._offset = seq, prev, entry.id, offset
                    yield entry
                else:
                    return

    def check_start(self) -> None:
        """Exit 5 where the entry before the start is not there any more, byte for byte."""
        path = Path(self._path(self._segment))
        if self._seq and not holds(path, self.position):
            where = f"at byte {self._offset}" if self._offset else "before it"
            raise corruption(
                f"{path}: entry {self._seq}, which the index has seen, does not end {where} any more: "
                "the journal was rolled back or changed, or the index is not its own",
                path,
            )

    def strays(self) -> list[Path]:
        """Segments that lie behind where the reader has come to, or beside the chain that it has followed."""
        return [
            self.directory / segment_name(first_seq)
            for first_seq in list_segments(self.directory)
            if (first_seq > self._segment or (self._from_start and first_seq not in self._seen))
            and (self._until is None or first_seq <= self._until.segment)
        ]

    def _stray_segment(self) -> Path | None:
        """A segment that no entry leads to: it begins too late, or among the entries of another."""
        return next(iter(self.strays()), None)

    def _ends_here(self) -> bool:
        return self._until is not None and self._until.segment == self._segment

    def _size(self, path: str) -> int:
        try:
            size = os.stat(path).st_size
        except FileNotFoundError:
            return 0
        return min(size, self._until.size) if self._until and self._ends_here() else size

    def _path(self, first_seq: int) -> str:
        return f"{self.directory}/{segment_name(first_seq)}"


def corruption(problem: str, path: Path) -> OsirisError:
    """Exit 5. Nothing is ever repaired by guessing."""
    return OsirisError(
        problem,
        "Restore the journal from a backup, or see `osiris index repair --help`; nothing was changed.",
        code="journal.corrupt",
        exit_code=ExitCode.CORRUPT,
        path=str(path),
    )


def _verdict(fd: int, path: Path, offset: int, line: bytes, damage: Damage) -> TornTail | None:
    """What a bad line is. None where it is another line by now: a writer had been in the middle of it."""
    verdict = judge(path, offset, str(damage))
    content = os.pread(fd, LONGEST_LINE_BYTES, offset)  # not through the file's buffer, which is as old as the line
    end = content.find(b"\n") + 1 or len(content)
    if content[:end] != line:
        return None
    if isinstance(verdict, CorruptSegment):
        raise verdict from damage
    return verdict


def _line_number(path: Path, offset: int) -> int:
    if not path.exists():
        return 1
    with path.open("rb") as file:
        return file.read(offset).count(b"\n") + 1
