"""The execution plan: what is fused into one statement, and what goes through Parquet."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.compiler.manifest import ManifestStep
from osiris.components.csv_writer import Config as CsvTarget
from osiris.errors import OsirisError
from osiris.runner.plan import ExecutionPlan, Rows, plan_execution, refuse_shared_targets


def step(id: str, mode: str, *inputs: str, after: tuple[str, ...] = ()) -> ManifestStep:  # noqa: A002 - the step's id
    return ManifestStep(
        id=id,
        component="test",
        component_version="1",
        mode=mode,  # type: ignore[arg-type]
        needs=(*inputs, *after),
        inputs={f"df_{producer}": producer for producer in inputs},
        config="",
        config_digest="",
    )


def plan(*steps: ManifestStep, streams: tuple[str, ...] = ()) -> ExecutionPlan:
    rows: dict[str, Rows] = {step.id: "stream" if step.id in streams else "relation" for step in steps}
    return plan_execution(steps, rows)


def stages(found: ExecutionPlan) -> list[tuple[str, ...]]:
    return [stage.steps for stage in found.stages]


def test_a_chain_is_one_stage_of_views() -> None:
    found = plan(step("e", "read"), step("p", "transform", "e"), step("q", "transform", "p"), step("w", "write", "q"))
    assert stages(found) == [("e", "p", "q", "w")]
    assert found.carriers == {"e": "view", "p": "view", "q": "view"}
    assert (found.stages[0].sink, found.stages[0].materialises) == ("w", False)


def test_where_rows_are_kept_every_step_is_a_stage_of_its_own() -> None:
    steps = [step("e", "read"), step("p", "transform", "e"), step("q", "transform", "e"), step("r", "read")]
    steps += [step("j", "transform", "p", "q", "r"), step("w", "write", "j")]
    rows: dict[str, Rows] = {one.id: "stream" if one.id == "r" else "relation" for one in steps}
    found = plan_execution(steps, rows, kept=True)
    assert stages(found) == [(one.id,) for one in steps]
    assert found.carriers == dict.fromkeys(("e", "p", "q", "r", "j"), "parquet")
    assert [stage.materialises for stage in found.stages] == [True] * 5 + [False]


def test_a_join_of_two_chains_is_one_stage() -> None:
    found = plan(step("a", "read"), step("b", "read"), step("j", "transform", "a", "b"), step("w", "write", "j"))
    assert stages(found) == [("a", "b", "j", "w")]


def test_rows_with_two_consumers_are_stored_once() -> None:
    found = plan(
        step("e", "read"),
        step("p", "transform", "e"),
        step("w1", "write", "p"),
        step("q", "transform", "p"),
        step("w2", "write", "q"),
    )
    assert stages(found) == [("e", "p"), ("w1",), ("q", "w2")]
    assert found.carriers == {"e": "view", "p": "parquet", "q": "view"}
    assert [stage.materialises for stage in found.stages] == [True, False, False]
    assert [stage.needs for stage in found.stages] == [frozenset(), {0}, {0}]


def test_rows_whose_consumers_come_together_are_shared_by_one_statement() -> None:
    found = plan(
        step("e", "read"),
        step("p", "transform", "e"),
        step("q", "transform", "e"),
        step("j", "transform", "p", "q"),
        step("w", "write", "j"),
    )
    assert stages(found) == [("e", "p", "q", "j", "w")]
    assert found.carriers == {"e": "shared", "p": "view", "q": "view", "j": "view"}
    assert found.stages[0].shared == {"e"}


def test_rows_come_together_also_before_rows_that_are_stored() -> None:
    found = plan(
        step("e", "read"),
        step("p", "transform", "e"),
        step("j", "transform", "e", "p"),
        step("w1", "write", "j"),
        step("w2", "write", "j"),
    )
    assert stages(found) == [("e", "p", "j"), ("w1",), ("w2",)]
    assert found.carriers == {"e": "shared", "p": "view", "j": "parquet"}


def test_rows_that_come_together_only_in_a_writer_are_stored() -> None:
    found = plan(step("e", "read"), step("p", "transform", "e"), step("w", "write", "e", "p"))
    assert found.carriers == {"e": "parquet", "p": "view"}
    assert stages(found) == [("e",), ("p", "w")]


def test_a_stream_is_shared_by_one_statement() -> None:
    found = plan(
        step("s", "read"),
        step("p", "transform", "s"),
        step("j", "transform", "s", "p"),
        step("w", "write", "j"),
        streams=("s",),
    )
    assert found.carriers == {"s": "shared", "p": "view", "j": "view"}


def test_a_consumer_that_reads_the_same_rows_twice_is_one_consumer() -> None:
    twice = ManifestStep(
        id="p", component="t", component_version="1", mode="transform", needs=("e",),
        inputs={"left": "e", "right": "e"}, config="", config_digest="",
    )  # fmt: skip
    assert stages(plan(step("e", "read"), twice, step("w", "write", "p"))) == [("e", "p", "w")]


def test_rows_that_nobody_reads_are_stored() -> None:
    found = plan(step("e", "read"), step("p", "transform", "e"))
    assert stages(found) == [("e", "p")]
    assert found.carriers["p"] == "parquet"


def test_independent_chains_wait_for_nobody() -> None:
    found = plan(step("a", "read"), step("b", "read"), step("w1", "write", "a"), step("w2", "write", "b"))
    assert stages(found) == [("a", "w1"), ("b", "w2")]
    assert all(not stage.needs for stage in found.stages)


def test_a_stream_goes_straight_into_its_consumer() -> None:
    found = plan(step("s", "read"), step("w", "write", "s"), streams=("s",))
    assert stages(found) == [("s", "w")]
    assert found.carriers == {"s": "stream"}


def test_a_stage_has_at_most_one_stream() -> None:
    found = plan(
        step("s", "read"),
        step("t", "read"),
        step("j", "transform", "s", "t"),
        step("w", "write", "j"),
        streams=("s", "t"),
    )
    assert found.carriers == {"s": "stream", "t": "parquet", "j": "view"}
    assert stages(found) == [("s", "j", "w"), ("t",)]


def test_a_writer_that_waits_for_another_comes_after_it() -> None:
    found = plan(
        step("a", "read"), step("w1", "write", "a"), step("b", "read"), step("w2", "write", "b", after=("w1",))
    )
    assert [stage.needs for stage in found.stages] == [frozenset(), {0}]


def test_an_order_inside_of_a_stage_is_kept_by_storing_rows() -> None:
    found = plan(
        step("a", "read"), step("b", "read", after=("a",)), step("j", "transform", "a", "b"), step("w", "write", "j")
    )
    assert found.carriers["a"] == "parquet"
    assert stages(found) == [("a",), ("b", "j", "w")]


def test_stages_that_would_wait_for_each_other_are_cut() -> None:
    found = plan(
        step("a", "read"),
        step("c", "read"),
        step("b", "write", "a", after=("c",)),
        step("d", "write", "c", after=("a",)),
    )
    assert_can_run(found)


@given(st.data())
def test_every_plan_can_run_and_holds_every_step_once(data: st.DataObject) -> None:
    steps: list[ManifestStep] = []
    for number in range(data.draw(st.integers(1, 9))):
        givers = [before.id for before in steps if before.mode != "write"]
        inputs = data.draw(st.lists(st.sampled_from(givers), unique=True, max_size=3)) if givers else []
        mode = "read" if not inputs else data.draw(st.sampled_from(["transform", "write"]))
        before = [other.id for other in steps if other.id not in inputs]
        after = data.draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
        inputs = inputs[:1] if mode == "write" else inputs
        steps.append(step(f"s{number}", mode, *inputs, after=tuple(after)))
    streams = tuple(other.id for other in steps if data.draw(st.booleans()))
    found = plan(*steps, streams=streams)
    assert_can_run(found)
    assert sorted(member for stage in found.stages for member in stage.steps) == sorted(each.id for each in steps)
    place = {member: stage for stage in found.stages for member in stage.steps}
    for each in steps:
        for need in each.needs:
            fused = place[need] is place[each.id]
            assert fused == (need in each.inputs.values() and found.carriers[need] != "parquet")
            assert fused or place[need].number in place[each.id].needs
    for stage in found.stages:
        assert sum(member in streams and member != stage.sink for member in stage.steps) <= 1
        assert stage.shared == {member for member in stage.steps if found.carriers.get(member) == "shared"}


def assert_can_run(found: ExecutionPlan) -> None:
    done: set[int] = set()
    while ready := [stage.number for stage in found.stages if stage.number not in done and stage.needs <= done]:
        done.update(ready)
    assert len(done) == len(found.stages)


def test_two_writers_of_one_file_are_refused(tmp_path: Path) -> None:
    steps = [step("a", "read"), step("w1", "write", "a"), step("w2", "write", "a")]
    configs = {"a": CsvTarget(path="out.csv"), "w1": CsvTarget(path="out.csv"), "w2": CsvTarget(path="./x/../out.csv")}
    with pytest.raises(OsirisError, match="w1 and w2 both write") as refused:
        refuse_shared_targets(steps, configs, tmp_path)
    assert refused.value.code == "config.shared_target"
    refuse_shared_targets(steps, {**configs, "w2": CsvTarget(path="other.csv")}, tmp_path)
