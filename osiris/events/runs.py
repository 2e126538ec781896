"""The first family: pipelines that were compiled and tagged, runs from start to end."""

from __future__ import annotations

from typing import Literal

import msgspec

from osiris.events.base import EventBase


class RunError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run did not succeed: a stable dotted ``code``, a sentence, and the place in a step's query where known.

    Where there is no ``column`` it is left out, so that an error without one is written as it always was.
    """

    code: str
    message: str
    step: str = ""
    line: int = 0
    hint: str = ""
    column: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def place(self) -> str:
        """``line 3, column 12``, as far as it is known."""
        line = f"line {self.line}" if self.line else ""
        return f"{line}, column {self.column}" if line and self.column else line


class PipelineCompiled(EventBase, frozen=True, kw_only=True, tag="pipeline.compiled"):
    """A build of the pipeline stands under ``manifest_path`` and is the newest of its profile."""

    pipeline_slug: str
    profile: str
    manifest_hash: str
    manifest_short: str
    payload_digest: str
    manifest_path: str
    source_path: str
    compiled_at: str


class RunStarted(EventBase, frozen=True, kw_only=True, tag="run.started"):
    """A run got its number; nothing of it exists on disk yet but its lock.

    ``number`` counts the runs of one pipeline from 1 without gaps. ``session`` names the lock file that the running
    process holds. Paths are relative to the project's root; ``profile`` is "" where profiles are off.
    ``resumed_from`` is the id of the run of this pipeline that it goes on with, "" where it begins at the beginning.
    """

    run_id: str
    number: int
    session: str
    pipeline_slug: str
    profile: str
    manifest_hash: str
    manifest_short: str
    payload_digest: str
    started_at: str
    run_logs_path: str
    aiop_path: str
    manifest_path: str
    tags: tuple[str, ...] = ()
    branch: str = ""
    user: str = ""
    git_commit: str = ""
    pid: int = 0
    runtime_env: dict[str, str] = {}
    resumed_from: str = ""


class RunFinished(EventBase, frozen=True, kw_only=True, tag="run.finished"):
    """A run came to its end by itself. ``rows_in`` and ``rows_out`` are exact, or null where nothing was counted."""

    run_id: str
    pipeline_slug: str
    status: Literal["success", "failed", "cancelled"]
    finished_at: str
    duration_ms: int
    rows_in: int | None = None
    rows_out: int | None = None
    error: RunError | None = None


class RunInterrupted(EventBase, frozen=True, kw_only=True, tag="run.interrupted"):
    """The process of a run was found dead; ``noticed_at`` is when, for nobody knows when it died."""

    run_id: str
    pipeline_slug: str
    noticed_at: str
    error: RunError


class PipelineTagged(EventBase, frozen=True, kw_only=True, tag="pipeline.tagged"):
    """The pipeline's tags are now ``tags`` (sorted); new runs inherit them."""

    pipeline_slug: str
    tags: tuple[str, ...]
    tagged_at: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class RunTagged(EventBase, frozen=True, kw_only=True, tag="run.tagged"):
    """The tags of one run are now ``tags`` (sorted)."""

    run_id: str
    pipeline_slug: str
    tags: tuple[str, ...]
    tagged_at: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class RunImported(EventBase, frozen=True, kw_only=True, tag="run.imported"):
    """A run that ended before this journal knew of it, with all that is known of it; it has no number.

    ``source`` is where its files lay, ``run_logs_path`` where they go; both relative to the project's root, the former
    as far as it lies there. What is not known is "" or null, as for an interrupted run its duration.
    """

    run_id: str
    pipeline_slug: str
    profile: str
    status: Literal["success", "failed", "cancelled", "interrupted"]
    started_at: str
    finished_at: str
    source: str
    run_logs_path: str
    imported_at: str
    duration_ms: int | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    error: RunError | None = None
    manifest_hash: str = ""
    manifest_short: str = ""
    manifest_path: str = ""
    payload_digest: str = ""
    tags: tuple[str, ...] = ()
    user: str = ""
    runtime_env: dict[str, str] = {}


RunEvent = PipelineCompiled | RunStarted | RunFinished | RunInterrupted | PipelineTagged | RunTagged | RunImported
