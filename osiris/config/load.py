"""Reading ``osiris.yaml``: the file, then the environment over it.

Precedence: command line, then environment, then ``osiris.yaml``, then the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from osiris.config.environment import read_environment
from osiris.config.keys import Place, bind_shared, find_places, with_value
from osiris.config.rules import broken_rules, unknown_run_ts_format
from osiris.config.schema import CONFIG_NAME, NamingConfig, OsirisConfig
from osiris.documents import Node, bind, load_document, to_builtins
from osiris.errors import Finding, OsirisError, findings_error

_UNKNOWN_KEYS_SHOWN = 10


class LoadedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration with what was said about it.

    ``sources`` says of each dotted key that the file or the environment sets where its value comes from:
    ``osiris.yaml:3``, ``osiris.yaml:9 (determinism.manifest_short_len)`` or the name of a variable. Unknown keys are
    tolerated, and named in one warning.
    """

    config: OsirisConfig
    warnings: tuple[str, ...] = ()
    sources: dict[str, str] = {}


def load_config(path: Path, environ: Mapping[str, str]) -> LoadedConfig:
    """Read and check ``osiris.yaml`` and the environment over it; every problem at once, exit 2."""
    node = _read(path)
    findings: list[Finding] = []
    unknown: list[Finding] = []
    config = (
        OsirisConfig()
        if node.is_null
        else bind(node, OsirisConfig, path=CONFIG_NAME, findings=findings, unknown=unknown)
    )
    places = find_places(node)
    config, guests = bind_shared(config or OsirisConfig(), node, places, findings)
    if findings:
        raise findings_error(findings, code="config.invalid")
    sources = {key: _source(key, place) for key, place in places.items()}
    for setting in read_environment(environ):
        config = with_value(config, setting.key, setting.value)
        sources[setting.key] = setting.variable
    if findings := broken_rules(config, places, sources):
        raise findings_error(findings, code="config.invalid")
    warnings = _unknown_keys(unknown, guests)
    if found := unknown_run_ts_format(config, places):
        warnings.append(f"{found.where}: {found.problem}. {found.hint}")
        config = with_value(config, "filesystem.naming.run_ts_format", NamingConfig().run_ts_format)
    return LoadedConfig(config=config, warnings=tuple(warnings), sources=sources)


def load_raw_config(path: Path) -> dict[str, Any]:
    """``osiris.yaml`` as a plain dict, unchecked but for its YAML."""
    raw = to_builtins(_read(path))
    return raw if isinstance(raw, dict) else {}


def _read(path: Path) -> Node:
    try:
        return load_document(path.read_bytes(), CONFIG_NAME)
    except OSError as cause:
        raise OsirisError(
            f"could not read {path}: {cause.strerror}",
            "Check its permissions.",
            code="config.unreadable",
            path=str(path),
        ) from cause


def _source(key: str, place: Place) -> str:
    return place.where if place.key == key else f"{place.where} ({place.key})"


def _unknown_keys(unknown: Sequence[Finding], known: set[tuple[int, int]]) -> list[str]:
    """One warning that names each unknown key once; ``known`` are the places of keys that belong to another block."""
    strangers = {(found.line, found.column): found for found in unknown if (found.line, found.column) not in known}
    if not strangers:
        return []
    named = [_stranger(found) for found in [*strangers.values()][:_UNKNOWN_KEYS_SHOWN]]
    more = len(strangers) - len(named)
    return [f"{'; '.join(named)}{f'; and {more} more' if more else ''}"]


def _stranger(found: Finding) -> str:
    near = f" ({found.hint[0].lower()}{found.hint[1:]})" if found.hint.startswith("Did you mean") else ""
    return f"{found.where}: {found.problem}{near}"
