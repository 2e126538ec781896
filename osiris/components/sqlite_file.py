"""A SQLite database file through ADBC's driver: one connection of one step, and the types of its columns.

SQLite gives every value a storage class of its own, and a column's declared type only inclines it towards one: that
inclination is the column's affinity (https://www.sqlite.org/datatype3.html). Nothing else in this process may open the
same file with another copy of SQLite: they would not see each other's locks (https://www.sqlite.org/howtocorrupt.html).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from osiris.components.base import CancelToken, quote_identifier, quote_literal
from osiris.errors import ExitCode, OsirisError
from osiris.families.base import missing_extra
from osiris.families.sqlite_files import SPEC, file_uri, locked_file

if TYPE_CHECKING:
    import duckdb

Affinity = Literal["INTEGER", "REAL", "TEXT", "NUMERIC", "BLOB"]

_Result = TypeVar("_Result")

_PATIENCE_MS = 5000
_LOOK_S = 0.1
_LOCKED = ("database is locked", "database table is locked")
_STREAM = "sqlite rows"
_PREFIX = re.compile(r"^.*(?:query: |\[SQLite\] )", re.DOTALL)


class SqliteColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column: its name, its declared type ("" for none), and whether a value can be put into it."""

    name: str
    declared: str
    writable: bool = True

    @property
    def affinity(self) -> Affinity:
        """By the five rules of https://www.sqlite.org/datatype3.html, section 3.1."""
        declared = self.declared.upper()
        if "INT" in declared:
            return "INTEGER"
        if any(part in declared for part in ("CHAR", "CLOB", "TEXT")):
            return "TEXT"
        if not declared or "BLOB" in declared:
            return "BLOB"
        return "REAL" if any(part in declared for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


class SqliteFile:
    """An open file. Each method raises OsirisError: ``connection.locked``, or ``failed`` with SQLite's words."""

    def __init__(self, file: Path, connection: Any, con: duckdb.DuckDBPyConnection, failed: str) -> None:
        self.file = file
        self._connection = connection
        self._con = con
        self._failed = failed

    def execute(self, sql: str, rows: duckdb.DuckDBPyRelation | None = None) -> None:
        """Execute a statement that gives nothing, once, or once for each of ``rows``, whose values are its ``?``."""
        with self._statement(sql) as statement:
            if rows is not None:
                statement.bind_stream(rows.__arrow_c_stream__())
            statement.execute_update()

    @contextlib.contextmanager
    def stream(self, sql: str) -> Iterator[str]:
        """The rows of ``sql`` as a view of DuckDB for the length of the block, to be read once: its name, quoted."""
        with self._statement(sql) as statement:
            stream, _ = statement.execute_query()
            self._con.register(_STREAM, stream.__arrow_c_stream__())
            try:
                yield quote_identifier(_STREAM)
            finally:
                self._con.unregister(_STREAM)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The few rows of ``sql``."""
        with self.stream(sql) as view:
            return self._con.execute(f"FROM {view}").fetchall()

    def columns(self, table: str) -> list[SqliteColumn]:
        """The columns of a table or view as SELECT * gives them; none where it does not exist."""
        listed = f"pragma_table_xinfo({quote_literal(table)})"
        sql = f"SELECT name, coalesce(type, '') AS type, hidden FROM {listed} WHERE hidden <> 1"  # noqa: S608 - quoted
        return [SqliteColumn(name=name, declared=type_, writable=not hidden) for name, type_, hidden in self.rows(sql)]

    def table_names(self) -> list[str]:
        """The tables and views."""
        return [name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]

    @contextlib.contextmanager
    def _statement(self, sql: str) -> Iterator[Any]:
        import adbc_driver_manager  # noqa: PLC0415 - compiling needs neither of them
        import duckdb  # noqa: PLC0415

        try:
            with adbc_driver_manager.AdbcStatement(self._connection) as statement:
                statement.set_sql_query(sql)
                yield statement
        except adbc_driver_manager.Error as cause:
            raise self._error(cause) from cause
        except duckdb.InvalidInputException as cause:  # what the stream says, said by DuckDB
            raise self._error(cause) from cause

    def _error(self, cause: Exception) -> OsirisError:
        text = str(cause).splitlines()[0]
        if any(words in text for words in _LOCKED):
            return locked_file(self.file)
        return OsirisError(
            f"SQLite: {_PREFIX.sub('', text)}",
            "See the step's config and the tables of the file: osiris discover.",
            code=self._failed,
            exit_code=ExitCode.PIPELINE_FAILED,
        )


@contextlib.contextmanager
def open_sqlite(con: duckdb.DuckDBPyConnection, file: Path, mode: str, *, failed: str) -> Iterator[SqliteFile]:
    """``file`` opened in ``ro``, ``rw`` or ``rwc``, with ``con`` to read its rows with.

    ``failed`` is the code of errors that have no better one. What was begun and not committed is rolled back.
    """
    try:
        import adbc_driver_manager  # noqa: PLC0415 - an extra, and only where a step reads or writes SQLite
        import adbc_driver_sqlite  # noqa: PLC0415
    except ImportError as cause:
        raise missing_extra(SPEC, cause) from cause
    try:
        database = adbc_driver_sqlite.connect(file_uri(file, mode))
    except adbc_driver_manager.Error as cause:
        problem = f"{file} cannot be opened as a SQLite database: {cause}"
        hint = "Check the path and the permissions of the file and its folder."
        raise OsirisError(problem, hint, code="connection.unreadable", path=str(file)) from cause
    with database, adbc_driver_manager.AdbcConnection(database) as connection:
        opened = SqliteFile(file, connection, con, failed)
        opened.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        yield opened


def unless_cancelled(cancel: CancelToken, work: Callable[[], _Result]) -> _Result:
    """What ``work`` gives. The driver cannot be interrupted, so a step that is stopped leaves it behind in a thread.

    That thread ends with the process, and what it had begun is rolled back by whoever opens the file next.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="osiris-sqlite")
    result = pool.submit(work)
    pool.shutdown(wait=False)
    while not wait([result], _LOOK_S).done:
        stop_if_cancelled(cancel)
    return result.result()


def stop_if_cancelled(cancel: CancelToken) -> None:
    """OsirisError where the run is being stopped."""
    if cancel.cancelled:
        raise OsirisError("stopped", code="runtime.cancelled", exit_code=ExitCode.CANCELLED)


def parquet_rows(con: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    """The rows that were put down at ``path``."""
    return con.sql(f"FROM read_parquet([{quote_literal(str(path))}], hive_partitioning=false)")


def select_list(values: Mapping[str, str]) -> str:
    """Names and what stands for them, as the list of a SELECT."""
    return ", ".join(f"{value} AS {quote_identifier(name)}" for name, value in values.items())
