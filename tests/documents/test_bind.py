"""Binding nodes to types: every problem at once, each with its path, its place and a way out."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.documents import Node, bind, bind_fields, load_document, suggest
from osiris.errors import Finding


class Colour(enum.Enum):
    RED = "red"
    OFF = "off"


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    mode: Literal["read", "write", "off"] = "read"


class Loose(msgspec.Struct, frozen=True, kw_only=True):
    steps: list[Strict] = []
    names: dict[str, str] = {}
    ratio: float = 0.5
    header: bool = True
    size: int | str = 0
    columns: list[str] | str = ""
    choice: Strict | None = None
    anything: Any = None
    rest: Node | None = None
    pair: tuple[int, str] = (1, "a")
    colour: Colour = Colour.RED


class Checked(msgspec.Struct, frozen=True):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be more than high")


def bound(text: str, type_: Any) -> Any:
    findings: list[Finding] = []
    value = bind(load_document(text, "a.yaml"), type_, path="a.yaml", findings=findings)
    assert findings == []
    return value


def problems(text: str, type_: Any) -> list[str]:
    findings: list[Finding] = []
    assert bind(load_document(text, "a.yaml"), type_, path="a.yaml", findings=findings) is None
    return [f"{finding.line}:{finding.column} {finding.problem}" for finding in findings]


@pytest.mark.parametrize("raw", ["no", "1.10", "00501", "2024-01-01", "true", "0x10", "9007199254740993", "NA", "1e3"])
def test_a_text_field_takes_an_unquoted_scalar_as_it_is_written(raw: str) -> None:
    assert bound(f"path: {raw}", Strict).path == raw
    assert bound(f"names: {{a: {raw}}}", Loose).names == {"a": raw}


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("ratio: 1", "ratio", 1.0),
        ("header: False", "header", False),
        ("size: 10", "size", 10),
        ("size: 10MB", "size", "10MB"),
        ("size: 1.10", "size", "1.10"),
        ("columns: no", "columns", "no"),
        ("columns: [no, 1.10]", "columns", ["no", "1.10"]),
        ("choice:", "choice", None),
        ("choice: {path: a}", "choice", Strict(path="a")),
        ("anything: {a: [1, no, 2.5]}", "anything", {"a": [1, "no", 2.5]}),
        ("pair: [2, 3]", "pair", (2, "3")),
        ("colour: off", "colour", Colour.OFF),
        ("steps:", "steps", []),
        ("names:", "names", {}),
        ("steps: [{path: a, mode: off}]", "steps", [Strict(path="a", mode="off")]),
    ],
)
def test_values_become_what_the_field_says(text: str, field: str, value: object) -> None:
    found = getattr(bound(text, Loose), field)
    assert found == value
    assert type(found) is type(value)


def test_a_section_with_nothing_under_it_is_an_empty_section() -> None:
    assert bound("# all commented out\n", Loose) == Loose()


def test_a_field_may_keep_its_node_for_later() -> None:
    rest = bound("rest: {a: 1}", Loose).rest
    assert isinstance(rest, Node)
    assert rest.entries[0].key == "a"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", ["1:1 expected a map, got a list"]),
        ("steps: {}", ["1:8 steps: expected a list, got a map"]),
        ("steps: [a]", ["1:9 steps[0]: expected a map, got text"]),
        ("steps: [{path: }]", ["1:16 steps[0].path: expected text, got nothing"]),
        ("steps: [{path: ~}]", ["1:16 steps[0].path: expected text, got null"]),
        ("steps: [{path: [a]}]", ["1:16 steps[0].path: expected text, got a list"]),
        ("steps: [{}]", ["1:9 steps[0]: 'path' is missing"]),
        ("steps: [{path: a, limit: 0}]", ["1:26 steps[0].limit: must be at least 1"]),
        ("steps: [{path: a, limit: 11}]", ["1:26 steps[0].limit: must be at most 10"]),
        ("steps: [{path: a, limit: '5'}]", ["1:26 steps[0].limit: expected a whole number, got text"]),
        ("steps: [{path: a, limit: 1.5}]", ["1:26 steps[0].limit: expected a whole number, got a number"]),
        ("steps: [{path: a, limit: true}]", ["1:26 steps[0].limit: expected a whole number, got true or false"]),
        ("steps: [{path: a, mode: reed}]", ["1:25 steps[0].mode: 'reed' is not one of: off, read, write"]),
        ("steps: [{path: a, x-note: 1, pth: b}]", ["1:30 steps[0]: unknown key 'pth'"]),
        ("steps: [{pth: b}]", ["1:10 steps[0]: unknown key 'pth'"]),
        ("ratio: .inf", ["1:8 ratio: the number is not finite"]),
        ("ratio: 1e999", ["1:8 ratio: the number is not finite"]),
        ("size: 99999999999999999999", ["1:7 size: the number does not fit into 64 bits"]),
        ("header: yes", ["1:9 header: expected true or false, got text"]),
        ("size: [1]", ["1:7 size: expected a whole number or text, got a list"]),
        ("columns: {a: b}", ["1:10 columns: expected a list or text, got a map"]),
        ("names: {a: [b]}", ["1:12 names.a: expected text, got a list"]),
        ("pair: [1]", ["1:7 pair: must have 2 items, has 1"]),
        ("colour: blue", ["1:9 colour: 'blue' is not one of: red, off"]),
    ],
)
def test_a_wrong_value_is_named_with_its_path_and_place(text: str, found: list[str]) -> None:
    assert problems(text, Loose) == found


def test_everything_that_is_wrong_is_found_at_once() -> None:
    text = "steps:\n  - {path: [], limit: x}\n  - {mode: wirte}\nratio: a\nheader: 1\n"
    assert len(problems(text, Loose)) == 6


def test_a_near_miss_is_suggested() -> None:
    findings: list[Finding] = []
    root = load_document("path: a\nlimt: 3\nmode: wirte\n", "a.yaml")
    bind(root, Strict, path="a.yaml", findings=findings)
    assert [finding.hint for finding in findings] == ["Did you mean 'limit'?", "Did you mean 'write'?"]


def test_unknown_keys_of_a_tolerant_struct_go_to_their_own_list() -> None:
    findings: list[Finding] = []
    unknown: list[Finding] = []
    root = load_document("stps: []\nx-free: 1\nratio: 1\n", "a.yaml")
    value = bind(root, Loose, path="a.yaml", findings=findings, at="top", unknown=unknown)
    assert value == Loose(ratio=1.0)
    assert findings == []
    assert unknown == [Finding("top: unknown key 'stps'", "Did you mean 'steps'?", "a.yaml", 1, 1)]


def test_what_a_struct_itself_refuses_is_a_finding() -> None:
    assert problems("{low: 2, high: 1}", Checked) == ["1:1 low must not be more than high"]


def test_the_fields_that_are_right_can_be_had_although_others_are_wrong() -> None:
    findings: list[Finding] = []
    root = load_document("path: a\nlimit: x\n", "a.yaml")
    assert bind_fields(root, Strict, path="a.yaml", findings=findings) == {"path": "a"}
    assert len(findings) == 1


def test_no_message_repeats_a_secret() -> None:
    class Secretive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        password: Literal["a"]
        url: Literal["b"]
        count: int

    text = 'password: hunter2\nurl: "postgres://u:hunter2@h/d"\ncount: hunter2\n"pg://u:hunter2@h": 1\n'
    findings: list[Finding] = []
    bind(load_document(text, "a.yaml"), Secretive, path="a.yaml", findings=findings)
    assert len(findings) == 4
    assert "hunter2" not in str(findings)


def test_suggest_is_silent_where_nothing_is_near() -> None:
    assert suggest("stpes", ["steps", "name"]) == "Did you mean 'steps'?"
    assert suggest("zzz", ["steps", "name"]) == ""


_TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(alphabet="ab1.'", max_size=5)
    | st.sampled_from(["red", "read", "a"]),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from([*Loose.__struct_fields__, "path"]), below)
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(_TREES)
def test_whatever_stands_there_is_bound_or_found_wrong(tree: object) -> None:
    root = load_document(json.dumps(tree), "a.yaml")
    findings: list[Finding] = []
    value = bind(root, Loose, path="a.yaml", findings=findings)
    assert isinstance(value, Loose) == (not findings)
