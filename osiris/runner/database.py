"""The DuckDB instance of one run: in memory, with a limit, a folder to spill to, and nothing fetched from anywhere."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import duckdb

from osiris.components.base import quote_literal
from osiris.errors import OsirisError
from osiris.runner.results import RuntimeLimits

_SHARE_OF_MEMORY = 0.6
_MIB_FOR_A_THREAD = 64
_CGROUP_ROOT = Path("/sys/fs/cgroup")


class DatabaseOpening:
    """An instance that a thread of its own is opening meanwhile: that takes 40 ms, in which a run gets its number.

    Queries on its cursors see no variables of this program.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="osiris-database")
        self._opened = self._thread.submit(_open)
        self._limited: Future[None] | None = None
        self._used = False

    def limit(self, limits: RuntimeLimits) -> None:
        """What the instance may use, set as soon as it is open. Said once, before anything runs on it."""
        self._limited = self._thread.submit(_limit_opened, self._opened, limits)

    def __enter__(self) -> DatabaseOpening:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._used:
            self._thread.submit(_close_opened, self._opened)
        self._thread.shutdown(wait=False)

    @contextlib.contextmanager
    def spilling_into(self, spill_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """The instance for the length of the block; an error if the limits are none that DuckDB takes.

        Closing it takes 10 ms, for which nobody has to wait unless it spilled: then its files must be gone afterwards.
        """
        self._used = True
        connection = self._opened.result()
        try:
            if self._limited is None:
                _limit(connection, RuntimeLimits())
            else:
                self._limited.result()
            connection.execute(f"SET temp_directory = {quote_literal(str(spill_dir))}")
            yield connection
        finally:
            if spill_dir.exists():
                connection.close()
            else:
                threading.Thread(target=connection.close, name="osiris-database").start()


def _limit_opened(opened: Future[duckdb.DuckDBPyConnection], limits: RuntimeLimits) -> None:
    _limit(opened.result(), limits)


def _close_opened(opened: Future[duckdb.DuckDBPyConnection]) -> None:
    if opened.exception() is None:
        opened.result().close()


def _open() -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    return duckdb.connect(":memory:", config=settings)


def _limit(connection: duckdb.DuckDBPyConnection, limits: RuntimeLimits) -> None:
    memory_limit = limits.memory_limit or f"{default_memory_limit_bytes() >> 20}MiB"
    try:
        connection.execute(f"SET memory_limit = {quote_literal(memory_limit)}")
        if limits.threads is not None:
            connection.execute(f"SET threads = {limits.threads}")
    except duckdb.Error as cause:
        problem = f"DuckDB does not take the runtime limits: {cause}".splitlines()[0]
        raise OsirisError(problem, "Write memory_limit as 4GB and threads as 2.", code="config.invalid") from cause
    if limits.threads is None:
        _leave_memory_for_each_thread(connection)


def _leave_memory_for_each_thread(connection: duckdb.DuckDBPyConnection) -> None:
    """Under a small limit several threads sorting at once starve each other, where one alone spills and finishes."""
    settings = "SELECT current_setting('memory_limit'), current_setting('threads')"
    [(limit, threads)] = connection.execute(settings).fetchall()
    amount, unit = str(limit).split()
    if unit == "MiB":
        connection.execute(f"SET threads = {min(int(threads), max(1, int(float(amount)) // _MIB_FOR_A_THREAD))}")


def open_cursor(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection to the same instance, for one thread: times in UTC, statements profiled, progress counted."""
    cursor = database.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    cursor.execute("SET enable_progress_bar = true")
    cursor.execute("SET enable_progress_bar_print = false")
    cursor.execute("PRAGMA enable_profiling = 'no_output'")
    return cursor


def default_memory_limit_bytes() -> int:
    """60 % of the machine's memory, or of what this process's cgroup leaves of it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min([machine, *_cgroup_limits()]) * _SHARE_OF_MEMORY)


def _cgroup_limits() -> Iterator[int]:
    """The limits of the cgroup and of its parents; none outside of Linux."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                folder = _CGROUP_ROOT / controllers / path.lstrip("/")
                for level in (folder, *folder.parents):
                    for name in ("memory.max", "memory.limit_in_bytes"):
                        with contextlib.suppress(OSError, ValueError):
                            yield int((level / name).read_text(encoding="utf-8"))
