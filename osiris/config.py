"""``osiris.yaml``, typed: every value with its default, its rules, and where it came from.

Precedence: command line, then environment, then ``osiris.yaml``, then the default.
``docs/samples/osiris.filesystem.yaml`` shows every key with a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from osiris.documents import Node, bind, load_document, to_builtins
from osiris.errors import Finding, OsirisError, findings_error

CONFIG_NAME = "osiris.yaml"
RUN_ID_TOKENS = ("incremental", "ulid", "iso_ulid", "uuidv4", "snowflake")
UNIQUE_RUN_ID_TOKENS = frozenset(RUN_ID_TOKENS) - {"incremental"}

_Days = Annotated[int, Meta(ge=0, description="0 disables the rule")]
_ProfileName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_Directory = Annotated[str, Meta(min_length=1)]


class ProfilesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which profiles exist. With ``enabled: false`` no path has a profile segment."""

    enabled: bool = True
    values: tuple[_ProfileName, ...] = ("dev", "staging", "prod", "ml", "finance", "incident_debug")
    default: str = "dev"


class NamingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How folders are named; tokens in braces."""

    manifest_dir: str = "{pipeline_slug}/{manifest_short}-{manifest_hash}"
    run_dir: str = "{pipeline_slug}/{run_ts}_{run_id}-{manifest_short}"
    aiop_run_dir: str = "{run_id}"
    run_ts_format: str = "iso_basic_z"
    manifest_short_len: Annotated[int, Meta(ge=3, le=16)] = 7


class ArtifactsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which files a build has; all of them in this version."""

    manifest: bool = True
    plan: bool = True
    fingerprints: bool = True
    run_summary: bool = True
    cfg: bool = True
    save_events_tail: Annotated[int, Meta(ge=0)] = 0


class RetentionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How long run logs and annexes are kept; 0 disables a rule."""

    run_logs_days: _Days = 7
    aiop_keep_runs_per_pipeline: Annotated[int, Meta(ge=0)] = 200
    annex_keep_days: _Days = 14


class FilesystemConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything lies, relative to the project's root."""

    base_path: str = ""
    pipelines_dir: _Directory = "pipelines"
    build_dir: _Directory = "build"
    aiop_dir: _Directory = "aiop"
    run_logs_dir: _Directory = "run_logs"
    sessions_dir: _Directory = ".osiris/sessions"
    cache_dir: _Directory = ".osiris/cache"
    index_dir: _Directory = ".osiris/index"
    journal_dir: _Directory = ".osiris/journal"
    profiles: ProfilesConfig = ProfilesConfig()
    naming: NamingConfig = NamingConfig()
    artifacts: ArtifactsConfig = ArtifactsConfig()
    retention: RetentionConfig = RetentionConfig()


class IdsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Run ids and manifest hashes."""

    run_id_format: str | tuple[str, ...] = ("incremental", "ulid")
    manifest_hash_algo: Literal["sha256_slug"] = "sha256_slug"

    @property
    def run_id_tokens(self) -> tuple[str, ...]:
        """The format as a sequence; an empty one means ``iso_ulid``."""
        tokens = (self.run_id_format,) if isinstance(self.run_id_format, str) else self.run_id_format
        return tuple(token for token in tokens if token) or ("iso_ulid",)


class DeterminismConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Kept for older files: ``filesystem.naming.manifest_short_len`` wins over the one here."""

    manifest_short_len: Annotated[int, Meta(ge=3, le=16)] = 7
    manifest_rehydration: bool = True


class RetentionDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """How ``maintenance clean`` behaves."""

    dry_run_default: bool = True
    batch_size: Annotated[int, Meta(ge=1)] = 50


class LedgerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The journal: when a segment is full (MiB), and how long a writer waits for a lock (seconds)."""

    segment_mb: Annotated[float, Meta(gt=0, le=4096)] = 64
    lock_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 10


class RuntimeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The engine: "" is 60 % of the machine's memory or its cgroup's, 0 threads is all cores."""

    memory_limit: Annotated[str, Meta(pattern=r"^$|^[0-9]+(\.[0-9]+)?\s*(B|[KMGT]i?B)$")] = ""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    keep_step_outputs: bool = False


class OsirisConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    version: Literal["2.0"] = "2.0"
    filesystem: FilesystemConfig = FilesystemConfig()
    ids: IdsConfig = IdsConfig()
    determinism: DeterminismConfig = DeterminismConfig()
    retention: RetentionDefaults = RetentionDefaults()
    ledger: LedgerConfig = LedgerConfig()
    runtime: RuntimeConfig = RuntimeConfig()


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
    if findings := list(_rules(config, node)):
        raise findings_error(findings, code="config.invalid")
    return LoadedConfig(config=config, warnings=tuple(f"{found.where}: {found.problem}" for found in unknown))


