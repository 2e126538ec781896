"""Reading ``osiris.yaml``: the file, then the environment over it.

Precedence: command line, then environment, then ``osiris.yaml``, then the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from osiris.config.rules import broken_rules, check_run_id_tokens
from osiris.config.schema import CONFIG_NAME, OsirisConfig
from osiris.documents import Node, bind, load_document, to_builtins
from osiris.errors import Finding, OsirisError, findings_error


class LoadedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration with what was said about it: unknown keys are tolerated, and named in a warning once."""

    config: OsirisConfig
    warnings: tuple[str, ...] = ()


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
    if findings or config is None:
        raise findings_error(findings, code="config.invalid")
    config = _with_environment(_with_older_blocks(config, node), environ)
    if findings := list(broken_rules(config, node)):
        raise findings_error(findings, code="config.invalid")
    return LoadedConfig(config=config, warnings=tuple(f"{found.where}: {found.problem}" for found in unknown))


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


def _with_older_blocks(config: OsirisConfig, node: Node) -> OsirisConfig:
    """``determinism.manifest_short_len`` counts where ``filesystem.naming`` does not speak."""
    if node.is_null or node.child("filesystem", "naming").entry("manifest_short_len") is not None:
        return config
    naming_config = msgspec.structs.replace(
        config.filesystem.naming, manifest_short_len=config.determinism.manifest_short_len
    )
    return msgspec.structs.replace(config, filesystem=msgspec.structs.replace(config.filesystem, naming=naming_config))


def base_from_environment(environ: Mapping[str, str]) -> str:
    """The base path that the environment names, "" where it names none."""
    return environ.get("OSIRIS_FILESYSTEM_BASE") or environ.get("OSIRIS_BASE_PATH") or ""


def _with_environment(config: OsirisConfig, environ: Mapping[str, str]) -> OsirisConfig:
    filesystem, ids = config.filesystem, config.ids
    if base := base_from_environment(environ):
        filesystem = msgspec.structs.replace(filesystem, base_path=base)
    if days := environ.get("OSIRIS_RETENTION_RUN_LOGS_DAYS"):
        if not re.fullmatch(r"[0-9]{1,6}", days):
            raise OsirisError(
                f"OSIRIS_RETENTION_RUN_LOGS_DAYS is {days!r}, but it must be a whole number of days, 0 or more",
                "Correct the environment variable or unset it.",
                code="config.environment",
            )
        retention = msgspec.structs.replace(filesystem.retention, run_logs_days=int(days))
        filesystem = msgspec.structs.replace(filesystem, retention=retention)
    if run_id_format := environ.get("OSIRIS_RUN_ID_FORMAT"):
        ids = msgspec.structs.replace(ids, run_id_format=parse_run_id_format(run_id_format))
    if profile := environ.get("OSIRIS_PROFILE"):
        profiles = msgspec.structs.replace(filesystem.profiles, default=profile)
        filesystem = msgspec.structs.replace(filesystem, profiles=profiles)
    return msgspec.structs.replace(config, filesystem=filesystem, ids=ids)


def parse_run_id_format(text: str) -> tuple[str, ...]:
    """``incremental,ulid`` as a sequence of checked tokens."""
    tokens = tuple(part.strip() for part in text.split(",") if part.strip())
    check_run_id_tokens(tokens)
    return tokens
