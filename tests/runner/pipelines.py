"""Manifests built by hand and run for real: what the engine's tests have in common."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from osiris.compiler.manifest import Fingerprints, Manifest, ManifestPipeline, ManifestStep, RetryPolicy
from osiris.components import find_component
from osiris.components.base import Mode
from osiris.runner.cancellation import Cancellation
from osiris.runner.database import DatabaseOpening
from osiris.runner.engine import execute
from osiris.runner.results import ExecutionOutcome, RuntimeLimits, StepError, StepResult


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step as a test writes it; ``reads`` are the steps whose rows it takes, ``after`` those it only waits for."""

    id: str
    component: str
    config: dict[str, Any]
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    retry: RetryPolicy | None = None
    timeout_ms: int | None = None


def read_csv(id: str, path: str, **config: Any) -> Step:  # noqa: A002 - it is the step's id
    return Step(id=id, component="filesystem.csv_extractor", config={"path": path, **config})


def select(id: str, query: str, *reads: str, **more: Any) -> Step:  # noqa: A002
    return Step(id=id, component="duckdb.processor", config={"query": query}, reads=reads, **more)


def write_csv(id: str, path: str, *reads: str, **more: Any) -> Step:  # noqa: A002
    return Step(id=id, component="filesystem.csv_writer", config={"path": path}, reads=reads, **more)


def manifest_steps(steps: Sequence[Step]) -> tuple[ManifestStep, ...]:
    """The steps as the compiler would wire them."""
    return tuple(_manifest_step(step) for step in steps)


def _manifest_step(step: Step) -> ManifestStep:
    component = find_component(step.component)
    assert component is not None, step.component
    mode: Mode = component.spec.modes[0]
    tables = {producer: "df_" + producer.replace("-", "_") for producer in step.reads}
    single = len(step.reads) == 1
    return ManifestStep(
        id=step.id,
        component=step.component,
        component_version=component.spec.version,
        mode=mode,
        needs=(*step.reads, *step.after),
        inputs={("df" if single else tables[producer]): producer for producer in step.reads},
        tables=tables,
        config=f"cfg/{step.id}.json",
        config_digest="",
        retry=step.retry,
        timeout_ms=step.timeout_ms,
    )


class Diary:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.retries: list[StepError] = []
        self.metrics: list[tuple[str, str, float, str]] = []
        self.percents: list[tuple[str, float]] = []
        self.counts: list[tuple[str, int]] = []
        self.saw_progress = threading.Event()

    def step_started(self, step: ManifestStep) -> None:
        self.lines.append(f"started {step.id}")

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        if rows is not None:
            self.counts.append((step_id, rows))
        if percent is not None:
            self.percents.append((step_id, percent))
        self.saw_progress.set()

    def step_finished(self, result: StepResult) -> None:
        self.lines.append(f"finished {result.id}")

    def step_failed(self, result: StepResult) -> None:
        self.lines.append(f"{result.status} {result.id}")

    def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
        self.lines.append(f"retried {step_id} after {attempt} in {delay_ms} ms")
        self.retries.append(error)

    def warning(self, step_id: str, message: str) -> None:
        self.lines.append(f"warning {step_id} {message}")

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        self.metrics.append((step_id, name, value, unit))


def run(
    root: Path,
    *steps: Step,
    listener: Diary | None = None,
    cancel: Cancellation | None = None,
    limits: RuntimeLimits | None = None,
    run_id: str = "run-1",
    connections: Mapping[str, Mapping[str, Any]] | None = None,
) -> ExecutionOutcome:
    """Execute ``steps`` in the project ``root``."""
    wired = manifest_steps(steps)
    manifest = Manifest(
        oml_version="0.1.0",
        pipeline=ManifestPipeline(slug="test", name="test"),
        profile="default",
        params={},
        requires={},
        steps=wired,
        fingerprints=Fingerprints(oml="", params="", components={}, compiler=""),
    )
    configs = {}
    for step in steps:
        component = find_component(step.component)
        assert component is not None
        configs[step.id] = msgspec.convert(step.config, component.config_type)
    database = DatabaseOpening()
    database.limit(limits or RuntimeLimits(threads=2))
    return execute(
        manifest,
        configs=configs,
        project_root=root,
        work_dir=root / ".osiris" / "cache" / run_id,
        artifacts_dir=root / "artifacts",
        run_id=run_id,
        database=database,
        listener=listener or Diary(),
        cancel=cancel or Cancellation(),
        connections=connections,
    )


def rows_of(outcome: ExecutionOutcome) -> dict[str, tuple[int | None, int | None]]:
    """Rows in and out by step."""
    return {result.id: (result.rows_in, result.rows_out) for result in outcome.steps}
