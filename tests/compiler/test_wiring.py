"""Wiring: the order of steps, their levels, and the names of their rows in a query."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.compiler.compile import config_paths
from osiris.compiler.graph import execution_order, find_circles, levels
from osiris.compiler.wiring import table_names
from tests.compiler.pipelines import pipeline, read, transform, validate, write


def wires(*steps: str) -> dict[str, tuple[tuple[str, ...], dict[str, str]]]:
    return {step.id: (step.needs, step.inputs) for step in validate(pipeline(*steps)).required().steps}


def test_without_needs_a_read_waits_for_nothing_and_others_for_the_step_before() -> None:
    assert wires(read("a"), transform("b"), read("c"), write("d")) == {
        "a": ((), {}),
        "b": (("a",), {"df": "a"}),
        "c": ((), {}),
        "d": (("c",), {"df": "c"}),
    }


def test_inputs_imply_needs_and_carry_only_what_they_name() -> None:
    found = wires(read("a"), read("b"), write("c", ", needs: [b, b], inputs: {df: '${a.df}'}"))
    assert found["c"] == (("a", "b"), {"df": "a"})


def test_several_inputs_are_named_as_in_a_query() -> None:
    found = wires(read("a-1"), read("b"), transform("c", ", needs: [b, a-1]"), write("d"))
    assert found["c"] == (("a-1", "b"), {"df_a_1": "a-1", "df_b": "b"})


def test_a_need_on_a_write_step_is_order_only() -> None:
    found = wires(
        read("a"), write("b"), transform("c", ", needs: [a, b]"), write("d"), read("e", ", needs: [b]"), write("f")
    )
    assert found["c"] == (("a", "b"), {"df": "a"})
    assert found["e"] == (("b",), {})


def test_a_transform_may_have_no_input() -> None:
    assert wires(transform("a"), write("b"))["a"] == ((), {})


@pytest.mark.parametrize(
    ("step", "name"),
    [("extract-orders", "df_extract_orders"), ("1st", "df__1st"), ("A_b", "df_A_b"), ("9-x", "df__9_x")],
)
def test_a_query_sees_df_and_the_id(step: str, name: str) -> None:
    assert table_names([step]) == {step: name}


def test_ids_that_fall_together_get_eight_digits_of_their_digest() -> None:
    def hashed(step: str) -> str:
        return hashlib.sha256(step.encode()).hexdigest()[:8]

    assert table_names(["a-b", "a_b", "c"]) == {
        "a-b": f"df_a_b_{hashed('a-b')}",
        "a_b": f"df_a_b_{hashed('a_b')}",
        "c": "df_c",
    }
    assert table_names(["X", "x"]) == {"X": f"df_X_{hashed('X')}", "x": f"df_x_{hashed('x')}"}
    taken = f"a_b_{hashed('a-b')}"
    assert len(set(table_names(["a-b", "a_b", taken]).values())) == 3


_IDS = st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,5}", fullmatch=True), unique=True, max_size=12)


@settings(deadline=None)
@given(_IDS)
def test_no_two_steps_share_a_name_or_a_config_file(ids: list[str]) -> None:
    names = [name.lower() for name in table_names(ids).values()]
    paths = [path.lower() for path in config_paths(ids).values()]
    assert len(set(names)) == len(set(paths)) == len(ids)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], dict[str, list[str]]]:
    ids = [f"s{number}" for number in range(draw(st.integers(0, 8)))]
    return ids, {step: draw(st.lists(st.sampled_from(ids), unique=True, max_size=3)) for step in ids}


@settings(deadline=None)
@given(graphs())
def test_an_order_follows_the_needs_or_a_circle_says_why_not(graph: tuple[list[str], dict[str, list[str]]]) -> None:
    ids, needs = graph
    order = execution_order(ids, needs)
    for place, step in enumerate(order):
        assert set(needs[step]) <= set(order[:place])
    circles = find_circles(ids, needs)
    assert bool(circles) == (len(order) < len(ids))
    for circle in circles:
        for step, need in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert need in needs[step]
    grouped = levels(order, needs)
    assert sorted(step for level in grouped for step in level) == sorted(order)
    for number, level in enumerate(grouped):
        earlier = {step for group in grouped[:number] for step in group}
        assert all(set(needs[step]) <= earlier for step in level)


def test_steps_keep_their_place_in_the_file_where_the_needs_allow_it() -> None:
    needs = {"d": ["a"], "c": [], "b": ["c"], "a": []}
    assert execution_order(["d", "c", "b", "a"], needs) == ["c", "b", "a", "d"]
    assert levels(["c", "b", "a", "d"], needs) == [["c", "a"], ["b", "d"]]


def test_a_long_chain_needs_no_deep_stack() -> None:
    ids = [f"s{number}" for number in range(5000)]
    needs = {step: [ids[number + 1]] if number + 1 < len(ids) else [] for number, step in enumerate(ids)}
    assert execution_order(ids, needs) == ids[::-1]
    needs[ids[-1]] = [ids[0]]
    assert find_circles(ids, needs) == [ids]
