"""One file of the journal: its name, when a new one begins, and how its entries are read in order.

A segment is named by the sequence number of its first entry, so the next one's name is known without looking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from osiris.events.entry import FIRST_PREV, MAX_ENTRY_BYTES, Sealed, sealed

_NAME = re.compile(r"([0-9]{20})\.ndjson")
LONGEST_LINE_BYTES = MAX_ENTRY_BYTES + 1
_USUAL_LINE_BYTES = 4096
_WINDOW_BYTES = 8 << 20
_ENTRY_BEGINS = b'{"seq":'


class Position(NamedTuple):
    """A place behind an entry: its ``seq``, ``hash`` and ``id``, and the byte ``offset`` of its end in its segment.

    ``segment`` is the first sequence number of the segment, that is, its name.
    """

    seq: int
    hash: str
    id: str
    segment: int
    offset: int


class Extent(NamedTuple):
    """How far the journal may be read: to byte ``size`` of the segment that begins with entry ``segment``."""

    segment: int
    size: int


START = Position(0, FIRST_PREV, "", 1, 0)


class TornTail(NamedTuple):
    """Bytes behind the last good entry: ``size`` of them from ``offset`` on, nothing good among them."""

    path: Path
    offset: int
    size: int
    reason: str


class CorruptSegment(Exception):  # noqa: N818 - the journal turns it into the error that a person sees
    """A bad middle: where it is, and what differs."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.offset = offset
        self.reason = reason


def segment_name(first_seq: int) -> str:
    """``00000000000000000001.ndjson``: twenty digits, so that names sort as numbers do."""
    return f"{first_seq:020d}.ndjson"


def list_segments(directory: Path) -> list[int]:
    """First sequence numbers of all segments in ``directory``, ascending; [] where it does not exist."""
    if not directory.is_dir():
        return []
    return sorted(int(match[1]) for match in (_NAME.fullmatch(path.name) for path in directory.iterdir()) if match)


def rolls_over(position: Position, line_bytes: int, segment_bytes: int) -> bool:
    """Whether ``line_bytes`` more would take the segment past ``segment_bytes``; a segment holds at least one entry."""
    return position.offset > 0 and position.offset + line_bytes > segment_bytes


def holds(path: Path, position: Position) -> bool:
    """Whether the entry that ends at ``position`` in ``path`` is still, byte for byte, the one that was there."""
    if position.offset == 0:
        return position == before_segment(path.parent, position.segment)
    entry = _entry_before(path, position.offset)
    return entry is not None and (entry.seq, entry.hash, entry.id) == position[:3]


def origin(directory: Path) -> str:
    """The hash of the journal's first entry, by which one journal is told from another; "" where it has none."""
    try:
        with (directory / segment_name(START.segment)).open("rb") as file:
            entry = sealed(file.readline(LONGEST_LINE_BYTES))
    except OSError:
        return ""
    return entry.hash if entry else ""


def before_segment(directory: Path, first_seq: int) -> Position:
    """The place before the segment that begins with entry ``first_seq``, where reading can begin; else the start.

    The chain is then checked from the last entry of the segment before it.
    """
    earlier = [number for number in list_segments(directory) if number < first_seq]
    if earlier:
        path = directory / segment_name(earlier[-1])
        entry = _entry_before(path, path.stat().st_size)
        if entry is not None and entry.seq == first_seq - 1:
            return Position(entry.seq, entry.hash, entry.id, first_seq, 0)
    return START


def _entry_before(path: Path, end: int) -> Sealed | None:
    """The entry whose line ends at byte ``end`` of ``path``; None if none does."""
    try:
        with path.open("rb") as file:
            for reach_bytes in (_USUAL_LINE_BYTES, LONGEST_LINE_BYTES):
                start = max(0, end - reach_bytes)
                file.seek(start)
                content = file.read(end - start)
                line_start = content.rfind(b"\n", 0, -1) + 1
                if line_start or start == 0:
                    return sealed(content[line_start:]) if len(content) == end - start else None
    except FileNotFoundError:
        pass
    return None


def judge(path: Path, offset: int, reason: str) -> TornTail | CorruptSegment:
    """Whether the bytes from ``offset`` on, which begin with a bad line, are a torn tail or a bad middle.

    A whole entry anywhere behind, also one that is glued to the bad line or that stands in the wrong place itself, is
    no part of a torn write.
    """
    size = max(path.stat().st_size - offset, 0)
    if any(sealed_in(path, offset)):
        return CorruptSegment(path, offset, reason)
    return TornTail(path, offset, size, reason)


def sealed_in(path: Path, offset: int) -> Iterator[Sealed]:
    """Every whole entry in ``path`` from ``offset`` on, wherever it begins."""
    with path.open("rb") as file:  # not mapped: a writer may cut the tail meanwhile
        file.seek(offset)
        content = b""
        while True:
            piece = file.read(_WINDOW_BYTES)
            content += piece
            start = 0
            while (start := content.find(_ENTRY_BEGINS, start)) >= 0:
                if piece and start + LONGEST_LINE_BYTES > len(content):
                    break
                end = content.find(b"\n", start, start + LONGEST_LINE_BYTES) + 1
                entry = sealed(content[start:end]) if end else None
                if entry is not None:
                    yield entry
                start = end if entry is not None else start + 1
            if not piece:
                return
            content = content[start if start >= 0 else -len(_ENTRY_BEGINS) :]
