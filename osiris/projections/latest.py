"""``latest/<slug>.txt`` and ``latest/<profile>/<slug>.txt``: the newest build of a pipeline, in three lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from osiris.events.entry import Entry
from osiris.events.runs import PipelineCompiled
from osiris.projections.base import Change, Projection, Write


class LatestState(msgspec.Struct, kw_only=True):
    """Nothing: each compile says all there is to say."""


def latest_path(slug: str, profile: str = "") -> str:
    """The pointer of a pipeline, over all profiles or of one."""
    return f"latest/{profile}/{slug}.txt" if profile else f"latest/{slug}.txt"


def point(state: LatestState, event: PipelineCompiled, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Point at the build that was just compiled."""
    render = partial(_render, event)
    everywhere = Write(latest_path(event.pipeline_slug), render)
    if not event.profile:
        return (everywhere,)
    return (everywhere, Write(latest_path(event.pipeline_slug, event.profile), render))


def _render(event: PipelineCompiled) -> bytes:
    return f"{event.manifest_path}\n{event.manifest_hash}\n{event.profile}\n".encode()


LATEST = Projection("latest", LatestState, {PipelineCompiled: point})
