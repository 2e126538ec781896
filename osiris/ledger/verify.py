"""Verify: replay the journal, render every projection, compare both ways; not a byte is written.

Lines are compared while the journal is read and then forgotten, so that memory is bounded by the buffers. A line that a
later entry revises differs from the file until that entry comes: it is deferred. Where that is not enough, because
there are very many such lines or the index really differs, a second pass knows all revisions from the start.

A difference is looked at a second time under the index lock before it is reported: a command that was writing meanwhile
is no false alarm.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from osiris.events.journal import Journal
from osiris.events.reader import JournalReader
from osiris.events.segment import Extent, Position
from osiris.ledger import checkpoint
from osiris.ledger.fold import Fold
from osiris.ledger.index_files import TEMPORARY
from osiris.ledger.line_comparison import ComparedFile, Difference, look, unreadable
from osiris.ledger.replay import Edits, Replay, revised

_BUFFER_BYTES = 64 * 1024 * 1024
_DEFERRED_BYTES = 64 * 1024 * 1024
_DATABASE_FILES = frozenset(checkpoint.DATABASE + suffix for suffix in ("", "-wal", "-shm"))


class Checked(NamedTuple):
    """What was found: the differences by path, the fold that says so, and where it ended.

    ``position`` is the one behind the last entry folded; ``tail`` is the reader, drained if the fold went to the end.
    """

    differences: list[Difference]
    fold: Fold
    tail: JournalReader
    position: Position


class Comparison:
    """Compares the lines that the journal gives with the files in ``directory``.

    ``known`` are all the edits that the journal holds; without them, lines may be deferred until the edits have come.
    """

    def __init__(self, directory: Path, known: dict[str, Edits] | None = None) -> None:
        self.replay = Replay(self._compare, _BUFFER_BYTES, known)
        self._directory = directory
        self._deferred_bytes = 0
        self.files: dict[str, ComparedFile] = {}

    def _compare(self, path: str, lines: list[bytes]) -> None:
        known = self.replay.known
        if self._deferred_bytes > _DEFERRED_BYTES:
            return  # too many: the second pass will compare
        file = self.files.get(path)
        if file is None:
            file = self.files[path] = ComparedFile(path, newest_first=path in self.replay.newest_first)
        if known and path in known:
            lines = [revised(line, known[path]) for line in lines]
        self._deferred_bytes += file.compare(self._directory, lines, may_defer=known is None)

    def is_exact(self) -> bool:
        """Whether every line was compared in its final form."""
        if self.replay.known is not None:
            return True
        return (
            self._deferred_bytes <= _DEFERRED_BYTES
            and self.replay.edits.keys() <= self.files.keys()
            and all(file.settle(self._directory, self.replay.edits.get(path, {})) for path, file in self.files.items())
        )

    def differences(self) -> list[Difference]:
        """How the text files differ."""
        found = [file.finish(self._directory) for file in self.files.values()]
        found += [_compare_whole(self._directory, path, render()) for path, render in self.replay.whole.items()]
        return [difference for difference in found if difference is not None]

    def sizes(self) -> dict[str, int]:
        """What the growing files should have, in bytes."""
        return {path: file.wanted_bytes for path, file in self.files.items()}

    def expected(self) -> set[str]:
        """The paths of all text files."""
        return self.files.keys() | self.replay.whole.keys()


def check(directory: Path, journal: Journal, up_to_seq: int | None = None, until: Extent | None = None) -> Checked:
    """Every difference between the index in ``directory`` and the journal, read to its end or to ``up_to_seq``."""
    comparison, tail = Comparison(directory), journal.read(until=until)
    fold = comparison.replay.run(tail, up_to_seq)
    position = tail.position
    if not directory.exists() and position.seq == 0:
        return Checked([], fold, tail, position)  # nothing has happened yet, and nothing is shown
    if not directory.is_dir():
        missing = Difference(path=".", problem="missing", detail=f"{directory} is not a directory")
        return Checked([missing], fold, tail, position)
    if not comparison.is_exact():
        # The second pass ends where the first did: a revision that came since would not be known to it.
        comparison = Comparison(directory, comparison.replay.edits)
        fold = comparison.replay.run(journal.read(until=until), position.seq)
    shown = checkpoint.Checkpoint(position, journal.origin(), fold.dump(), comparison.sizes())
    differences = comparison.differences() + _compare_database(directory, shown, comparison)
    differences += _extra(directory, comparison.expected() | _DATABASE_FILES | {TEMPORARY})
    return Checked(sorted(differences, key=lambda found: (found.path, found.line)), fold, tail, position)


def _compare_whole(directory: Path, path: str, content: bytes) -> Difference | None:
    found = look(directory, path)
    if found is not None:
        return found
    try:
        actual = (directory / path).read_bytes()
    except OSError as cause:
        return unreadable(path, cause)
    if actual == content:
        return None
    if not actual:
        return Difference(path=path, problem="empty", detail=f"0 bytes, the journal gives {len(content)}")
    return Difference(
        path=path, problem="edited", detail=f"{len(actual)} bytes differ from the {len(content)} that the journal gives"
    )


def _extra(directory: Path, expected: set[str]) -> list[Difference]:
    folders = {path[:at] for path in expected for at, letter in enumerate(path) if letter == "/"}
    found = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            children = list(os.scandir(directory / prefix))
        except OSError as cause:
            found.append(unreadable(prefix.rstrip("/") or ".", cause))
            continue
        for child in children:
            name = prefix + child.name
            is_folder = child.is_dir(follow_symlinks=False)
            if is_folder:
                pending.append(name + "/")
            if name not in expected and not (is_folder and name in folders):
                found.append(Difference(path=name, problem="extra", detail="nothing in the journal gives it"))
    return found


def _compare_database(directory: Path, shown: checkpoint.Checkpoint, comparison: Comparison) -> list[Difference]:
    found = look(directory, checkpoint.DATABASE)
    if found is not None:
        return [found]
    expected = _expected_rows(shown, comparison)
    try:
        with checkpoint.reading_a_copy(directory / checkpoint.DATABASE) as db:
            actual = checkpoint.dump_rows(db)
    except (sqlite3.DatabaseError, OSError, UnicodeError) as cause:  # the last: bytes of a text that is none
        return [unreadable(checkpoint.DATABASE, cause)]
    differences = []
    for table in sorted(expected.keys() | actual.keys()):
        if expected.get(table) != actual.get(table):
            differences.append(
                Difference(
                    path=checkpoint.DATABASE, problem="edited", detail=f"the rows of {table} differ from the journal's"
                )
            )
    return differences


def _expected_rows(shown: checkpoint.Checkpoint, comparison: Comparison) -> dict[str, list[tuple[object, ...]]]:
    """The rows of a database made from the same fold, read the same way."""
    with contextlib.closing(checkpoint.scratch()) as db:
        checkpoint.save(db, shown, shown.sizes, comparison.replay.rows())
        return checkpoint.dump_rows(db)