def load_raw_config(path: Path) -> dict[str, Any]:
    """``osiris.yaml`` as a plain dict, unchecked but for its YAML."""
    raw = to_builtins(_read(path))
    return raw if isinstance(raw, dict) else {}


def select_profile(profiles: ProfilesConfig, wanted: str | None) -> str:
    """The active profile, "" where profiles are off; an unknown one fails fast."""
    if not profiles.enabled:
        if wanted:
            raise OsirisError(
                f"ConfigError: profile {wanted!r} was asked for, but profiles are off (filesystem.profiles.enabled).",
                "Leave the profile out, or enable profiles in osiris.yaml.",
                code="config.profiles_off",
                path=CONFIG_NAME,
            )
        return ""
    chosen = wanted or profiles.default
    if chosen not in profiles.values:
        raise OsirisError(
            f"ConfigError: Unknown profile '{chosen}'. Allowed profiles: {', '.join(profiles.values)} "
            "(filesystem.profiles.values).",
            "Use one of the allowed profiles with --profile or OSIRIS_PROFILE, or add yours to osiris.yaml.",
            code="config.unknown_profile",
            path=CONFIG_NAME,
        )
    return chosen


def check_run_id_tokens(tokens: Sequence[str]) -> None:
    """Fail on a run-id token that does not exist, and on a format that names no run."""
    for token in tokens:
        if token not in RUN_ID_TOKENS:
            raise OsirisError(
                f"ConfigError: Unsupported run_id_format token '{token}'. Supported: {', '.join(RUN_ID_TOKENS)}.",
                "Correct ids.run_id_format in osiris.yaml, OSIRIS_RUN_ID_FORMAT or --run-id-format.",
                code="config.run_id_format",
                path=CONFIG_NAME,
            )


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


def _rules(config: OsirisConfig, node: Node) -> Sequence[Finding]:
    """What no single value can say of itself."""
    check_run_id_tokens(config.ids.run_id_tokens)
    findings: list[Finding] = []
    profiles, naming = config.filesystem.profiles, config.filesystem.naming
    if profiles.enabled and not profiles.values:
        findings.append(_at(node, ("filesystem", "profiles", "values"), "no profile is allowed", "Name at least one."))
    elif profiles.enabled:
        select_profile(profiles, None)
    for key, template in (("run_dir", naming.run_dir), ("aiop_run_dir", naming.aiop_run_dir)):
        if "{run_id}" not in template:
            problem = f"filesystem.naming.{key} has no {{run_id}}, so two runs could get one folder"
            findings.append(_at(node, ("filesystem", "naming", key), problem, "Put {run_id} into it."))
    if not UNIQUE_RUN_ID_TOKENS & set(config.ids.run_id_tokens) and "{pipeline_slug}" not in naming.run_dir:
        problem = "incremental run ids are unique in one pipeline only, and filesystem.naming.run_dir names none"
        findings.append(_at(node, ("filesystem", "naming", "run_dir"), problem, "Put {pipeline_slug} into run_dir."))
    return [*findings, *_misplaced_directories(config.filesystem, node)]


def _misplaced_directories(filesystem: FilesystemConfig, node: Node) -> Iterator[Finding]:
    """Each directory is the project's own and no part of another: what may clear one must not delete the other."""
    keys = [name for name in filesystem.__struct_fields__ if name.endswith("_dir")]
    places = [(key, PurePosixPath(getattr(filesystem, key))) for key in keys]
    index = PurePosixPath(filesystem.index_dir)
    places.append(("index_dir", index.parent / f"{index.name}.new"))  # where a rebuild works
    for number, (key, place) in enumerate(places):
        if place.is_absolute() or not place.parts or ".." in place.parts or "\0" in str(place):
            problem = f"filesystem.{key} is {str(place)!r}, which is no folder below the project's root"
            yield _at(node, ("filesystem", key), problem, f"The default is {getattr(FilesystemConfig(), key)!r}.")
            continue
        for other, its_place in places[:number]:
            if other != key and (place.is_relative_to(its_place) or its_place.is_relative_to(place)):
                problem = f"filesystem.{key} ({place}) and filesystem.{other} ({its_place}) are not apart"
                named = key if node.child("filesystem").entry(key) else other
                hint = f"Give each a folder of its own; the default here is {getattr(FilesystemConfig(), named)!r}."
                yield _at(node, ("filesystem", named), problem, hint)


def _at(node: Node, keys: tuple[str, ...], problem: str, hint: str) -> Finding:
    place = node.child(*keys)
    return Finding(problem, hint, CONFIG_NAME, place.line, place.column)
