"""Verify: replay the journal, render every projection, compare both ways; not a byte is written.

Lines are compared by digest, so that memory is bounded by sixteen bytes a line. A difference is looked at a second
time under the index lock before it is reported: a command that was writing meanwhile is no false alarm.
"""

from __future__ import annotations

import contextlib
import sqlite3
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from osiris.events.journal import Journal
from osiris.events.reader import JournalReader
from osiris.events.segment import Position
from osiris.ledger import checkpoint
from osiris.ledger.fold import Fold
from osiris.ledger.fresh_index import LineRevisions
from osiris.ledger.index_files import TEMPORARY
from osiris.projections.base import Append, Change, Prepend, Revise, SetCounter, Write

_DIGEST_BYTES = 16
_DATABASE_FILES = frozenset(checkpoint.DATABASE + suffix for suffix in ("", "-wal", "-shm"))


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which the index differs from the journal; ``path`` is relative to the index, lines count from 1."""

    path: str
    problem: Literal["missing", "extra", "edited", "stale", "empty", "link", "not_a_file", "unreadable"]
    detail: str
    line: int = 0


class Rendered:
    """What every file of the index should hold, as digests: the sink of a fold that writes nothing."""

    def __init__(self, revisions: LineRevisions) -> None:
        self.revisions = revisions
        self.lines: dict[str, bytearray] = {}
        self.sizes: dict[str, int] = {}
        self.newest_first: set[str] = set()
        self.whole: dict[str, bytes] = {}
        self.counters: dict[str, SetCounter] = {}

    def apply(self, change: Change) -> None:
        """Take one change in."""
        match change:
            case Append(path=path, line=line):
                self._add(path, line)
            case Prepend(path=path, line=line):
                self.newest_first.add(path)
                self._add(path, line)
            case Write(path=path, content=content):
                self.whole[path] = content
            case Revise():
                self.revisions.note(change)
            case SetCounter(slug=slug):
                self.counters[slug] = change

    def _add(self, path: str, line: bytes) -> None:
        line = self.revisions.final(path, line)
        self.lines.setdefault(path, bytearray()).extend(_line_digest(line))
        self.sizes[path] = self.sizes.get(path, 0) + len(line)


def render(journal: Journal, up_to_seq: int | None = None) -> tuple[Rendered, Fold, JournalReader, Position]:
    """Replay the journal, to its end or to ``up_to_seq``; the position is the one behind the last entry folded."""
    known = LineRevisions()
    while True:
        rendered, fold, tail = Rendered(known), Fold(), journal.read()
        fold.run(islice(tail, up_to_seq), rendered.apply)
        if known.complete():
            return rendered, fold, tail, tail.position
        # The second fold ends where the first did: a revision that came since would not be known to it.
        known, up_to_seq = LineRevisions(known.found), tail.position.seq


def compare(directory: Path, rendered: Rendered, fold: Fold, position: Position) -> list[Difference]:
    """Every difference between the index in ``directory`` and what it should hold, by path."""
    if not directory.exists() and position.seq == 0:
        return []  # nothing has happened yet, and nothing is shown
    if not directory.is_dir():
        return [Difference(path=".", problem="missing", detail=f"{directory} is not a directory")]
    differences = [_compare_lines(directory, path, rendered) for path in rendered.lines]
    differences += [_compare_whole(directory, path, content) for path, content in rendered.whole.items()]
    differences += _compare_database(directory, rendered, fold, position)
    expected = rendered.lines.keys() | rendered.whole.keys() | _DATABASE_FILES | {TEMPORARY}
    differences += _extra(directory, expected)
    return sorted((found for found in differences if found), key=lambda found: (found.path, found.line))


def _compare_lines(directory: Path, path: str, rendered: Rendered) -> Difference | None:
    found = _look(directory, path)
    if isinstance(found, Difference):
        return found
    with found.open("rb") as file:
        actual = b"".join(_line_digest(line) for line in file)
    expected = bytes(rendered.lines[path])
    if path in rendered.newest_first:
        expected = b"".join(
            expected[start : start + _DIGEST_BYTES]
            for start in range(len(expected) - _DIGEST_BYTES, -1, -_DIGEST_BYTES)
        )
    if actual == expected:
        return None
    return _line_difference(path, actual, expected, newest_first=path in rendered.newest_first)


def _line_difference(path: str, actual: bytes, expected: bytes, *, newest_first: bool) -> Difference:
    have, want = len(actual) // _DIGEST_BYTES, len(expected) // _DIGEST_BYTES
    if have == 0:
        return Difference(path=path, problem="empty", detail=f"no lines, the journal gives {want}")
    if have < want and (expected.endswith(actual) if newest_first else expected.startswith(actual)):
        return Difference(path=path, problem="stale", detail=f"{have} of {want} lines; the newest are not there")
    line = 1
    while (
        actual[(line - 1) * _DIGEST_BYTES : line * _DIGEST_BYTES]
        == expected[(line - 1) * _DIGEST_BYTES : line * _DIGEST_BYTES]
    ):
        line += 1
    return Difference(
        path=path, problem="edited", line=line, detail=f"line {line} differs ({have} lines, the journal gives {want})"
    )


def _compare_whole(directory: Path, path: str, content: bytes) -> Difference | None:
    found = _look(directory, path)
    if isinstance(found, Difference):
        return found
    actual = found.read_bytes()
    if actual == content:
        return None
    if not actual:
        return Difference(path=path, problem="empty", detail=f"0 bytes, the journal gives {len(content)}")
    return Difference(
        path=path, problem="edited", detail=f"{len(actual)} bytes differ from the {len(content)} that the journal gives"
    )


def _look(directory: Path, path: str) -> Path | Difference:
    target = directory / path
    if target.is_symlink():
        return Difference(path=path, problem="link", detail="a link stands in its place")
    if not target.exists():
        return Difference(path=path, problem="missing", detail="it is not there")
    if not target.is_file():
        return Difference(path=path, problem="not_a_file", detail="something else stands in its place")
    return target


def _extra(directory: Path, expected: set[str]) -> list[Difference]:
    folders = {str(parent) for path in expected for parent in Path(path).parents}
    found = []
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        is_folder = path.is_dir() and not path.is_symlink() and name in folders
        if name not in expected and not is_folder:
            found.append(Difference(path=name, problem="extra", detail="nothing in the journal gives it"))
    return found


def _compare_database(directory: Path, rendered: Rendered, fold: Fold, position: Position) -> list[Difference]:
    found = _look(directory, checkpoint.DATABASE)
    if isinstance(found, Difference):
        return [found]
    expected = expected_rows(rendered, fold, position)
    try:
        with checkpoint.reading_a_copy(found) as db:
            actual = checkpoint.dump_rows(db)
    except (sqlite3.DatabaseError, OSError) as cause:
        return [Difference(path=checkpoint.DATABASE, problem="unreadable", detail=str(cause))]
    differences = []
    for table in sorted(expected.keys() | actual.keys()):
        if expected.get(table) != actual.get(table):
            differences.append(
                Difference(
                    path=checkpoint.DATABASE, problem="edited", detail=f"the rows of {table} differ from the journal's"
                )
            )
    return differences


def expected_rows(rendered: Rendered, fold: Fold, position: Position) -> dict[str, list[tuple[object, ...]]]:
    """The rows of a database made from the same fold, read the same way."""
    with contextlib.closing(checkpoint.scratch()) as db:
        checkpoint.save(db, position, fold.dump(), rendered.sizes, rendered.counters.values())
        return checkpoint.dump_rows(db)


def _line_digest(line: bytes) -> bytes:
    return sha256(line).digest()[:_DIGEST_BYTES]
