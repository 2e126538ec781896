"""The components that a manifest names, and the configs of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from osiris.compiler.build import load_step_config
from osiris.compiler.project_build import REGISTRY, PipelineBuild
from osiris.components.base import Component
from osiris.errors import OsirisError


def load_configs(build: PipelineBuild, build_dir: Path) -> Mapping[str, msgspec.Struct]:
    """The resolved config of every step, typed by its component."""
    return {
        step.id: load_step_config(build_dir, step, component(step.component).config_type)
        for step in build.manifest.steps
    }


def component(name: str) -> Component:
    """A component that a manifest names; an error where it is not installed here."""
    found = REGISTRY.find(name)
    if found is None:
        raise OsirisError(
            f"the component {name!r} is not installed here", "Install its package.", code="component.unknown"
        )
    return found
