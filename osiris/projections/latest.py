"""``latest/<slug>.txt`` and ``latest/<profile>/<slug>.txt``: the newest build of a pipeline, in three lines."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from osiris.events.entry import Entry
from osiris.events.runs import PipelineCompiled
from osiris.projections.base import Change, Projection, Write


class LatestState(msgspec.Struct, kw_only=True):
    """Nothing: each compile says all there is to say."""


def latest_path(slug: str, profile: str = "") -> str:
    """The pointer of a pipeline, over all profiles or of one."""
    return f"latest/{profile}/{slug}.txt" if profile else f"latest/{slug}.txt"


def apply(state: LatestState, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - the protocol has it
    """Point at the build that was just compiled."""
    match entry.event:
        case PipelineCompiled(pipeline_slug=slug, profile=profile) as event:
            content = f"{event.manifest_path}\n{event.manifest_hash}\n{profile}\n".encode()
            paths = [latest_path(slug)] + ([latest_path(slug, profile)] if profile else [])
            return [Write(path, content) for path in paths]
        case _:
            return ()


LATEST = Projection("latest", LatestState, apply)
