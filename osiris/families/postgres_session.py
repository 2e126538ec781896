"""One transaction after the other on one PostgreSQL connection, through ADBC; rows come and go as Arrow streams."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from osiris.arrow_stream import WatchedStream
from osiris.errors import OsirisError
from osiris.families.base import FamilySpec, missing_extra
from osiris.families.postgres_errors import Doing, postgres_error, sqlstate_of

if TYPE_CHECKING:
    import duckdb

# Texts that PostgreSQL writes, and that it reads back, look the same whatever the server's settings are.
_SETTINGS = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
_BATCH_BYTES = 4 << 20


class Session:
    """A connection that is signed in and in a transaction. Close it; what is not committed then has not happened.

    ``results`` is a DuckDB connection that reads small results and hands over parameters. Every method raises
    OsirisError with a code of ``doing``.
    """

    def __init__(self, spec: FamilySpec, conninfo: str, results: duckdb.DuckDBPyConnection, doing: Doing) -> None:
        self._adbc, driver = _library(spec)
        self._doing: Doing = doing
        self._results = results
        self._open = contextlib.ExitStack()
        self.columns: dict[str, str] = {}
        with self._open, self.translated("connection"):
            database = self._open.enter_context(self._adbc.AdbcDatabase(driver=driver, uri=conninfo))
            self._connection = self._open.enter_context(self._adbc.AdbcConnection(database))
            self._connection.set_autocommit(False)
            self._open = self._open.pop_all()
        self.begin()

    def begin(self, *, read_only: bool = False) -> None:
        """Undo what this transaction did, and start another."""
        with self.translated():
            self._connection.rollback()
        if read_only:
            self.execute("SET TRANSACTION READ ONLY")
        calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items())
        self.rows(f"SELECT {calls}")

    def execute(self, sql: str) -> int:
        """Run a statement and give the number of rows that it touched, -1 where there is no such number."""
        with self.translated(), self._statement(sql) as statement:
            count = statement.execute_update()
        return int(count) if count is not None else -1

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The few rows of a query; ``parameters`` are its $1, $2, …"""
        with self.translated(), self._statement(sql) as statement:
            if parameters:
                marks = ", ".join("?" * len(parameters))
                bound = self._results.cursor().sql(f"SELECT {marks}", params=list(parameters))
                statement.bind_stream(bound.__arrow_c_stream__())
            stream, _ = statement.execute_query()
            return self._read(stream)

    def _read(self, stream: Any) -> list[tuple[Any, ...]]:
        import duckdb  # noqa: PLC0415 - whoever has a session has loaded it

        failures: list[OsirisError] = []
        watched = WatchedStream(stream, on_error=lambda address: failures.append(self.stream_error(address)))
        reader = self._results.cursor()
        reader.register("result", watched.__arrow_c_stream__())
        try:
            return reader.execute("FROM result").fetchall()
        except duckdb.Error as cause:
            raise failures[0] if failures else cause from cause

    def open_stream(self, sql: str) -> Any:
        """The rows of a query, from the server as they are asked for; an object with ``__arrow_c_stream__``."""
        with self.translated():
            statement = self._open.enter_context(self._statement(sql))
            statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": _BATCH_BYTES})
            return statement.execute_query()[0]

    def column_names_of(self, sql: str) -> Any:
        """An object with ``__arrow_c_schema__`` that holds the names of a query's columns; the query does not run."""
        with self.translated(), self._statement(sql) as statement:
            return statement.execute_schema()

    def ingest(self, stream: Any, table: str, schema: str = "") -> int:
        """Copy ``stream`` into ``table``, without ``schema`` a temporary one, and give the number of rows."""
        options = {"adbc.ingest.target_table": table, "adbc.ingest.mode": "adbc.ingest.mode.append"}
        options |= {"adbc.ingest.target_db_schema": schema} if schema else {"adbc.ingest.temporary": "true"}
        with self.translated(), self._statement() as statement:
            statement.set_options(**options)
            statement.bind_stream(stream.__arrow_c_stream__())
            return int(statement.execute_update())

    def commit(self) -> None:
        """Make it happen."""
        with self.translated():
            self._connection.commit()

    def cancel(self) -> None:
        """End what the server is doing for this connection; may be called from another thread."""
        with contextlib.suppress(self._adbc.Error):
            self._connection.cancel()

    def close(self) -> None:
        """Sign off."""
        with contextlib.suppress(self._adbc.Error):
            self._open.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def translated(self, doing: Doing | None = None) -> Iterator[None]:
        """What the library raises in the block, as an OsirisError."""
        try:
            yield
        except self._adbc.Error as cause:
            raise postgres_error(str(cause), sqlstate_of(cause), doing or self._doing, self.columns) from cause

    def stream_error(self, address: int) -> OsirisError:
        """Why the stream at ``address`` failed, asked before it is released."""
        error = _error_of_stream(self._adbc)(address, None)
        if not error:
            return postgres_error("the connection was lost", "08006", self._doing)
        words = (error.contents.message or b"").decode(errors="replace")
        return postgres_error(words, error.contents.sqlstate.decode().strip("\0"), self._doing)

    @contextlib.contextmanager
    def _statement(self, sql: str = "") -> Iterator[Any]:
        with self._adbc.AdbcStatement(self._connection) as statement:
            if sql:
                statement.set_sql_query(sql)
            yield statement


class _AdbcError(ctypes.Structure):
    _fields_ = [("message", ctypes.c_char_p), ("vendor_code", ctypes.c_int32), ("sqlstate", ctypes.c_char * 5)]


def _error_of_stream(adbc: Any) -> Any:
    """ADBC's own function for an error with its SQLSTATE, which its Python API keeps for pyarrow."""
    function = ctypes.CDLL(adbc._lib.__file__).AdbcErrorFromArrayStream
    function.restype, function.argtypes = ctypes.POINTER(_AdbcError), [ctypes.c_void_p, ctypes.c_void_p]
    return function


def _library(spec: FamilySpec) -> tuple[Any, str]:
    try:
        import adbc_driver_manager  # noqa: PLC0415 - an extra
        import adbc_driver_postgresql  # noqa: PLC0415
    except ImportError as cause:
        raise missing_extra(spec, cause) from cause
    return adbc_driver_manager, adbc_driver_postgresql._driver_path()
