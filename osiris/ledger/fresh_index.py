"""An index made from nothing but the journal, beside the old one, and swapped in file by file.

Killed at any point, it leaves an index without a database, which the next command rebuilds. Memory is bounded by the
number of pipelines and of retro-active changes, not by the length of the history.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from osiris import durable
from osiris.errors import OsirisError
from osiris.events.journal import Journal
from osiris.events.reader import JournalReader
from osiris.events.segment import Extent
from osiris.ledger import checkpoint
from osiris.ledger.fold import Fold
from osiris.projections.base import Append, Change, Prepend, Revise, SetCounter, Write

Revisions = dict[tuple[str, bytes], list[Revise]]
"""What later entries say about lines of earlier ones, by file and line key, in journal order."""

_FLUSH_BYTES = 8 * 1024 * 1024


class LineRevisions:
    """Collects revisions in a first fold, and applies them to each line as it is made in a second one."""

    def __init__(self, known: Revisions | None = None) -> None:
        self._known = known or {}
        self.found: Revisions = {}

    def note(self, change: Revise) -> None:
        """Remember one revision."""
        self.found.setdefault((change.path, change.key), []).append(change)

    def final(self, path: str, line: bytes) -> bytes:
        """``line`` as the end of the journal has it."""
        if self._known:
            key = line[: line.index(b",", line.index(b",") + 1) + 1]  # a line is known by its first two fields
            for revision in self._known.get((path, key), ()):
                line = revision.edit(line)
        return line

    def complete(self) -> bool:
        """Whether every revision that was found had been known before: the lines are final."""
        return self.found.keys() <= self._known.keys()


class FreshFiles:
    """Writes the files of a new index in ``directory``; newest-first files stay oldest-first until :meth:`finish`."""

    def __init__(self, directory: Path, revisions: LineRevisions) -> None:
        self._directory = directory
        self.revisions = revisions
        self._buffers: dict[str, bytearray] = {}
        self._buffered_bytes = 0
        self._newest_first: set[str] = set()
        self._whole: dict[str, bytes] = {}
        self.counters: dict[str, SetCounter] = {}

    def apply(self, change: Change) -> None:
        """Carry out one change."""
        match change:
            case Append(path=path, line=line):
                self._add(path, line)
            case Prepend(path=path, line=line):
                self._newest_first.add(path)
                self._add(path, line)
            case Write(path=path, content=content):
                self._whole[path] = content
            case Revise():
                self.revisions.note(change)
            case SetCounter(slug=slug):
                self.counters[slug] = change

    def finish(self) -> dict[str, int]:
        """Complete every file; returns the size of each growing one."""
        self._flush()
        sizes: dict[str, int] = {}
        for path in self._buffers:
            target = self._directory / path
            if path in self._newest_first:
                _reverse_lines(target)
            sizes[path] = target.stat().st_size
        for path, content in self._whole.items():
            target = self._directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(target, content, sync=False)
        return sizes

    def _add(self, path: str, line: bytes) -> None:
        line = self.revisions.final(path, line)
        self._buffers.setdefault(path, bytearray()).extend(line)
        self._buffered_bytes += len(line)
        if self._buffered_bytes > _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        for path, buffer in self._buffers.items():
            if buffer:
                target = self._directory / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("ab") as file:
                    file.write(buffer)
                buffer.clear()
        self._buffered_bytes = 0


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
    fold, tail, files = _fold_into(fresh, journal.read(until=until), LineRevisions(), up_to_seq)
    if not files.revisions.complete():
        # The second fold ends where the first did: a revision that came since would not be known to it.
        durable.remove_tree(fresh)
        known = LineRevisions(files.revisions.found)
        fold, tail, files = _fold_into(fresh, journal.read(until=until), known, up_to_seq=tail.position.seq)
    sizes = files.finish()
    database = fresh / checkpoint.DATABASE
    checkpoint.create(database)
    with contextlib.closing(checkpoint.connect(database)) as db:
        checkpoint.save(db, tail.position, fold.dump(), sizes, files.counters.values())
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


def _fold_into(
    fresh: Path, tail: JournalReader, revisions: LineRevisions, up_to_seq: int | None = None
) -> tuple[Fold, JournalReader, FreshFiles]:
    fresh.mkdir(parents=True)
    fold, files = Fold(), FreshFiles(fresh, revisions)
    fold.run(islice(tail, up_to_seq), files.apply)
    return fold, tail, files


def _swap(fresh: Path, directory: Path) -> None:
    """Move every file of ``fresh`` over the one in ``directory`` and remove what does not belong there.

    The old database goes first and the new one comes last: in between, nobody takes the index for usable.
    """
    if not directory.is_dir():
        durable.remove_tree(directory)
        directory.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        durable.remove_tree(directory / f"{checkpoint.DATABASE}{suffix}")
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()} - {Path(checkpoint.DATABASE)}
    _clear(directory, wanted)
    for path in sorted(wanted):
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(target)
    (fresh / checkpoint.DATABASE).replace(directory / checkpoint.DATABASE)


def _clear(directory: Path, wanted: set[Path]) -> None:
    """Remove everything under ``directory`` but plain files that are ``wanted`` and the folders that hold them."""
    folders = {parent for path in wanted for parent in path.parents}
    for path in sorted(directory.rglob("*"), reverse=True):
        relative = path.relative_to(directory)
        is_plain = not path.is_symlink()
        if not (
            (relative in wanted and is_plain and path.is_file()) or (relative in folders and is_plain and path.is_dir())
        ):
            durable.remove_tree(path)


def _reverse_lines(path: Path) -> None:
    temporary = path.with_name(path.name + ".reversed")
    with temporary.open("wb") as target:
        for line in lines_backward(path):
            target.write(line)
    temporary.replace(path)


def lines_backward(path: Path) -> Iterator[bytes]:
    """The lines of a file, last first, without reading it whole; a last line without its newline is left out."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = content.rfind(b"\n") + 1
        while end > 0:
            start = content.rfind(b"\n", 0, end - 1) + 1
            yield content[start:end]
            end = start
