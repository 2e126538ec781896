"""What a step's ``run`` is given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Protocol

import duckdb

from osiris.compiler.manifest import ManifestStep
from osiris.components.base import ArrowStream, CancelToken
from osiris.durable import remove_tree
from osiris.runner.setting import Setting


class Reading(Protocol):
    """How a step's inputs are read: see ``StepContext`` for both."""

    def consume(self, sql: str) -> list[tuple[Any, ...]]:
        """By a statement that does it all."""
        ...

    def stream(self, sql: str, progress: Callable[[int], None]) -> AbstractContextManager[ArrowStream]:
        """As a stream."""
        ...


class RunnerStepContext:
    """The ``StepContext`` of one step in one try; see there."""

    def __init__(
        self,
        step: ManifestStep,
        setting: Setting,
        con: duckdb.DuckDBPyConnection,
        cancel: CancelToken,
        held: ExitStack,
        reading: Reading,
    ) -> None:
        self.step_id: str = step.id
        self.run_id: str = setting.run_id
        self.project_root: Path = setting.project_root
        self.con: duckdb.DuckDBPyConnection = con
        self.connection: Mapping[str, Any] | None = setting.connections.get(step.id)
        self.log: logging.Logger = setting.log.getChild(step.id)
        self.cancel: CancelToken = cancel
        self.held: ExitStack = held
        self._listener = setting.listener
        self._output_dir, self._work_dir = _own_folders(setting, step.id)
        self._reading = reading

    @property
    def output_dir(self) -> Path:
        """The step's own folder among the run's artifacts."""
        self._output_dir.mkdir(parents=True, exist_ok=True)
        return self._output_dir

    @property
    def work_dir(self) -> Path:
        """The step's own folder among what goes with the run."""
        self._work_dir.mkdir(parents=True, exist_ok=True)
        return self._work_dir

    def consume(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute the statement that reads the step's inputs."""
        return self._reading.consume(sql)

    def stream(self, sql: str) -> AbstractContextManager[ArrowStream]:
        """The rows of the statement that reads the step's inputs."""
        return self._reading.stream(sql, self.progress)

    def metric(self, name: str, value: float, unit: str = "") -> None:
        """Record one measurement."""
        self._listener.metric(self.step_id, name, value, unit)

    def progress(self, rows: int) -> None:
        """Report rows handled so far."""
        self._listener.step_progress(self.step_id, rows=rows)


def remove_own_folders(setting: Setting, step_id: str) -> None:
    """What an earlier try of the step has left goes: the next one starts clean."""
    for folder in _own_folders(setting, step_id):
        remove_tree(folder)


def _own_folders(setting: Setting, step_id: str) -> tuple[Path, Path]:
    return setting.artifacts_dir / step_id, setting.work_dir / f"{step_id}.work"
