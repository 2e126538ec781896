"""What retention meant to delete, and what it deleted."""

from __future__ import annotations

import msgspec

from osiris.events.base import EventBase


class PrunedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a pipeline and the paths (relative to the project's root) that go or went with it."""

    run_id: str
    pipeline_slug: str
    paths: tuple[str, ...]


class RetentionPlanned(EventBase, frozen=True, kw_only=True, tag="retention.planned"):
    """These paths are about to be deleted; recorded first, so that a kill in between loses no trace."""

    plan_id: str
    planned_at: str
    runs: tuple[PrunedRun, ...]


class RetentionPruned(EventBase, frozen=True, kw_only=True, tag="retention.pruned"):
    """These paths are gone. ``left`` were planned and stay: they are not, or not any more, what may be deleted.

    Paths of the plan that are in neither are still to go.
    """

    plan_id: str
    pruned_at: str
    runs: tuple[PrunedRun, ...]
    left: tuple[PrunedRun, ...] | msgspec.UnsetType = msgspec.UNSET


RetentionEvent = RetentionPlanned | RetentionPruned
