"""What all stages of one execution share."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from osiris.clock import Clock
from osiris.compiler.manifest import ManifestStep
from osiris.components.base import Component
from osiris.runner.results import Listener
from osiris.runner.step_outputs import StepOutputs


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Steps, components, configs and resolved connections by step id; where to work; whom to tell.

    ``outputs`` is where the steps' outputs are kept; None where they are not.
    """

    steps: Mapping[str, ManifestStep]
    components: Mapping[str, Component]
    configs: Mapping[str, msgspec.Struct]
    connections: Mapping[str, Mapping[str, Any]]
    project_root: Path
    work_dir: Path
    artifacts_dir: Path
    run_id: str
    listener: Listener
    log: logging.Logger
    clock: Clock
    outputs: StepOutputs | None = None
