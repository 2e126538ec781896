"""The index's database, opened when it is needed and again when another file stands in its place."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path

from osiris.ledger import checkpoint
from osiris.ledger.checkpoint import Checkpoint
from osiris.projections.base import SetCounter, SetKey

_inherited: list[sqlite3.Connection | None] = []
"""Connections of a parent process: SQLite allows neither their use nor their end in a forked child."""


class IndexDatabase:
    """``counters.sqlite`` in one directory, for the threads of this process in turn."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / checkpoint.DATABASE
        self._db: sqlite3.Connection | None = None
        self._opened_as = (-1, False)
        self._pid = os.getpid()
        self._shown: tuple[int, Checkpoint] | None = None
        self._at_home = False

    def load(self) -> Checkpoint | None:
        """What it says; None where it cannot be used. Read again only if others have written to it since."""
        with contextlib.suppress(sqlite3.Error, OSError):
            version = self._version()
            if self._shown is not None and self._shown[0] == version:
                return self._shown[1]
        shown = self._read(frozen=not os.access(self.path.parent, os.W_OK))
        # On a full disk SQLite cannot even make the files that it wants beside a database; reading goes on.
        return shown if shown is not None else self._read(frozen=True)

    def is_at_home(self) -> bool:
        """Whether it was written since the machine was started, and has not been copied."""
        if not self._at_home:
            with contextlib.suppress(OSError, sqlite3.Error):
                self._at_home = checkpoint.is_at_home(self._connection(frozen=self._opened_as[1]), self.path)
        return self._at_home

    def settle_home(self) -> None:
        """It is at home here and now."""
        checkpoint.settle_home(self._connection(), self.path)

    def save(self, shown: Checkpoint, changed: Collection[str], rows: Iterable[SetCounter | SetKey]) -> None:
        """Move the checkpoint; see :func:`osiris.ledger.checkpoint.save`."""
        version = self._version()  # a write of one's own does not change it
        checkpoint.save(self._connection(), shown, changed, rows)
        self._shown = (version, shown)

    def recorded_with(self, key: str) -> tuple[int, str] | None:
        """``seq`` and ``hash`` of the entry that was recorded with an idempotency key."""
        return checkpoint.recorded_with(self._connection(), key)

    def close(self) -> None:
        """Close it; the next use opens it again."""
        if self._db is not None:
            self._db.close()
        self._forget()

    def _forget(self) -> None:
        self._db, self._shown, self._at_home = None, None, False

    def _version(self) -> int:
        """Another number once somebody else has written to it, or another file stands in its place."""
        if self._opened_as[1]:
            return -1  # opened as if nobody ever wrote to it, so that it would not be noticed
        version: int = self._connection().execute("PRAGMA data_version").fetchone()[0]
        return version

    def _read(self, *, frozen: bool) -> Checkpoint | None:
        try:
            connection = self._connection(frozen=frozen)
            version = self._version()  # before it is read: what is written meanwhile is read the next time
            shown = checkpoint.load(connection)
        except (sqlite3.Error, OSError, UnicodeError):  # the last: a schema of bytes that are no text
            shown = None
        if shown is None:
            self.close()
        elif not frozen:
            self._shown = (version, shown)
        return shown

    def _connection(self, *, frozen: bool = False) -> sqlite3.Connection:
        if self._pid != os.getpid():
            _inherited.append(self._db)
            self._forget()
            self._pid = os.getpid()
        wanted = (self.path.stat().st_ino, frozen)
        if self._db is None or wanted != self._opened_as:
            self.close()
            self._db = checkpoint.connect_frozen(self.path) if frozen else checkpoint.connect(self.path)
            self._opened_as = wanted
        return self._db
