"""The connections of a run's steps, resolved before the run gets its number, and what masks their secrets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from osiris.compiler.manifest import Manifest
from osiris.compiler.standing_secrets import build_places
from osiris.components import find_component
from osiris.components.base import CONNECTION_KEY, Component
from osiris.errors import OsirisError
from osiris.redaction import SHORTEST_MASKED, Redactor, remember

_log = logging.getLogger("osiris.runner")


class RunConnections(msgspec.Struct, frozen=True, kw_only=True):
    """Values by step id, in memory only; ``redactor`` masks all their secrets."""

    by_step: dict[str, Mapping[str, Any]]
    redactor: Redactor

    def __repr__(self) -> str:
        """Without the values."""
        return f"RunConnections({', '.join(self.by_step)})"


def resolve_connections(
    root: Path, manifest: Manifest, configs: Mapping[str, msgspec.Struct], environ: Mapping[str, str]
) -> RunConnections:
    """The connection of each step whose component uses one; from now on their secrets are masked in this process.

    Raises exit 2 where a connection or a variable is missing, and where a secret stands in the build, which it may
    where the variable was not set when it was compiled. Without such steps nothing is read or imported.
    """
    found = {step.id: component for step in manifest.steps if (component := find_component(step.component))}
    using = {
        step: (component, family)
        for step, component in found.items()
        if (family := component.spec.family_for(configs[step]))
    }
    if not using:
        return RunConnections(by_step={}, redactor=Redactor())
    return _resolved(root, manifest, configs, environ, using)


def _resolved(
    root: Path,
    manifest: Manifest,
    configs: Mapping[str, msgspec.Struct],
    environ: Mapping[str, str],
    using: Mapping[str, tuple[Component, str]],
) -> RunConnections:
    from osiris.connections.file import load_connections  # noqa: PLC0415 - only where a step uses one
    from osiris.connections.resolve import resolve  # noqa: PLC0415
    from osiris.connections.standing import KnownSecrets, refuse_secrets  # noqa: PLC0415
    from osiris.connections.variables import Variables  # noqa: PLC0415

    connections, variables = load_connections(root), Variables(root, environ)
    owners: dict[str, str] = {}
    by_step: dict[str, Mapping[str, Any]] = {}
    names: dict[str, str] = {}
    too_short: dict[str, None] = {}
    for step, (component, family) in using.items():
        reference = getattr(configs[step], CONNECTION_KEY, None) or ""
        resolved = resolve(connections.find(reference, family), variables, component.spec.secret_fields)
        owners |= dict.fromkeys(resolved.secrets, resolved.name)
        too_short |= dict.fromkeys(resolved.too_short)
        by_step[step] = resolved.values
        names[step] = resolved.name
    redactor = Redactor(owners)
    remember(redactor)
    for step, (component, _) in using.items():
        _refuse_wrong_values(component, names[step], by_step[step])
    plain = {step: msgspec.to_builtins(config) for step, config in configs.items()}
    refuse_secrets(build_places(manifest, plain), KnownSecrets(owners))
    for at in too_short:
        _log.warning("%s: a secret shorter than %d characters cannot be masked in logs", at, SHORTEST_MASKED)
    return RunConnections(by_step=by_step, redactor=redactor)


def _refuse_wrong_values(component: Component, name: str, values: Mapping[str, Any]) -> None:
    try:
        # What comes from a variable is text, also where a number is wanted.
        msgspec.convert(values, component.connection_type, strict=False)
    except msgspec.ValidationError as cause:
        raise OsirisError(
            f"the connection {name} is not what {component.spec.name} needs: {cause}",
            f"Correct it in osiris_connections.yaml; `osiris components show {component.spec.name}` lists its fields.",
            code="connection.invalid",
        ) from cause
