"""``pipelines.json``: per pipeline its tags and, for each profile, its last compile."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from osiris.events.entry import Entry
from osiris.events.runs import PipelineCompiled, PipelineTagged, RunImported
from osiris.projections.base import Change, Projection, Write

PIPELINES_PATH = "pipelines.json"


class LastCompile(msgspec.Struct, frozen=True, kw_only=True):
    """The newest build of a pipeline in one profile; entry ``seq`` recorded it."""

    manifest_hash: str
    manifest_path: str
    payload_digest: str
    source_path: str
    compiled_at: str
    seq: int


class PipelineSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What ``pipelines.json`` says of one pipeline; ``last_compile`` is by profile ("" where profiles are off)."""

    tags: tuple[str, ...] = ()
    last_compile: dict[str, LastCompile] = {}


class PipelinesState(msgspec.Struct, kw_only=True):
    """All pipelines by slug."""

    pipelines: dict[str, PipelineSummary] = {}


_encode = msgspec.json.Encoder(order="sorted").encode
decode_pipelines = msgspec.json.Decoder(dict[str, PipelineSummary]).decode


def compiled(state: PipelinesState, event: PipelineCompiled, entry: Entry) -> Sequence[Change]:
    """Remember a compile."""
    known = state.pipelines.get(event.pipeline_slug, PipelineSummary())
    last_compile = LastCompile(
        manifest_hash=event.manifest_hash,
        manifest_path=event.manifest_path,
        payload_digest=event.payload_digest,
        source_path=event.source_path,
        compiled_at=event.compiled_at,
        seq=entry.seq,
    )
    state.pipelines[event.pipeline_slug] = msgspec.structs.replace(
        known, last_compile={**known.last_compile, event.profile: last_compile}
    )
    return (_write(state),)


def tagged(state: PipelinesState, event: PipelineTagged, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Remember new tags."""
    known = state.pipelines.get(event.pipeline_slug, PipelineSummary())
    state.pipelines[event.pipeline_slug] = msgspec.structs.replace(known, tags=event.tags)
    return (_write(state),)


def imported(state: PipelinesState, event: RunImported, entry: Entry) -> Sequence[Change]:  # noqa: ARG001 - a step has it
    """Know a pipeline of which only an imported run was ever heard."""
    if event.pipeline_slug in state.pipelines:
        return ()
    state.pipelines[event.pipeline_slug] = PipelineSummary()
    return (_write(state),)


def _write(state: PipelinesState) -> Write:
    return Write(PIPELINES_PATH, lambda: msgspec.json.format(_encode(state.pipelines), indent=2) + b"\n")


PIPELINES = Projection(
    "pipelines", PipelinesState, {PipelineCompiled: compiled, PipelineTagged: tagged, RunImported: imported}
)
