"""The index that commands use: brought up to the journal's end by whoever comes first, under its own lock.

The order of locks is journal, then index. Nobody who holds the index lock ever waits for the journal's.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import threading
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from osiris import durable
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.journal import Journal
from osiris.events.reader import JournalReader
from osiris.events.segment import START, Extent, Position
from osiris.ledger import checkpoint
from osiris.ledger.fold import Fold, load_fold
from osiris.ledger.fresh_index import rebuild_index
from osiris.ledger.index_database import IndexDatabase
from osiris.ledger.index_files import IndexDrift, apply_changes
from osiris.ledger.verify import check
from osiris.locks import HeldLock, acquire, quiet
from osiris.projections.base import SetCounter, SetKey

_BATCH_ENTRIES = 5_000
_TRIES = 5
_PATIENCE_S = 1.0
_log = logging.getLogger("osiris.ledger")


class Head(NamedTuple):
    """The folded states at the journal's end, and the drained reader that found this end."""

    fold: Fold
    tail: JournalReader


class LiveIndex:
    """The index in one directory. ``lock_path`` stands outside it, for the directory may be deleted at any time."""

    def __init__(self, directory: Path, *, lock_path: Path, lock_timeout_s: float) -> None:
        self.directory = directory
        self._lock_path = lock_path
        self._lock_timeout_s = lock_timeout_s
        self._database = IndexDatabase(directory)
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        self._threads = threading.RLock()
        self._loaded: tuple[Position, Fold] | None = None

    def lock(self) -> HeldLock:
        """The lock of whoever changes the index; exit 6 past the deadline, exit 7 where it cannot be opened."""
        try:
            durable.make_folders(self._lock_path.parent)
        except OSError as cause:
            raise disk_error("create", self._lock_path.parent, cause) from cause
        return acquire(self._lock_path, timeout_s=self._lock_timeout_s, purpose="bringing the index up to date")

    def quiet(self) -> AbstractContextManager[None]:
        """Keep those who change the index out for a moment, without writing a byte."""
        return quiet(self._lock_path, timeout_s=self._lock_timeout_s, purpose="looking at the index")

    def catch_up(self, journal: Journal, *, locked: bool = False, until: Extent | None = None) -> Head:
        """Fold and show every entry that the index has not seen. Takes no lock and writes nothing if there is none.

        What the index shows must never be taken back: it is the journal's witness. So an entry counts once it is on the
        disk; ``until`` is how far the caller knows that, and ``locked`` that he holds the journal's lock.
        """
        with self._threads:
            current = self._current(journal)
        if current is not None:
            journal.adopt(current.tail.position)
            return current
        if locked:
            journal.settled_locked()
        elif until is None:
            until = self._settled(journal)
        with self._threads:
            self._go_elsewhere_if_read_only()
            with self.lock():
                head = self._catch_up_locked(journal, until)
        journal.adopt(head.tail.position)
        return head

    def rebuild(self, journal: Journal, up_to_seq: int | None = None, *, is_repaired: bool = False) -> Position:
        """Render everything afresh from the first entry and swap it in; returns how far it got.

        With ``up_to_seq`` nothing behind that entry is looked at, so that it may be corrupt. What the index has seen
        acknowledged must be in the journal all the same, unless that ``is_repaired``: else exit 5.
        """
        witness = None if is_repaired else checkpoint.witness_in(self.directory, journal.origin())
        if witness is not None:
            journal.read(witness).check_start()
        until = journal.settled()
        with self._threads, self.lock():
            if up_to_seq is None:
                return self._rebuild_locked(journal, until).tail.position
            self._render_afresh(journal, until, up_to_seq)
            stored = self._load()
            return stored[0].position if stored else START

    def lines_file(self, journal: Journal, relative: str) -> Path:
        """Where a growing file stands; if it has not the size that the checkpoint says, all is rebuilt first."""
        path = self.directory / relative
        with self._threads:
            if not journal.exists() or self._has_its_size(relative):
                return path
        until = journal.settled()
        self._go_elsewhere_if_read_only()
        path = self.directory / relative
        with self._threads, self.lock():
            # Somebody may just have been adding to it: only under the lock a difference counts.
            if not self._has_its_size(relative):
                if self._elsewhere is None:  # there, nothing has been made yet
                    _log.warning("%s differs from the journal; rebuilding the index", path)
                self._rebuild_locked(journal, until)
        return path

    def recorded_with(self, key: str) -> tuple[int, str] | None:
        """``seq`` and ``hash`` of the entry that was recorded with an idempotency key, as far as the index has come."""
        with self._threads:
            return self._database.recorded_with(key)

    def close(self) -> None:
        """Let go of all; the next use opens the database again."""
        self._close_database()
        if self._elsewhere is not None:
            self._elsewhere.cleanup()
            self._elsewhere = None

    def _close_database(self) -> None:
        self._database.close()
        self._loaded = None

    def _go_elsewhere_if_read_only(self) -> None:
        """Where nothing can be written, a fresh index in the temporary folder shows what this one has not seen."""
        standing = next(path for path in (self.directory, *self.directory.parents) if path.exists())
        if self._elsewhere is None and not os.access(standing, os.W_OK):
            _log.info("the index in %s is behind and cannot be changed: reading the journal afresh", self.directory)
            self._close_database()
            self._elsewhere = tempfile.TemporaryDirectory(prefix="osiris-")
            self.directory = Path(self._elsewhere.name) / "index"
            self._lock_path = Path(self._elsewhere.name) / "index.lock"
            self._database = IndexDatabase(self.directory)

    def _current(self, journal: Journal) -> Head | None:
        """The index as it is, if there is nothing that it has not seen."""
        stored = self._load()
        if stored is not None:
            if not self._database.is_at_home():
                return None
            tail = journal.read(stored[0].position)
            return Head(stored[1], tail) if next(iter(tail), None) is None else None
        if not journal.exists():
            return Head(Fold(), journal.read().drain())  # a project in which nothing has happened yet
        return None

    def _settled(self, journal: Journal) -> Extent | None:
        """How far the journal may be shown. A writer that stands still keeps nobody from what was there before."""
        try:
            return journal.settled(min(self._lock_timeout_s, _PATIENCE_S))
        except OsirisError as error:
            if error.exit_code != ExitCode.LOCKED:
                raise
            _log.warning("%s: what is being written now is not shown", error)
        with self._threads:
            stored = self._load()
        return Extent(stored[0].position.segment, stored[0].position.offset) if stored else None

    def _catch_up_locked(self, journal: Journal, until: Extent | None) -> Head:
        for _ in range(_TRIES):
            stored = self._load()
            if stored is not None:
                try:
                    if not self._database.is_at_home():
                        self._compare(journal, stored[0])
                    return self._apply_pending(journal, until, *stored)
                except IndexDrift as drift:
                    _log.warning("the index differs from the journal (%s); rebuilding it", drift)
            elif self.directory.exists():
                _log.warning("the index cannot be used as it is; rebuilding it from the journal")
            self._render_afresh(journal, until)
        raise OsirisError(
            f"the index in {self.directory} is being changed by somebody else, {_TRIES} times in a row",
            "Let whoever deletes or edits it finish, then run the command again.",
            code="index.unsettled",
            exit_code=ExitCode.INDEX_DRIFT,
            path=str(self.directory),
        )

    def _compare(self, journal: Journal, stored: checkpoint.Checkpoint) -> None:
        """After a power cut, or in a copy, the index may hold anything: :class:`IndexDrift` if it is not the journal's.

        What is found to be right is at home here from now on. Exit 5 if what it has seen acknowledged is gone.
        """
        _log.info("the index in %s is of before a restart, or a copy: comparing it with the journal", self.directory)
        if journal.origin() not in ("", stored.origin):
            raise IndexDrift("it is the copy of another journal's")
        journal.read(stored.position).check_start()
        differences = check(self.directory, journal, stored.position.seq).differences
        if differences:
            first = differences[0]
            raise IndexDrift(f"after a restart, or in a copy, {first.path} is {first.problem}: {first.detail}")
        try:
            self._database.settle_home()
        except sqlite3.Error as cause:
            raise IndexDrift(f"its database cannot be written: {cause}") from cause

    def _rebuild_locked(self, journal: Journal, until: Extent | None) -> Head:
        self._render_afresh(journal, until)
        return self._catch_up_locked(journal, until)

    def _apply_pending(self, journal: Journal, until: Extent | None, stored: checkpoint.Checkpoint, fold: Fold) -> Head:
        sizes = stored.sizes
        tail = journal.read(stored.position, until)
        entries = iter(tail)
        try:
            while batch := list(islice(entries, _BATCH_ENTRIES)):
                changes = [change for entry in batch for change in fold.advance(entry)]
                changed = apply_changes(self.directory, changes, sizes)
                sizes |= changed
                rows = [change for change in changes if isinstance(change, SetCounter | SetKey)]
                shown = checkpoint.Checkpoint(tail.position, journal.origin(), fold.dump(), sizes)
                self._database.save(shown, changed, rows)
        except FileNotFoundError as cause:
            self._close_database()
            raise IndexDrift(f"{cause.filename} has gone") from cause
        except (OSError, sqlite3.OperationalError) as cause:
            self._close_database()
            if not (self.directory / checkpoint.DATABASE).exists():
                raise IndexDrift("its database has gone") from cause
            raise disk_error(
                "update the index in", self.directory, checkpoint.as_os_error(cause, self.directory)
            ) from cause
        except sqlite3.DatabaseError as cause:
            self._close_database()
            raise IndexDrift(f"its database is damaged: {cause}") from cause
        except BaseException:
            self._close_database()  # the fold may be ahead of the checkpoint now
            raise
        self._loaded = (tail.position, fold)
        return Head(fold, tail)

    def _render_afresh(self, journal: Journal, until: Extent | None, up_to_seq: int | None = None) -> None:
        self._close_database()
        try:
            rebuild_index(self.directory, journal, until, up_to_seq)
        except FileNotFoundError:
            return  # somebody deletes the index while it is being made; whoever asked looks again
        except (OSError, sqlite3.DatabaseError) as cause:
            os_error = checkpoint.as_os_error(cause, self.directory.parent)
            raise disk_error("rebuild the index in", self.directory, os_error) from cause

    def _has_its_size(self, relative: str) -> bool:
        stored = self._load()
        if stored is None:
            return False
        try:
            actual = (self.directory / relative).stat().st_size
        except OSError:
            actual = 0
        return actual == stored[0].sizes.get(relative, 0)

    def _load(self) -> tuple[checkpoint.Checkpoint, Fold] | None:
        """Checkpoint and fold from the database; the fold is decoded anew only if others have moved the checkpoint."""
        stored = self._database.load()
        if stored is None:
            self._loaded = None
            return None
        if self._loaded is None or self._loaded[0] != stored.position:
            fold = load_fold(stored.states)
            if fold is None:
                return None
            self._loaded = (stored.position, fold)
        return stored, self._loaded[1]
