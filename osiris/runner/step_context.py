"""What a step's ``run`` is given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from osiris.compiler.manifest import ManifestStep
from osiris.components.base import CancelToken
from osiris.durable import remove_tree
from osiris.runner.setting import Setting


class RunnerStepContext:
    """The ``StepContext`` of one step in one try; see there."""

    def __init__(
        self,
        step: ManifestStep,
        setting: Setting,
        con: duckdb.DuckDBPyConnection,
        cancel: CancelToken,
        consume: Callable[[str], list[tuple[Any, ...]]],
    ) -> None:
        self.step_id: str = step.id
        self.run_id: str = setting.run_id
        self.project_root: Path = setting.project_root
        self.con: duckdb.DuckDBPyConnection = con
        self.connection: Mapping[str, Any] | None = setting.connections.get(step.id)
        self.log: logging.Logger = setting.log.getChild(step.id)
        self.cancel: CancelToken = cancel
        self._listener = setting.listener
        self._output_dir, self._work_dir = _own_folders(setting, step.id)
        self._consume = consume

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
        return self._consume(sql)

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
