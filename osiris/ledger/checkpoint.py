"""``counters.sqlite``: the run counters, and how far the index has come.

The checkpoint row is the witness of the journal: its ``seq`` and ``hash`` were acknowledged, so a journal that does not
hold them any more was damaged or rolled back. Nothing here is synced: after a power cut the file is as disposable as
the rest of the index.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from osiris.canonical import digest
from osiris.events.segment import Position
from osiris.ledger.home import home_of
from osiris.projections.base import SetCounter, SetKey

DATABASE = "counters.sqlite"
FORMAT_VERSION = 3
_HOME = "home"
"""The one table that a comparison leaves out: it says where the file lies, not what the journal says."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    pipeline_slug TEXT PRIMARY KEY,
    last_value INTEGER NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS checkpoint (
    seq INTEGER NOT NULL, hash TEXT NOT NULL, id TEXT NOT NULL, segment INTEGER NOT NULL, end_offset INTEGER NOT NULL,
    origin TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS projection_states (projection TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency_keys (key TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS home (boot_id TEXT NOT NULL, inode INTEGER NOT NULL);
"""

_BUMP = (
    "INSERT INTO counters (pipeline_slug, last_value, updated_at) VALUES (?, ?, ?) ON CONFLICT (pipeline_slug) "
    "DO UPDATE SET last_value = excluded.last_value, updated_at = excluded.updated_at"
)


class Checkpoint(NamedTuple):
    """What the index shows: the journal up to ``position``, whose first entry has the hash ``origin``.

    With it the dumped states of the fold, by projection, and the size of each growing file.
    """

    position: Position
    origin: str
    states: dict[str, str]
    sizes: dict[str, int]


def _digest(shown: Checkpoint) -> str:
    """Notices an edit by hand: run numbers are decided from these states."""
    return digest([list(shown.position), shown.origin, shown.states, shown.sizes])


def create(path: Path) -> None:
    """An empty database at ``path``."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA journal_mode=WAL")
        _initialise(db)


def scratch() -> sqlite3.Connection:
    """An empty database in memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    _initialise(db)
    return db


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing database for live updates; ``sqlite3.Error`` where there is none that can be used."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10, check_same_thread=False
    )
    db.execute("PRAGMA synchronous=OFF")
    return db


def connect_frozen(path: Path) -> sqlite3.Connection:
    """Open an existing database without a lock and without writing a byte, as it stands in the main file."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
    )


@contextlib.contextmanager
def reading_a_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """The database with what its write-ahead log holds, for whoever must not write a byte beside it.

    A process that was killed, or one that is still alive, may have left the truth in the log; then a copy of both
    files outside of the project is read.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists() or log.stat().st_size == 0:
        with contextlib.closing(connect_frozen(path)) as db:
            yield db
        return
    with tempfile.TemporaryDirectory(prefix="osiris-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(log, copy.with_name(log.name))
        with contextlib.closing(connect(copy)) as db:
            yield db


def load(db: sqlite3.Connection) -> Checkpoint | None:
    """The checkpoint, read in one transaction; None where the database is not one that this version keeps."""
    try:
        db.execute("BEGIN")
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] != FORMAT_VERSION:
                return None
            rows = db.execute("SELECT seq, hash, id, segment, end_offset, origin, digest FROM checkpoint").fetchall()
            if len(rows) != 1:
                return None
            *position, origin, stated = rows[0]
            states = dict(db.execute("SELECT projection, state FROM projection_states"))
            shown = Checkpoint(Position(*position), origin, states, dict(db.execute("SELECT path, bytes FROM files")))
        finally:
            db.execute("COMMIT")
        return shown if _digest(shown) == stated else None
    except (sqlite3.DatabaseError, TypeError, ValueError):  # a value of another type is an edit as well
        return None


def is_at_home(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the database at ``path`` was written since the machine was started, and has not been copied."""
    try:
        return db.execute("SELECT boot_id, inode FROM home").fetchall() == [tuple(home_of(path))]
    except sqlite3.DatabaseError:
        return False


def settle_home(db: sqlite3.Connection, path: Path) -> None:
    """The database at ``path`` is at home here and now: what it shows is what the journal says."""
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM home")
    db.execute("INSERT INTO home VALUES (?, ?)", home_of(path))
    db.execute("COMMIT")


def witness_in(directory: Path, origin: str) -> Position | None:
    """How far the index in ``directory`` has come, read without writing a byte; None where it cannot be told.

    None as well for an index that was copied here from another journal than the one that begins with ``origin``; a
    journal whose first entry is gone ("") is none that could deny it.
    """
    path = directory / DATABASE
    if not path.is_file():
        return None
    try:
        with reading_a_copy(path) as db:
            stored = load(db)
            is_own = stored is not None and (origin in ("", stored.origin) or is_at_home(db, path))
    except (sqlite3.DatabaseError, OSError):
        return None
    return stored.position if stored and is_own else None


def recorded_with(db: sqlite3.Connection, key: str) -> tuple[int, str] | None:
    """``seq`` and ``hash`` of the entry that was recorded with an idempotency key; None if none was."""
    found: tuple[int, str] | None = db.execute(
        "SELECT seq, hash FROM idempotency_keys WHERE key = ?", (key,)
    ).fetchone()
    return found


def save(
    db: sqlite3.Connection, shown: Checkpoint, changed_files: Collection[str], rows: Iterable[SetCounter | SetKey]
) -> None:
    """Move the checkpoint, in one transaction; of the sizes only those of ``changed_files`` are written."""
    position, origin, states, sizes = shown
    rows = list(rows)
    db.execute("BEGIN IMMEDIATE")
    db.executemany(_BUMP, [row for row in rows if isinstance(row, SetCounter)])
    db.executemany(
        "INSERT OR IGNORE INTO idempotency_keys VALUES (?, ?, ?)", [row for row in rows if isinstance(row, SetKey)]
    )
    db.execute("DELETE FROM checkpoint")
    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?)", (*position, origin, _digest(shown)))
    db.executemany("INSERT OR REPLACE INTO projection_states VALUES (?, ?)", states.items())
    db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", [(path, sizes[path]) for path in changed_files])
    db.execute("COMMIT")
    # Bring the main file up to date, so that a reader that must not write anything sees the truth in it.
    db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def dump_rows(db: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Schema and ordered rows of every table: how two databases are compared."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    schema = db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    tables = [name for name in tables if name != _HOME]
    rows = {name: db.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in tables}  # noqa: S608
    return {"(schema)": schema, **rows}


def as_os_error(cause: OSError | sqlite3.DatabaseError, directory: Path) -> OSError:
    """SQLite's "disk is full" and "readonly" as the system error that they stand for.

    Where memory-mapped files beside the database cannot grow, SQLite calls a full disk an I/O error.
    """
    if isinstance(cause, OSError):
        return cause
    with contextlib.suppress(OSError):
        if os.statvfs(directory).f_bavail == 0:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    numbers = {"SQLITE_FULL": errno.ENOSPC, "SQLITE_READONLY": errno.EROFS, "SQLITE_CANTOPEN": errno.EACCES}
    return OSError(numbers.get(getattr(cause, "sqlite_errorname", ""), errno.EIO), str(cause))


def _initialise(db: sqlite3.Connection) -> None:
    db.executescript(_SCHEMA)
    db.execute(f"PRAGMA user_version={FORMAT_VERSION}")
