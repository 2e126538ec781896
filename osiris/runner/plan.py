"""The execution plan: which steps run as one statement, and how rows go from one stage to the next.

A stage is a set of steps with one sink, a writer or a materialisation, that runs as one statement. Inside of it rows go
through views and at most one stream, and rows that several of its steps read are computed once; between stages they lie
in Parquet files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Literal

import msgspec

from osiris.compiler.manifest import ManifestStep
from osiris.errors import OsirisError

Carrier = Literal["view", "stream", "shared", "parquet"]
Rows = Literal["relation", "stream", "none"]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in execution order, the last of which is the sink; ``needs`` are the numbers of the stages before it.

    The rows of the steps in ``shared`` are read by several others of the stage.
    """

    number: int
    steps: tuple[str, ...]
    sink: str
    materialises: bool
    needs: frozenset[int]
    shared: frozenset[str] = frozenset()


class ExecutionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All stages, and for each step that gives rows how they are carried."""

    stages: tuple[Stage, ...]
    carriers: dict[str, Carrier]


def plan_execution(steps: Sequence[ManifestStep], rows: Mapping[str, Rows], *, kept: bool = False) -> ExecutionPlan:
    """The plan for ``steps``, which stand in execution order; ``rows`` says by id how each component gives its rows.

    Rows with one consumer are a view or a stream in the consumer's stage. Those with several are shared where all that
    is made of them comes together in one step again; else, or where nobody reads them, they are Parquet. Where an order
    that ``needs`` asks for could not be kept inside of one stage, Parquet takes the place of a view. Where what steps
    give is ``kept``, all rows are Parquet, and each step is a stage of its own.
    """
    stored = {step.id for step in steps} if kept else set()
    while True:
        carriers, sinks = _carry(steps, rows, stored)
        stages = _stages(steps, carriers, sinks)
        cut = _edge_to_cut(steps, rows, stages)
        if cut is None:
            return ExecutionPlan(stages=tuple(stages), carriers=carriers)
        stored.add(cut)


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


def _carry(
    steps: Sequence[ManifestStep], rows: Mapping[str, Rows], stored: Set[str]
) -> tuple[dict[str, Carrier], dict[str, str]]:
    """How the rows of each step are carried, and the sink of each step's stage; those of ``stored`` are Parquet."""
    consumers: dict[str, list[ManifestStep]] = defaultdict(list)
    for step in steps:
        for producer in set(step.inputs.values()):
            consumers[producer].append(step)
    carriers: dict[str, Carrier] = {}
    sinks: dict[str, str] = {}
    for step in reversed(steps):
        sinks[step.id] = step.id
        if step.mode == "write":
            continue
        reached = {sinks[consumer.id] for consumer in consumers[step.id]}
        alone = len(consumers[step.id]) == 1
        if step.id in stored or len(reached) != 1 or not (alone or _come_together(steps, *reached)):
            carriers[step.id] = "parquet"
            continue
        [sinks[step.id]] = reached
        if not alone:
            carriers[step.id] = "shared"
        else:
            carriers[step.id] = "stream" if rows[step.id] == "stream" else "view"
    return carriers, sinks


def _come_together(steps: Sequence[ManifestStep], sink: str) -> bool:
    """Whether all rows that go into ``sink`` come out of one query: not so for a writer with several inputs."""
    [step] = [step for step in steps if step.id == sink]
    return step.mode != "write" or len(set(step.inputs.values())) == 1


def _stages(steps: Sequence[ManifestStep], carriers: Mapping[str, Carrier], sinks: Mapping[str, str]) -> list[Stage]:
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
            shared=frozenset(step for step in ids if carriers.get(step) == "shared"),
        )
        for sink, ids in members.items()
    ]


def _edge_to_cut(steps: Sequence[ManifestStep], rows: Mapping[str, Rows], stages: Sequence[Stage]) -> str | None:
    """A producer whose rows must be Parquet after all, or None if the stages can run as they are."""
    stage_of = {member: stage for stage in stages for member in stage.steps}
    for stage in stages:
        streams = [member for member in stage.steps if rows[member] == "stream" and member != stage.sink]
        if len(streams) > 1:  # one statement that reads two connections at its own pace may let one of them time out
            return streams[1]
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
