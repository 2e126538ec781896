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

    def load(self) -> Checkpoint | None:
        """What it says; None where it cannot be used."""
        shown = self._read(frozen=not os.access(self.path.parent, os.W_OK))
        # On a full disk SQLite cannot even make the files that it wants beside a database; reading goes on.
        return shown if shown is not None else self._read(frozen=True)

    def is_at_home(self) -> bool:
        """Whether it was written since the machine was started, and has not been copied."""
        with contextlib.suppress(OSError, sqlite3.Error):
            return checkpoint.is_at_home(self._connection(frozen=self._opened_as[1]), self.path)
        return False

    def settle_home(self) -> None:
        """It is at home here and now."""
        checkpoint.settle_home(self._connection(), self.path)

    def save(self, shown: Checkpoint, changed: Collection[str], rows: Iterable[SetCounter | SetKey]) -> None:
        """Move the checkpoint; see :func:`osiris.ledger.checkpoint.save`."""
        checkpoint.save(self._connection(), shown, changed, rows)

    def recorded_with(self, key: str) -> tuple[int, str] | None:
        """``seq`` and ``hash`` of the entry that was recorded with an idempotency key."""
        return checkpoint.recorded_with(self._connection(), key)

    def close(self) -> None:
        """Close it; the next use opens it again."""
        if self._db is not None:
            self._db.close()
        self._db = None

    def _read(self, *, frozen: bool) -> Checkpoint | None:
        try:
            shown = checkpoint.load(self._connection(frozen=frozen))
        except (sqlite3.Error, OSError, UnicodeError):  # the last: a schema of bytes that are no text
            shown = None
        if shown is None:
            self.close()
        return shown

    def _connection(self, *, frozen: bool = False) -> sqlite3.Connection:
        if self._pid != os.getpid():
            _inherited.append(self._db)
            self._db, self._pid = None, os.getpid()
        wanted = (self.path.stat().st_ino, frozen)
        if self._db is None or wanted != self._opened_as:
            self.close()
            self._db = checkpoint.connect_frozen(self.path) if frozen else checkpoint.connect(self.path)
            self._opened_as = wanted
        return self._db
