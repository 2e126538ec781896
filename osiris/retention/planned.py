"""What a retention plan is made of."""

from __future__ import annotations

from typing import Literal

import msgspec

from osiris.config import RetentionConfig
from osiris.projections.runs import run_key

Rule = Literal["run_logs_days", "annex_keep_days", "aiop_keep_runs_per_pipeline", "unfinished"]
Root = Literal["run_logs_dir", "aiop_dir"]
Pointer = tuple[str, str, str]
"""Pipeline, profile and manifest hash that a file in ``latest/`` names."""


class Folder(msgspec.Struct, frozen=True):
    """A real folder as it was seen: which one it is, and how many bytes lie in it, those behind links not counted."""

    device: int
    inode: int
    bytes: int


class PlannedPath(msgspec.Struct, frozen=True, kw_only=True):
    """One folder that goes: whose, by which rule, and in words why. ``folder`` is None before anybody has looked."""

    path: str
    root: Root
    run_id: str
    pipeline_slug: str
    profile: str
    manifest_hash: str
    finished_at: str
    rule: Rule
    reason: str
    folder: Folder | None = None

    @property
    def run(self) -> str:
        """The run's name, ``orders/run-000001``."""
        return run_key(self.pipeline_slug, self.run_id)


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """A path that should go and stays, and what to do about it; ``code`` is ``retention.refused`` or the disk's."""

    path: str
    run: str
    problem: str
    hint: str
    code: str


class UnfinishedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a plan that was recorded and not carried out: ``named`` are all paths that are not settled.

    ``paths`` are those that are there, ``gone`` those that somebody has removed already, ``released`` those that the
    plan should never have named, or that may not be deleted any more.
    """

    plan_id: str
    planned_at: str
    named: tuple[str, ...]
    paths: tuple[PlannedPath, ...]
    gone: tuple[PlannedPath, ...]
    released: tuple[PlannedPath, ...]


class KeptRuns(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs keep their run folder, their annex or both, each counted once, by the first reason that holds.

    ``running``: without an end; ``latest``: behind a pointer; ``newest``: among the newest of their pipeline and
    profile; ``unclear``: finished in the future, or at no time; ``young``: a folder of it is reached by no rule.
    """

    running: int = 0
    latest: int = 0
    newest: int = 0
    unclear: int = 0
    young: int = 0


class RetentionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """``paths`` go, oldest run first, after what is left of ``unfinished`` plans; ``obstacles`` should, and stay."""

    policy: RetentionConfig
    pointers: frozenset[Pointer]
    unfinished: tuple[UnfinishedPlan, ...]
    paths: tuple[PlannedPath, ...]
    obstacles: tuple[Obstacle, ...]
    kept: KeptRuns
