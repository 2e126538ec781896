"""One try of a stage: every step gives a view of its rows, and the sink's one statement pulls them through all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb
import msgspec

from osiris.arrow_stream import WatchedStream
from osiris.compiler.manifest import ManifestStep
from osiris.components.base import Produced, Written, quote_identifier
from osiris.errors import ExitCode, OsirisError
from osiris.runner.cancellation import StageControl
from osiris.runner.failures import STEP_FAILURES, StepFailure, describe_failure, statement_error
from osiris.runner.plan import Stage
from osiris.runner.row_counts import Scan, is_relation, read_scans, source_rows
from osiris.runner.setting import Setting
from osiris.runner.shared_rows import shared_rows_sql
from osiris.runner.step_context import RunnerStepContext
from osiris.runner.step_outputs import view_name
from osiris.runner.stored_rows import StoredRows, store_rows, stored_rows_sql


class Sunk(msgspec.Struct, frozen=True, kw_only=True):
    """A stage's result: the rows that each step gave as far as they are known, what was written or stored."""

    rows_out: dict[str, int | None]
    written: Written | None = None
    stored: StoredRows | None = None


class Attempt:
    """The state of one try on a fresh cursor.

    ``refined`` holds corrected relations that take the place of what an extractor gave in the try before.
    """

    def __init__(
        self,
        setting: Setting,
        stage: Stage,
        cursor: duckdb.DuckDBPyConnection,
        control: StageControl,
        *,
        on_start: Callable[[ManifestStep], None],
        held: contextlib.ExitStack,
        refined: Mapping[str, duckdb.DuckDBPyRelation],
    ) -> None:
        self.stage = stage
        self.sinking = False
        self._setting = setting
        self._cursor = cursor
        self._control = control
        self._on_start = on_start
        self._held = held
        self._refined = refined
        self._produced: dict[str, Produced] = {}
        self._relations: dict[str, duckdb.DuckDBPyRelation] = {}
        self._spooled: dict[str, StoredRows] = {}
        self._scans: list[Scan] = []

    def run(self) -> Sunk:
        """Every step in order, the sink last. Raises :class:`StepFailure`."""
        written: Written | None = None
        for step_id in self.stage.steps:
            step = self._setting.steps[step_id]
            self._on_start(step)
            with self._blaming(step):
                result = self._run_step(step)
                if isinstance(result, Written):
                    written = result
                    self._keep_write(step, result)
        stored = self._store_sink(self._setting.steps[self.stage.sink]) if self.stage.materialises else None
        return Sunk(rows_out=self._rows_out(written, stored), written=written, stored=stored)

    def corrections(self) -> dict[str, duckdb.DuckDBPyRelation]:
        """Relations of extractors whose guess was wrong; empty if every guess was right."""
        corrected: dict[str, duckdb.DuckDBPyRelation] = {}
        for step_id, produced in self._produced.items():
            if produced.refine is not None and step_id not in self._refined:
                with self._blaming(self._setting.steps[step_id]):
                    relation = produced.refine()
                    if relation is not None:
                        corrected[step_id] = relation
        return corrected

    def blame(self) -> None:
        """Read the rows of each step by itself; raises the failure of the first that cannot be read.

        A stream is gone once it has been read, so nothing is known of the steps behind one.
        """
        for step_id, produced in self._produced.items():
            if not is_relation(produced) and step_id not in self._spooled:
                return
            with self._blaming(self._setting.steps[step_id]):
                self._execute(f"SELECT bit_xor(hash(t)) FROM (FROM {quote_identifier(view_name(step_id))}) AS t")  # noqa: S608 - quoted

    def consume(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute the stage's one statement, and keep what DuckDB counted meanwhile."""
        self.sinking = True
        rows = self._execute(sql)
        self._count()
        return rows

    @contextlib.contextmanager
    def stream(self, sql: str, progress: Callable[[int], None]) -> Iterator[WatchedStream]:
        """The rows of the stage's one statement; ``progress`` hears how many have been taken."""
        self.sinking = True
        self._refuse_if_cancelled()
        rows = WatchedStream(self._cursor.sql(sql), progress)
        try:
            yield rows
        except STEP_FAILURES as cause:
            if rows.error:
                raise statement_error(rows.error) from cause
            self.sinking = False  # all that was asked for was given, so no step before this one is to blame
            raise
        finally:
            rows.close()
        self._count()

    def _run_step(self, step: ManifestStep) -> Produced | Written:
        component = self._setting.components[step.component]
        context = RunnerStepContext(step, self._setting, self._cursor, self._control, self._held, self)
        result = component.run(context, self._setting.configs[step.id], self._inputs(step))
        if isinstance(result, Written) is not (step.mode == "write"):
            raise OsirisError(
                f"the component {step.component} gave {type(result).__name__} in the mode {step.mode}",
                "This is a defect of that component.",
                code="component.broken",
                exit_code=ExitCode.PIPELINE_FAILED,
            )
        if isinstance(result, Produced):
            self._produced[step.id] = result
            self._show(step.id, result)
        return result

    def _inputs(self, step: ManifestStep) -> dict[str, duckdb.DuckDBPyRelation]:
        """A writer gets its inputs by their names, a transform also by the names that a query has for them."""
        names = dict(step.inputs)
        if step.mode == "transform":
            names |= {table: producer for producer, table in step.tables.items()}
        views = {producer: self._cursor.view(view_name(producer)) for producer in set(names.values())}
        if step.mode == "write":
            views = {producer: self._whole(producer) for producer in views}
            for view in views.values():
                self._store_streams_read_twice(view)
        return {name: views[producer] for name, producer in names.items()}

    def _show(self, step_id: str, produced: Produced) -> None:
        """Make the step's rows a view that every later statement on this cursor can name."""
        if not is_relation(produced):
            stream = f"stream of {step_id}"
            # The bare capsule, not the object around it: DuckDB would ask an object for its stream more than once.
            self._cursor.register(stream, produced.rows.__arrow_c_stream__())
            rows = self._cursor.sql(f"SELECT {produced.select} FROM {quote_identifier(stream)}")  # noqa: S608 - its own
        else:
            rows = self._refined.get(step_id, produced.rows)
        rows.create_view(view_name(step_id), replace=True)
        self._relations[step_id] = rows

    def _whole(self, step_id: str) -> duckdb.DuckDBPyRelation:
        """The rows of a step for the stage's one statement: what several steps read of it is computed once."""
        if not self.stage.shared:
            return self._cursor.view(view_name(step_id))
        relations = {view_name(member): relation for member, relation in self._relations.items()}
        sql = shared_rows_sql(relations, {view_name(member) for member in self.stage.shared})
        self._cursor.sql(sql).create_view(f"all of {step_id}", replace=True)
        return self._cursor.view(f"all of {step_id}")

    def _store_sink(self, sink: ManifestStep) -> StoredRows:
        with self._blaming(sink):
            view = self._whole(sink.id)
            self._store_streams_read_twice(view)
            if self._setting.outputs is not None:
                stored = self._setting.outputs.keep_rows(self.consume, view, sink.id)
            else:
                stored = store_rows(self.consume, view, self._setting.work_dir / f"{sink.id}.parquet")
            self._cursor.sql(stored_rows_sql(stored)).create_view(view_name(sink.id), replace=True)
        return stored

    def _keep_write(self, step: ManifestStep, written: Written) -> None:
        """What is written stands: that it could not be recorded must not make the step fail, and be written twice."""
        if self._setting.outputs is None:
            return
        try:
            self._setting.outputs.keep_write(step.id, written)
        except OSError as cause:
            self._setting.listener.warning(step.id, f"a resumed run will write this again: {cause.strerror}")

    def _store_streams_read_twice(self, top: duckdb.DuckDBPyRelation) -> None:
        """A stream that a query reads more than once goes to disk first, for it can be read only once."""
        streams = [step_id for step_id, produced in self._produced.items() if not is_relation(produced)]
        if not streams:
            return
        explained = self._execute(f"EXPLAIN (FORMAT json) FROM {quote_identifier(top.alias)}")
        if str(explained).count("ARROW_SCAN") <= len(streams):
            return
        for step_id in streams:
            path = self._setting.work_dir / f"{step_id}.parquet"
            with self._blaming(self._setting.steps[step_id]):
                stored = store_rows(self._execute, self._cursor.view(view_name(step_id)), path)
                self._cursor.sql(stored_rows_sql(stored)).create_view(view_name(step_id), replace=True)
                self._spooled[step_id] = stored

    def _rows_out(self, written: Written | None, stored: StoredRows | None) -> dict[str, int | None]:
        """What is known of each step's rows; the step right before the writer gave what the writer wrote."""
        rows_out: dict[str, int | None] = {}
        for step_id, produced in self._produced.items():
            spooled = self._spooled.get(step_id)
            rows_out[step_id] = spooled.rows if spooled else source_rows(produced, self._scans)
        if stored is not None:
            rows_out[self.stage.sink] = stored.rows
        if written is not None:
            producers = set(self._setting.steps[self.stage.sink].inputs.values())
            for producer in producers if len(producers) == 1 else ():
                if producer in rows_out and rows_out[producer] is None:
                    rows_out[producer] = written.rows
            rows_out[self.stage.sink] = written.rows
        return rows_out

    def _count(self) -> None:
        self._scans = read_scans(self._cursor.get_profiling_information("json"))
        self.sinking = False

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        self._refuse_if_cancelled()
        return self._cursor.execute(sql).fetchall()

    def _refuse_if_cancelled(self) -> None:
        if self._control.cancelled:
            raise duckdb.InterruptException("stopped before the statement began")

    @contextlib.contextmanager
    def _blaming(self, step: ManifestStep) -> Iterator[None]:
        try:
            yield
        except STEP_FAILURES as cause:
            root = self._setting.project_root
            for source, produced in self._produced.items():
                own = produced.failure(cause) if produced.failure else None
                if own is not None:
                    raise StepFailure(describe_failure(self._setting.steps[source], own, root)) from own
            raise StepFailure(describe_failure(step, cause, root)) from cause
