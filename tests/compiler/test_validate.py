"""The validator: everything that is wrong, at once, each with its line and column, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.compiler.oml import Bindings
from osiris.compiler.validate import Validation, validate_file, validate_pipeline
from osiris.components.base import Component
from osiris.documents import load_document
from osiris.errors import OsirisError
from tests.compiler.pipelines import ORDERS, errors, pipeline, read, registry, transform, validate, write


def test_a_good_pipeline_has_no_findings() -> None:
    found = validate(ORDERS)
    assert found.errors == ()
    assert found.warnings == ()
    assert [step.id for step in found.required().steps] == ["extract-orders", "by-customer", "write"]


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("oml_version: 0.1", "1:14 oml_version: expected text in quotes, got a number"),
        ("oml_version: [1]", "1:14 oml_version: expected text in quotes, got a list"),
        ('oml_version: "0.2.0"', "1:14 oml_version: '0.2.0' is not a version of OML that this Osiris reads"),
        ('oml_version: "0.1"', "1:14 oml_version: '0.1' is not a version of OML that this Osiris reads"),
        ("oml_version:", "1:13 oml_version: expected text in quotes, got nothing"),
    ],
)
def test_the_version_is_text_of_the_form_0_1_x(version: str, found: str) -> None:
    text = pipeline(read("a"), write("b")).replace('oml_version: "0.1.0"', version)
    assert errors(text) == [found]


def test_an_unquoted_version_with_three_parts_is_text_anyway() -> None:
    assert errors(ORDERS.replace('"0.1.0"', "0.1.7")) == []


@pytest.mark.parametrize("key", ["oml_version", "name", "steps"])
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    text = ("\n" + ORDERS).replace(f"\n{key}:", "\nx-was:")
    assert f"2:1 '{key}' is missing" in errors(text)


def test_a_file_that_is_no_pipeline_is_an_error() -> None:
    assert errors("just text") == ["1:1 a pipeline is a map of keys, this is text"]
    assert errors("") == ["1:1 a pipeline is a map of keys, this is nothing"]
    assert "2:7 name: must not be empty" in errors("steps: []\nname: ''\n")
    assert "1:8 steps: must have at least 1 item" in errors("steps: []\nname: ''\n")


@pytest.mark.parametrize("key", ["version", "connectors", "tasks", "outputs"])
def test_keys_of_other_formats_are_refused_with_a_hint(key: str) -> None:
    found = validate(pipeline(read("a"), write("b"), head=f"{key}: 1")).errors
    assert [(error.line, error.column) for error in found] == [(3, 1)]
    assert f"'{key}'" in found[0].problem
    assert found[0].hint


def test_unknown_keys_are_errors_with_a_suggestion_and_x_keys_are_free() -> None:
    found = validate(pipeline(read("a", ", nedes: []"), write("b", ", x-why: 1"), head="requries: {}\nx-any: {a: 1}"))
    assert [(error.problem, error.hint) for error in found.errors] == [
        ("unknown key 'requries'", "Did you mean 'requires'?"),
        ("steps[0]: unknown key 'nedes'", "Did you mean 'needs'?"),
    ]


def test_x_keys_are_free_wherever_there_are_keys() -> None:
    free = "x-note: [1, {a: null}]"
    head = (
        f"{free}\nmetadata: {{{free}}}\nrequires: {{{free}, duckdb: '>=1'}}\n"
        f"params: {{{free}, p: {{type: int, default: 1, {free}}}}}\n"
        f"profiles: {{{free}, prod: {{{free}, params: {{{free}, p: 2}}}}}}"
    )
    wired = f", {free}, retry: {{max: 1, {free}}}, inputs: {{df: '${{a.df}}', {free}}}"
    found = validate(pipeline(read("a").replace("{path", f"{{{free}, path"), write("b", wired), head=head))
    assert found.errors == ()
    assert found.required().requires == {"duckdb": ">=1"}
    assert found.required().steps[1].inputs == {"df": "a"}


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("{component: filesystem.csv_writer, mode: write, config: {path: a}}", "'id' is missing"),
        (write("-a"), "id: '-a' is not a step id"),
        (write("a" * 65), "is not a step id"),
        (write('""'), "id: a step's id must not be empty"),
        (write("params"), "id: a step cannot be called 'params'"),
        (write("r"), "id: the id 'r' is taken by the step at line 4"),
        (write("w").replace("filesystem.csv_writer", '""'), "component: must not be empty"),
        (write("w", ", inputs: {a: '${r.df}', b: '${r.df}'}"), "the step 'w' takes one input, has 2"),
        (write("w").replace("csv_writer", "csv_writr"), "component: unknown component 'filesystem.csv_writr'"),
        (write("w").replace("mode: write", "mode: read"), "mode: filesystem.csv_writer has no mode read"),
        (write("w").replace("mode: write", "mode: writ"), "mode: 'writ' is not one of: read, transform, write"),
        (write("w").replace("path: out.csv", "pth: out.csv"), "config: unknown key 'pth'"),
        (write("w").replace("path: out.csv", "path: [a]"), "config.path: expected text, got a list"),
        (write("w").replace("path: out.csv", ""), "config: 'path' is missing"),
        (write("w").replace(", config: {path: out.csv}", ""), "config: 'path' is missing"),
        (write("w", ", timeout: 10"), "timeout: expected a whole number with a unit, got '10'"),
        (write("w", ", timeout: 1.5h"), "timeout: expected a whole number with a unit, got '1.5h'"),
        (write("w", ", timeout: 0s"), "timeout: expected a whole number with a unit, got '0s'"),
        (write("w", ", timeout: [1]"), "timeout: expected a whole number with a unit, got a list"),
        (write("w", ", retry: {max: -1}"), "retry.max: must be at least 0"),
        (write("w", ", retry: {backoff: linear}"), "retry.backoff: 'linear' is not one of: exp, fixed"),
        (write("w", ", retry: 3"), "retry: expected a map, got a whole number"),
        (write("w", ", needs: r"), "needs: expected a list, got text"),
        (write("w", ", needs: [q]"), "needs: there is no step 'q'"),
        (write("w", ", inputs: {df: '${q.df}'}"), "inputs.df: there is no step 'q'"),
        (write("w", ", inputs: {df: r}"), "inputs.df: 'r' does not name a step's rows"),
        (write("w", ", inputs: {d-f: '${r.df}'}"), "inputs.d-f: not a name for an input"),
        (write("w", ", needs: []"), "the step 'w' has nothing to write"),
        (write("w", ", inputs: {}"), "the step 'w' has nothing to write"),
        (read("w", ", inputs: {df: '${r.df}'}"), "inputs: a read step takes no inputs"),
        ("just text", "expected a map, got text"),
    ],
)
def test_what_is_wrong_with_a_step_is_named_with_its_place(step: str, found: str) -> None:
    all_found = validate(pipeline(read("r"), step)).errors
    assert len(all_found) == 1
    error = all_found[0]
    assert error.problem.startswith("steps[1]")
    assert found in error.problem
    assert (error.path, error.line) == ("p.yaml", 5)
    assert error.column >= 5
    assert error.hint


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("1h", 3_600_000)]
)
def test_a_timeout_is_a_whole_number_with_a_unit(text: str, milliseconds: int) -> None:
    step = validate(pipeline(read("a", f", timeout: {text}"), write("b"))).required().steps[0]
    assert step.timeout_ms == milliseconds


def test_a_write_after_a_write_has_nothing_to_write_unless_it_names_its_rows() -> None:
    two = pipeline(read("a"), write("b"), write("c"))
    assert errors(two) == ["6:5 steps[2]: the step 'c' has nothing to write; 'b' before it gives no rows"]
    assert errors(pipeline(read("a"), write("b"), write("c", ", needs: [a, b]"))) == []


def test_a_write_with_several_producers_must_name_its_input() -> None:
    several = pipeline(read("a"), read("b"), write("c", ", needs: [a, b]"))
    assert errors(several) == ["6:5 steps[2]: the step 'c' could write the rows of several steps: 'a', 'b'"]
    named = pipeline(read("a"), read("b"), write("c", ", needs: [a, b], inputs: {df: '${b.df}'}"))
    step = validate(named).required().steps[2]
    assert (step.needs, step.inputs) == (("a", "b"), {"df": "b"})


def test_an_input_from_a_write_step_is_an_error() -> None:
    text = pipeline(read("a"), write("b"), write("c", ", inputs: {df: '${b.df}'}"))
    assert [error.split(" ", 1)[1] for error in errors(text)] == [
        "steps[2].inputs.df: the step 'b' writes and gives no rows"
    ]


def test_a_circle_is_named_step_by_step() -> None:
    text = pipeline(
        transform("a", ", needs: [c]"), transform("b", ", needs: [a]"), transform("c", ", needs: [b]"), write("d")
    )
    assert errors(text) == ["4:5 steps[0]: steps need each other in a circle: a -> c -> b -> a"]
    assert "in a circle: a -> a" in errors(pipeline(transform("a", ", needs: [a]"), write("b")))[0]


def test_a_step_whose_rows_nobody_uses_is_a_warning() -> None:
    found = validate(pipeline(read("a"), read("b"), write("c")))
    assert found.errors == ()
    assert [warning.problem for warning in found.warnings] == ["steps[0]: nobody uses the rows of the step 'a'"]


@pytest.mark.parametrize(
    ("specifier", "good"),
    [
        ('">=1.1"', True),
        ('">=1.1,<3"', True),
        ('"==1.*"', True),
        ('"~=1.4.2"', True),
        ("1.1", False),
        ('"=>1"', False),
        ('">=1.1,"', False),
        ('""', False),
        ('"latest"', False),
        ('">=1.*"', False),
    ],
)
def test_requires_takes_version_specifiers(specifier: str, good: bool) -> None:
    found = errors(pipeline(read("a"), write("b"), head=f"requires: {{duckdb: {specifier}}}"))
    assert (found == []) == good
    assert all("requires.duckdb" in problem for problem in found)


def test_a_missing_extra_is_a_finding_at_the_component() -> None:
    def find(name: str) -> Component | None:
        if name == "postgres.extractor":
            raise OsirisError("postgres.extractor needs an extra", "Install osiris[postgres].", code="extra.missing")
        return registry().find(name)

    text = pipeline("{id: a, component: postgres.extractor, mode: read}", write("b"))
    components = type(registry())(find, registry().names)
    found = validate_pipeline(load_document(text, "p.yaml"), "p.yaml", Bindings(), components).errors
    assert [(error.problem, error.hint) for error in found] == [
        ("steps[0].component: postgres.extractor needs an extra", "Install osiris[postgres].")
    ]


def test_everything_is_found_at_once_in_the_order_of_the_file() -> None:
    text = pipeline(
        read("a").replace("path: a.csv", "pth: a.csv, header: yes"),
        transform("a b", ", timeout: 5"),
        write("c", ", needs: [nobody]"),
        head="nme: x\nrequires: {duckdb: 1}",
    )
    found = validate(text).errors
    assert [error.line for error in found] == [3, 4, 6, 6, 7, 7, 8]
    assert len({error.problem for error in found}) == 7


def test_one_error_carries_all_findings(tmp_path: Path) -> None:
    with pytest.raises(OsirisError) as caught:
        validate("name: a\nsteps: []\n").required()
    assert caught.value.code == "oml.invalid"
    assert len(caught.value.findings) == 2
    source = tmp_path / "broken.yaml"
    source.write_text("a: ]")
    found = validate_file(source, "broken.yaml", Bindings(), registry())
    assert (found.pipeline, found.errors[0].path, found.errors[0].line) == (None, "broken.yaml", 1)
    with pytest.raises(OsirisError, match="no such pipeline file"):
        validate_file(tmp_path / "none.yaml", "none.yaml", Bindings(), registry())


# fmt: off
_WORDS = st.sampled_from([
    "a", "b", "a b", "", "null", "0.1.0", "read", "write", "duckdb.processor", "filesystem.csv_writer", "10m", "1",
    "true", "${a.df}", "${params.a}", "${params.}", "${", "string", "pg://u:p4ss@h", "x-a", ">=1",
])
# fmt: on
_HEAD_KEYS = ["params", "profiles", "requires", "metadata", "x-a", "version"]
_STEP_KEYS = ["id", "component", "mode", "needs", "inputs", "config", "retry", "timeout"]
_KEYS = st.sampled_from(
    [*_HEAD_KEYS, *_STEP_KEYS, "name", "df", "query", "path", "type", "default", "enum", "a", "max"]
)
_TREES = st.recursive(
    _WORDS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_KEYS, below, max_size=5),
    max_leaves=25,
)
_STEPS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(_STEP_KEYS, _TREES)), max_size=4)
_PIPELINES = st.fixed_dictionaries(
    {"oml_version": st.just("0.1.0") | _TREES, "name": _WORDS, "steps": _STEPS | _TREES},
    optional=dict.fromkeys(_HEAD_KEYS, _TREES),
)


@settings(deadline=None)
@given(_PIPELINES | _TREES)
def test_no_document_makes_anything_but_findings_with_places(tree: object) -> None:
    root = load_document(yaml.safe_dump(tree, allow_unicode=True), "p.yaml")
    found = validate_pipeline(root, "p.yaml", Bindings(params={"a": "1"}, profile="a"), registry())
    assert isinstance(found, Validation)
    assert (found.pipeline is None) == bool(found.errors)
    assert all(error.hint and "\n" not in error.problem + error.hint for error in found.errors)
    assert all(error.line > 0 and error.column > 0 for error in found.errors if "--param" not in error.problem)
    assert "p4ss" not in repr(found)
