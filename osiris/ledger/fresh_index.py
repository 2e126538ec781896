"""An index made from nothing but the journal, beside the old one, and swapped in file by file.

Killed at any point, it leaves an index without a database, which the next command rebuilds. What later entries say
about lines of earlier ones is edited into the finished files, so that one pass over the journal is enough.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from osiris import durable
from osiris.errors import OsirisError
from osiris.events.journal import Journal
from osiris.events.reader import JournalReader
from osiris.events.segment import Extent
from osiris.ledger import checkpoint
from osiris.ledger.fold import Fold
from osiris.ledger.replay import Edits, Replay, revised

_BUFFER_BYTES = 128 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_LINES_AT_ONCE = 1024


class FreshFiles:
    """Writes the files of a new index in ``directory``.

    Each flush adds a piece to a file. The pieces of a newest-first file are newest first in themselves, so that it is
    enough for :meth:`finish` to turn their order round.
    """

    def __init__(self, directory: Path) -> None:
        self.replay = Replay(self._add, _BUFFER_BYTES)
        self._directory = directory
        self._folders: set[str] = set()
        self._ends: dict[str, list[int]] = {}

    def finish(self) -> dict[str, int]:
        """Complete every file; returns the size of each growing one."""
        sizes: dict[str, int] = {}
        for path, ends in self._ends.items():
            edits = self.replay.edits.get(path, {})
            sizes[path] = ends[-1]
            if edits or (len(ends) > 1 and path in self.replay.newest_first):
                sizes[path] = self._put_right(path, ends, edits)
        for path, render in self.replay.whole.items():
            durable.write_file(self._target(path), render(), sync=False)
        return sizes

    def _add(self, path: str, lines: list[bytes]) -> None:
        if path in self.replay.newest_first:
            lines.reverse()
        ends = self._ends.setdefault(path, [])
        size = ends[-1] if ends else 0
        fd = durable.open_for_appending(self._target(path))
        try:
            for start in range(0, len(lines), _LINES_AT_ONCE):
                content = b"".join(lines[start : start + _LINES_AT_ONCE])
                durable.write_all(fd, content)
                size += len(content)
        finally:
            os.close(fd)
        ends.append(size)

    def _put_right(self, path: str, ends: list[int], edits: Edits) -> int:
        """Write the pieces anew in the order of the finished file, with ``edits`` made; returns its size."""
        target = self._target(path)
        temporary = target.with_name(target.name + ".right")
        pieces = list(pairwise([0, *ends]))
        if path in self.replay.newest_first:
            pieces.reverse()
        with target.open("rb") as source, temporary.open("wb") as right:
            for start, end in pieces:
                source.seek(start)
                for block in _blocks(source, end - start, by_lines=bool(edits)):
                    right.write(revised(block, edits) if edits else block)
            size = right.tell()
        target.unlink()  # else some file systems would write the new bytes to the disk before they go on
        durable.move(temporary, target)
        return size

    def _target(self, path: str) -> Path:
        target = self._directory / path
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            durable.make_folders(target.parent)
            self._folders.add(folder)
        return target


def _blocks(source: BinaryIO, size: int, *, by_lines: bool) -> Iterator[bytes]:
    while size and (block := source.readline() if by_lines else source.read(min(_BLOCK_BYTES, size))):
        size -= len(block)
        yield block


def rebuild_index(directory: Path, journal: Journal, until: Extent | None, up_to_seq: int | None = None) -> None:
    """Replace the index in ``directory`` by a fresh one; the caller holds the index lock.

    It shows what the journal holds up to ``until`` or entry ``up_to_seq``, or to its end. Raises ``OSError``
    where the disk fails, and the journal's own errors; the old index then stands as it was.
    """
    _refuse_foreign(directory)
    fresh = directory.with_name(directory.name + ".new")
    durable.remove_tree(fresh)
    try:
        _rebuild_beside(fresh, directory, journal, until, up_to_seq)
    finally:
        durable.remove_tree(fresh)


def _rebuild_beside(
    fresh: Path, directory: Path, journal: Journal, until: Extent | None, up_to_seq: int | None
) -> None:
    fold, tail, files = _fold_into(fresh, journal.read(until=until), up_to_seq)
    sizes = files.finish()
    database = fresh / checkpoint.DATABASE
    checkpoint.create(database)
    with contextlib.closing(checkpoint.connect(database)) as db:
        shown = checkpoint.Checkpoint(tail.position, journal.origin(), fold.dump(), sizes)
        checkpoint.save(db, shown, sizes, files.replay.rows())
        checkpoint.settle_home(db, database)
    _swap(fresh, directory)


def _refuse_foreign(directory: Path) -> None:
    """A rebuild removes what does not belong to an index; a folder that is something else must not be taken for one."""
    for name in ("LOCK", "osiris.yaml", ".git", "*.ndjson"):
        if any(directory.glob(name)):
            raise OsirisError(
                f"{directory} is no index: it holds {name}",
                "Correct filesystem.index_dir in osiris.yaml: the index needs a folder of its own.",
                code="config.invalid",
                path=str(directory),
            )


def _fold_into(fresh: Path, tail: JournalReader, up_to_seq: int | None) -> tuple[Fold, JournalReader, FreshFiles]:
    durable.make_folders(fresh)
    files = FreshFiles(fresh)
    return files.replay.run(tail, up_to_seq), tail, files


def _swap(fresh: Path, directory: Path) -> None:
    """Put what ``fresh`` holds in the place of all that ``directory`` holds, which goes where ``fresh`` will go.

    Folders move as a whole, for they may hold thousands of files. The old database goes first and the new one comes
    last: in between, nobody takes the index for usable.
    """
    if not directory.is_dir():
        durable.remove_tree(directory)
        durable.make_folders(directory)
    for suffix in ("", "-wal", "-shm"):
        durable.remove_tree(directory / f"{checkpoint.DATABASE}{suffix}")
    wanted = sorted(fresh.iterdir(), key=lambda path: (path.name == checkpoint.DATABASE, path.name))
    old = fresh / ".old"
    durable.make_folders(old)
    for path in list(directory.iterdir()):
        durable.move(path, old / path.name)
    for path in wanted:
        durable.move(path, directory / path.name)
