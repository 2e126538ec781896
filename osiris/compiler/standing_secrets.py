"""The last look before anything is written: no secret that is set now may stand in a build."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from osiris.compiler.manifest import Manifest
from osiris.connections.variables import CONNECTIONS_NAME, Variables, mentioned_names

_CORE = re.compile(r"[A-Za-z0-9]+")


def refuse_secrets_in_build(
    manifest: Manifest,
    configs: Mapping[str, Any],
    root: Path,
    environ: Mapping[str, str],
    secret_fields: Mapping[str, tuple[str, ...]],
    path: str,
) -> None:
    """OsirisError ``secret.in_the_clear`` that names parameter or step and key. ``configs`` are plain maps by step id.

    ``secret_fields`` are by family of connections, ``path`` is the pipeline's file. A variable that is not set is no
    failure, for a build needs none.
    """
    places = {"the name of the file": path, **build_places(manifest, configs)}
    refuse_standing_secrets(places, root, environ, path=path, secret_fields=secret_fields)


def build_places(manifest: Manifest, configs: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in a build that a person wrote, by where it stands."""
    pipeline = manifest.pipeline
    return {
        "the pipeline's slug": pipeline.slug,
        "name": pipeline.name,
        "description": pipeline.description,
        "metadata.intent": pipeline.intent,
        "profile": manifest.profile,
        "params": manifest.params,
        "requires": manifest.requires,
        **{f"steps.{step.id}": [step.id, list(step.inputs)] for step in manifest.steps},
        **{f"steps.{step}.config": config for step, config in configs.items()},
    }


def refuse_standing_secrets(
    places: Mapping[str, Any],
    root: Path,
    environ: Mapping[str, str],
    *,
    path: str = "",
    secret_fields: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """OsirisError ``secret.in_the_clear`` for each of ``places`` in which a secret stands that is set now.

    Connections are read only where a value of a variable that their file mentions might stand there.
    """
    cores = _cores(root, environ)
    if not cores:
        return
    written = msgspec.json.encode(places).decode()
    if not any(core in written for core in cores):
        return
    from osiris.connections.standing import known_secrets_of, refuse_secrets  # noqa: PLC0415 - hardly ever needed

    refuse_secrets(places, known_secrets_of(root, environ, secret_fields), path)


def _cores(root: Path, environ: Mapping[str, str]) -> set[str]:
    """Of each value that is set its longest run of letters and digits, which no way of escaping changes."""
    try:
        source = (root / CONNECTIONS_NAME).read_text("utf-8", "replace")
    except OSError:
        return set()
    variables = Variables(root, environ)
    values = [variables.get(name) or "" for name in sorted(mentioned_names(source))]
    return {max(_CORE.findall(value), key=len, default=value) for value in values if value}
