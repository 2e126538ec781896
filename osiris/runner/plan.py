"""The execution plan: which steps run as one statement, and how rows go from one stage to the next.

A stage is a tree of steps with one sink, a writer or a materialisation. Inside of it rows go through views and at most
one stream; between stages they lie in Parquet files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from osiris.compiler.manifest import ManifestStep
from osiris.errors import OsirisError

Carrier = Literal["view", "stream", "parquet"]
Rows = Literal["relation", "stream", "none"]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in execution order, the last of which is the sink; ``needs`` are the numbers of the stages before it."""

    number: int
    steps: tuple[str, ...]
    sink: str
    materialises: bool
    needs: frozenset[int]


class ExecutionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All stages, and for each step that gives rows how they are carried."""

    stages: tuple[Stage, ...]
    carriers: dict[str, Carrier]


def plan_execution(steps: Sequence[ManifestStep], rows: Mapping[str, Rows]) -> ExecutionPlan:
    """The plan for ``steps``, which stand in execution order; ``rows`` says by id how each component gives its rows.

    Rows with one consumer are a view or a stream in the consumer's stage; with several or none they are Parquet. Where
    an order that ``needs`` asks for could not be kept inside of one stage, Parquet takes the place of a view.
    """
    carriers = _carriers(steps, rows)
    while True:
        stages = _stages(steps, carriers)
        cut = _edge_to_cut(steps, carriers, stages)
        if cut is None:
            return ExecutionPlan(stages=tuple(stages), carriers=carriers)
        carriers[cut] = "parquet"


def refuse_shared_targets(
    steps: Sequence[ManifestStep], configs: Mapping[str, msgspec.Struct], project_root: Path
) -> None:
    """An error if two steps would write the same file: the one that ends last would win."""
    writers: dict[Path, str] = {}
    for step in steps:
        path = getattr(configs[step.id], "path", None)
        if step.mode != "write" or not isinstance(path, str):
            continue
        target = (project_root / Path(path).expanduser()).resolve()
        first = writers.setdefault(target, step.id)
        if first != step.id:
            raise OsirisError(
                f"the steps {first} and {step.id} both write {path}",
                "Give each of them a file of its own.",
                code="config.shared_target",
                path=path,
            )


def _carriers(steps: Sequence[ManifestStep], rows: Mapping[str, Rows]) -> dict[str, Carrier]:
    consumers: dict[str, set[str]] = defaultdict(set)
    for step in steps:
        for producer in step.inputs.values():
            consumers[producer].add(step.id)
    carriers: dict[str, Carrier] = {}
    for step in steps:
        if step.mode != "write":
            alone = len(consumers[step.id]) == 1
            carriers[step.id] = ("stream" if rows[step.id] == "stream" else "view") if alone else "parquet"
    return carriers


def _stages(steps: Sequence[ManifestStep], carriers: Mapping[str, Carrier]) -> list[Stage]:
    consumer = {producer: step.id for step in steps for producer in step.inputs.values()}
    sinks = {step.id: _sink_of(step.id, carriers, consumer) for step in steps}
    members: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        members[sinks[step.id]].append(step.id)
    numbers = {sink: number for number, sink in enumerate(members)}
    needs: dict[str, set[int]] = defaultdict(set)
    for step in steps:
        for need in {*step.needs, *step.inputs.values()}:
            if sinks[need] != sinks[step.id]:
                needs[sinks[step.id]].add(numbers[sinks[need]])
    return [
        Stage(
            number=numbers[sink],
            steps=tuple(ids),
            sink=sink,
            materialises=sink in carriers,
            needs=frozenset(needs[sink]),
        )
        for sink, ids in members.items()
    ]


def _sink_of(step: str, carriers: Mapping[str, Carrier], consumer: Mapping[str, str]) -> str:
    while carriers.get(step, "parquet") != "parquet":
        step = consumer[step]
    return step


def _edge_to_cut(steps: Sequence[ManifestStep], carriers: Mapping[str, Carrier], stages: Sequence[Stage]) -> str | None:
    """A producer whose rows must be Parquet after all, or None if the stages can run as they are."""
    stage_of = {member: stage for stage in stages for member in stage.steps}
    for stage in stages:
        streams = [member for member in stage.steps if carriers.get(member) == "stream"]
        if len(streams) > 1:
            return streams[
                1
            ]  # one statement reading two connections at its own pace could leave one of them to time out
    for step in steps:
        for need in step.needs:
            if need not in step.inputs.values() and stage_of[need] is stage_of[step.id]:
                return need
    circle = _stages_in_circles(stages)
    return next((fused for stage in circle for fused in stage.steps if fused != stage.sink), None)


def _stages_in_circles(stages: Sequence[Stage]) -> list[Stage]:
    """What is left when stages that wait for nobody are taken away until there are none."""
    left = {stage.number: stage for stage in stages}
    while ready := [number for number, stage in left.items() if not stage.needs & left.keys()]:
        for number in ready:
            del left[number]
    return list(left.values())
