"""The shape of ``osiris.yaml``: every key with its type, its bounds and its default.

``docs/samples/osiris.filesystem.yaml`` shows every key with a comment.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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
    """Which files a new build has: ``plan`` and ``run_summary`` can be left out, the others are what makes it one.

    ``save_events_tail`` is how many of a run's last events its pack keeps beside ``summary.json``.
    """

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
    """The journal: when a segment is full (MiB), and how long a writer waits for a lock (seconds).

    ``allow_filesystems`` names file systems that the journal may lie on although their locks or syncs are not to be
    trusted.
    """

    segment_mb: Annotated[float, Meta(gt=0, le=4096)] = 64
    lock_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 10
    allow_filesystems: tuple[str, ...] = ()


class RuntimeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The engine: "" is 60 % of the machine's memory or its cgroup's, 0 threads is all cores.

    ``keep_step_outputs``: whether what each step gives stays in the run folder, so that the run can be resumed.
    """

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
