"""Who appends, for the figures of the journal: Osiris, a bare file, and SQLite with the same promise."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from osiris import durable
from osiris.clock import SystemClock
from osiris.events.journal import Journal
from osiris.events.runs import RunFinished

EVENT = RunFinished(
    run_id="run-000001_01M7Y0ANWRYVPF5TJ8RYCQP4Y2",
    pipeline_slug="orders",
    status="success",
    finished_at="2026-11-21T00:40:01.123456Z",
    duration_ms=5,
    rows_in=1_000,
    rows_out=17,
)


def open_journal(root: Path) -> Journal:
    """The journal of a project, as a process would open it."""
    return Journal(root / "journal", clock=SystemClock(), segment_bytes=64 << 20, lock_timeout_s=60)


class BareFile:
    """The floor: one write and one fdatasync of the same bytes on the same disk."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, content: bytes) -> None:
        """Append ``content`` and wait for the disk."""
        os.write(self._fd, content)
        durable.sync_file(self._fd)


class SqliteLog:
    """What one would use otherwise: a table in WAL mode whose commits are synced; one connection for each thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connection().execute("CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, line BLOB NOT NULL)")

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "db"):
            self._local.db = sqlite3.connect(self._path, isolation_level=None, timeout=60)
            self._local.db.execute("PRAGMA journal_mode=WAL")
            self._local.db.execute("PRAGMA synchronous=FULL")
        db: sqlite3.Connection = self._local.db
        return db

    def append(self, line: bytes) -> None:
        """Insert one row, in a transaction of its own."""
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO log (line) VALUES (?)", (line,))
        db.execute("COMMIT")


def appender(kind: str, root: Path, line: bytes) -> Callable[[], object]:
    """A call that appends once: ``osiris``, ``bare`` or ``sqlite``."""
    if kind == "osiris":
        journal = open_journal(root)
        return lambda: journal.append(EVENT)
    if kind == "sqlite":
        log = SqliteLog(root / "log.sqlite")
        return lambda: log.append(line)
    bare = BareFile(root / "bare")
    return lambda: bare.write(line)


def appends_a_second(append: Callable[[], object], threads: int, seconds: float) -> float:
    """The rate of ``threads`` threads of this process together."""
    end = time.perf_counter() + seconds
    counts = [0] * threads

    def work(number: int) -> None:
        while time.perf_counter() < end:
            append()
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - start)


def main() -> None:
    """As a process of its own: ``KIND ROOT SECONDS`` appends from the word on stdin on, and prints how often it did."""
    kind, root, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    append = appender(kind, root, b"x" * 500)
    append()
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < end:
        append()
        count += 1
    print(count, flush=True)


if __name__ == "__main__":
    main()
