"""Running single components for real, as a runner would."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from osiris.arrow_stream import WatchedStream
from osiris.components import find_component
from osiris.components.base import ArrowStream, CancelToken, Produced, Written, quote_identifier


class NeverCancelled:
    cancelled = False


class Context:
    """A step context on a database of its own."""

    def __init__(self, project_root: Path, con: duckdb.DuckDBPyConnection | None = None) -> None:
        self.step_id = "step"
        self.run_id = "run-1"
        self.project_root = project_root
        self.con = con or duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'")
        self.connection: Mapping[str, Any] | None = None
        self.log = logging.getLogger("test")
        self.cancel: CancelToken = NeverCancelled()
        self.held = ExitStack()

    @property
    def output_dir(self) -> Path:
        return self.project_root / "artifacts"

    @property
    def work_dir(self) -> Path:
        folder = self.project_root / ".work"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def consume(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()

    @contextmanager
    def stream(self, sql: str) -> Iterator[ArrowStream]:
        yield WatchedStream(self.con.sql(sql))

    def metric(self, name: str, value: float, unit: str = "") -> None: ...

    def progress(self, rows: int) -> None: ...


def call(
    context: Context, name: str, inputs: Mapping[str, duckdb.DuckDBPyRelation] | None = None, **config: Any
) -> Produced | Written:
    """Run the component ``name``."""
    component = find_component(name)
    assert component is not None
    return component.run(context, msgspec.convert(config, component.config_type), inputs or {})


def read(context: Context, name: str, **config: Any) -> Produced:
    produced = call(context, name, **config)
    assert isinstance(produced, Produced)
    return produced


def write(context: Context, name: str, query: str, **config: Any) -> Written:
    """Write the rows of ``query``."""
    context.con.execute(f"CREATE OR REPLACE VIEW input AS {query}")
    written = call(context, name, {"df": context.con.view("input")}, **config)
    assert isinstance(written, Written)
    return written


def types_of(produced: Produced) -> dict[str, str]:
    return dict(zip(produced.rows.columns, map(str, produced.rows.types), strict=True))


def text_rows(context: Context, relation: duckdb.DuckDBPyRelation) -> list[tuple[str | None, ...]]:
    """The rows with every value as DuckDB writes it."""
    relation.create_view("read_back", replace=True)
    columns = ", ".join(f"{quote_identifier(name)}::VARCHAR" for name in relation.columns)
    return context.con.execute(f"SELECT {columns} FROM read_back").fetchall()
