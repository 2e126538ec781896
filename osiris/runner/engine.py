"""Executing a manifest on DuckDB: stages that wait for nobody run at the same time, and one failure stops all."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from osiris.clock import Clock, SystemClock
from osiris.compiler.manifest import Manifest, ManifestStep
from osiris.components import find_component
from osiris.components.base import Component
from osiris.durable import remove_tree
from osiris.errors import OsirisError
from osiris.runner.cancellation import Cancellation, StopReason
from osiris.runner.database import DatabaseOpening
from osiris.runner.failures import describe_defect
from osiris.runner.plan import Stage, plan_execution, refuse_shared_targets
from osiris.runner.results import ExecutionOutcome, Listener, StepError, StepResult
from osiris.runner.setting import Setting
from osiris.runner.stage import StageOutcome, StageRun
from osiris.runner.step_logging import STEPS_LOGGER
from osiris.runner.step_outputs import StepOutputs

_STAGES_AT_ONCE = 4
_TICK_S = 0.1


def execute(
    manifest: Manifest,
    *,
    configs: Mapping[str, msgspec.Struct],
    project_root: Path,
    work_dir: Path,
    artifacts_dir: Path,
    run_id: str,
    database: DatabaseOpening,
    listener: Listener,
    cancel: Cancellation,
    connections: Mapping[str, Mapping[str, Any]] | None = None,
    outputs: StepOutputs | None = None,
    clock: Clock | None = None,
) -> ExecutionOutcome:
    """Run every step of ``manifest`` and say how each of them ended.

    ``configs`` and ``connections`` are by step id. ``work_dir`` takes what is spilled and what several steps read; it
    belongs to this execution alone and is emptied at its end. ``database`` may be opening still. ``outputs`` keeps what
    the steps give, and says which of them are reused and do not run. What a step fails with is in the outcome; only a
    manifest that cannot be executed at all is raised.
    """
    components = _components(manifest.steps)
    rows = {step.id: components[step.component].spec.rows for step in manifest.steps}
    plan = plan_execution(manifest.steps, rows, kept=outputs is not None)
    refuse_shared_targets(manifest.steps, configs, project_root)
    setting = Setting(
        steps={step.id: step for step in manifest.steps},
        components=components,
        configs=configs,
        connections=connections or {},
        project_root=project_root,
        work_dir=work_dir,
        artifacts_dir=artifacts_dir,
        run_id=run_id,
        listener=listener,
        log=logging.getLogger(STEPS_LOGGER),
        clock=clock or SystemClock(),
        outputs=outputs,
    )
    with _emptied(work_dir), database.spilling_into(work_dir / "spill") as opened:
        schedule = _Schedule(setting, plan.stages, opened, cancel)
        if outputs is not None:
            schedule.reuse(outputs)
        schedule.run()
    return schedule.outcome(manifest.steps)


class _Schedule:
    """The stages of one execution, from waiting to running to done."""

    def __init__(
        self, setting: Setting, stages: Sequence[Stage], database: duckdb.DuckDBPyConnection, cancel: Cancellation
    ) -> None:
        self._setting = setting
        self._database = database
        self._cancel = cancel
        self._waiting = list(stages)
        self._running: dict[Future[StageOutcome], StageRun] = {}
        self._done: set[int] = set()
        self._results: dict[str, StepResult] = {}
        self._error: StepError | None = None

    def reuse(self, outputs: StepOutputs) -> None:
        """Steps whose kept output was taken over are done; with ``outputs`` each of them is a stage of its own."""
        self._results.update(outputs.results(self._setting.steps.values()))
        self._done.update(stage.number for stage in self._waiting if stage.sink in self._results)
        self._waiting = [stage for stage in self._waiting if stage.number not in self._done]
        for result in self._results.values():
            self._setting.listener.step_finished(result)
        outputs.show_reused(self._database, [self._setting.steps[stage.sink] for stage in self._waiting])

    def run(self) -> None:
        """Until nothing runs any more and nothing can be started."""
        with ThreadPoolExecutor(_STAGES_AT_ONCE, thread_name_prefix="osiris-stage") as pool:
            try:
                while True:
                    self._start_ready(pool)
                    if not self._running:
                        return
                    self._wait_a_little()
            finally:
                # Reached with stages running only when this thread itself was interrupted.
                while self._running:
                    self._stop_all("cancelled")
                    self._wait_a_little()

    def outcome(self, steps: Sequence[ManifestStep]) -> ExecutionOutcome:
        """The results in the order of ``steps``; what never started was skipped."""
        results = tuple(
            self._results.get(step.id) or StepResult(id=step.id, component=step.component, status="skipped")
            for step in steps
        )
        if self._error is not None:
            return ExecutionOutcome(status="failed", steps=results, error=self._error)
        complete = all(result.status in ("success", "reused") for result in results)
        return ExecutionOutcome(status="success" if complete else "cancelled", steps=results)

    def _start_ready(self, pool: ThreadPoolExecutor) -> None:
        if self._error is not None or self._cancel.cancelled:
            return
        ready = [stage for stage in self._waiting if stage.needs <= self._done]
        for stage in ready[: _STAGES_AT_ONCE - len(self._running)]:
            self._waiting.remove(stage)
            rows_before = {step_id: result.rows_out for step_id, result in self._results.items()}
            run = StageRun(self._setting, stage, self._database)
            self._running[pool.submit(run.run, rows_before)] = run

    def _wait_a_little(self) -> None:
        ended, _ = wait(self._running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
        for future in ended:
            self._collect(self._running.pop(future), future)
        if self._cancel.cancelled:
            self._stop_all("cancelled")
        elif self._error is not None:
            self._stop_all("other_failed")
        for run in self._running.values():
            percent = run.control.tick()
            if percent is not None and run.control.current_step:
                self._setting.listener.step_progress(run.control.current_step, percent=percent)

    def _stop_all(self, reason: StopReason) -> None:
        for run in self._running.values():
            run.control.stop(reason)

    def _collect(self, run: StageRun, future: Future[StageOutcome]) -> None:
        defect = future.exception()
        if isinstance(defect, OsirisError):
            raise defect  # the run's own, such as a full disk under its log: what a step fails with is in its outcome
        if defect is None:
            outcome = future.result()
        else:
            step = self._setting.steps[run.control.current_step or run.stage.sink]
            self._setting.log.getChild(step.id).error("the step %s failed by a defect", step.id, exc_info=defect)
            error = run.as_stopped(describe_defect(step, defect, self._setting.project_root))
            outcome = StageOutcome(results=run.failures(error), error=error)
        for result in outcome.results:
            self._results[result.id] = result
            if result.status == "success":
                self._setting.listener.step_finished(result)
            else:
                self._setting.listener.step_failed(result)
        if outcome.error is None:
            self._done.add(run.stage.number)
        elif outcome.error.code != "runtime.cancelled" and self._error is None:
            self._error = outcome.error


def _components(steps: Sequence[ManifestStep]) -> dict[str, Component]:
    found: dict[str, Component] = {}
    for step in steps:
        component = find_component(step.component)
        if component is None:
            raise OsirisError(
                f"the step {step.id} uses the component {step.component}, which is not installed",
                "Install the package that it came from, or compile the pipeline anew.",
                code="config.unknown_component",
            )
        found[step.component] = component
    return found


@contextmanager
def _emptied(work_dir: Path) -> Iterator[None]:
    work_dir.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for entry in list(work_dir.iterdir()):
            remove_tree(entry)
