"""Parameters: where a value comes from, and what ``${params.x}`` becomes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.compiler.pipelines import ORDERS, errors, pipeline, read, validate, write

PARAMS = """\
params:
  name: {type: string, default: no}
  batch-size: {type: int, default: 10, enum: [10, 20, 30]}
  share: {type: float, default: 1}
  strict: {type: bool, default: true}
profiles:
  prod: {params: {batch-size: 20}}
"""


def bound(**bindings: Any) -> dict[str, Any]:
    return dict(validate(pipeline(read("a"), write("b"), head=PARAMS), **bindings).required().params)


def config_of(text: str, **bindings: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(validate(text, **bindings).required().steps[0].config))


def reading(config: str, head: str = PARAMS) -> str:
    return pipeline(read("a").replace("path: a.csv", config), write("b"), head=head)


def test_a_parameter_takes_the_command_line_then_the_environment_then_the_profile_then_the_default() -> None:
    environ = {"OSIRIS_PARAM_BATCH_SIZE": "30"}
    assert bound()["batch-size"] == 10
    assert bound(profile="dev")["batch-size"] == 10
    assert bound(profile="prod")["batch-size"] == 20
    assert bound(profile="prod", environ=environ)["batch-size"] == 30
    assert bound(profile="prod", environ=environ, params={"batch-size": "10"})["batch-size"] == 10


def test_texts_are_read_as_the_declared_type() -> None:
    given = {"name": "00501", "batch-size": "20", "share": "0.25", "strict": "false"}
    assert bound(params=given) == {"name": "00501", "batch-size": 20, "share": 0.25, "strict": False}
    assert bound(params={"name": ""})["name"] == ""
    assert bound() == {"batch-size": 10, "name": "no", "share": 1.0, "strict": True}


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("batch-size", "ten", "expected a whole number, got text"),
        ("batch-size", "10.5", "expected a whole number, got a number"),
        ("batch-size", "11", "'11' is not one of: 10, 20, 30"),
        ("batch-size", "", "expected a whole number, got nothing"),
        ("share", "much", "expected a number, got text"),
        ("share", ".inf", "the number is not finite"),
        ("strict", "yes", "expected true or false, got text"),
        ("name", "\udcff", "the value is not UTF-8 text"),
    ],
)
def test_a_text_of_another_type_is_an_error_that_names_where_it_came_from(name: str, text: str, found: str) -> None:
    oml = pipeline(read("a"), write("b"), head=PARAMS)
    line = {"name": 4, "batch-size": 5, "share": 6, "strict": 7}[name]
    assert errors(oml, params={name: text}) == [f"{line}:3 params.{name} (from --param): {found}"]
    variable = f"OSIRIS_PARAM_{name.upper().replace('-', '_')}"
    assert errors(oml, environ={variable: text}) == [f"{line}:3 params.{name} (from {variable}): {found}"]


def test_an_undeclared_parameter_is_an_error_on_the_command_line_and_nothing_in_the_environment() -> None:
    oml = pipeline(read("a"), write("b"), head=PARAMS)
    found = validate(oml, params={"batchsize": "1"}).errors
    assert [(error.problem, error.hint) for error in found] == [
        ("--param 'batchsize': the pipeline has no such parameter", "Did you mean 'batch-size'?")
    ]
    assert errors(oml, environ={"OSIRIS_PARAM_OTHER": "1"}) == []


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ("{a: {default: 1}}", "'type' is missing"),
        ("{a: {type: integer, default: 1}}", "'integer' is not one of: bool, float, int, string"),
        ("{a: {type: int, default: '1'}}", "params.a.default: expected a whole number, got text"),
        ("{a: {type: string, default: [1]}}", "params.a.default: expected text, got a list"),
        ("{a: {type: bool, default: no}}", "params.a.default: expected true or false, got text"),
        ("{a: {type: int, default: 3, enum: [1, 2]}}", "params.a.default: '3' is not one of: 1, 2"),
        ("{a: {type: int, default: 1, enum: [1, b]}}", "params.a.enum[1]: expected a whole number, got text"),
        ("{a: {type: int, default: 1, enum: []}}", "params.a.enum: must have at least 1 item"),
        ("{a: {type: int}}", "params.a: the parameter has no value"),
        ("{a: {type: int, defualt: 1}}", "params.a: unknown key 'defualt'"),
        ("{a b: {type: int, default: 1}}", "params: 'a b' is not a parameter's name"),
        ("{a: 5}", "params.a: expected a map, got a whole number"),
        ("[a]", "params: expected a map, got a list"),
    ],
)
def test_a_wrong_declaration_is_named(params: str, found: str) -> None:
    problems = errors(pipeline(read("a"), write("b"), head=f"params: {params}"))
    assert any(found in problem and problem.startswith("3:") for problem in problems), problems


WRITTEN = ["no", "on", "1.10", "0x1F", "0o17", "017", "2024-01-01", "2024-01-01 10:00", "1_000", "1:30", "12e3", "TRUE"]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_text_is_as_it_was_written_in_a_config_a_parameter_and_a_profile(text: str) -> None:
    assert config_of(reading(f"path: {text}"))["path"] == text
    head = f"params: {{p: {{type: string, default: {text}, enum: [a, {text}]}}}}"
    head += f"\nprofiles: {{prod: {{params: {{p: {text}}}}}}}"
    oml = reading("path: '${params.p}'", head=head)
    for bindings in ({}, {"profile": "prod"}, {"params": {"p": text}}, {"environ": {"OSIRIS_PARAM_P": text}}):
        assert config_of(oml, **bindings)["path"] == text


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        ("int", "0x1F", 31),
        ("int", "0o17", 15),
        ("int", "017", 17),
        ("int", "1_000", None),
        ("int", "1:30", None),
        ("int", "1e3", None),
        ("int", "9223372036854775808", None),
        ("int", "~", None),
        ("float", "1e3", 1000.0),
        ("float", "1_0.5", None),
        ("bool", "TRUE", True),
        ("bool", "no", None),
        ("string", "~", None),
    ],
)
def test_a_typed_parameter_reads_the_same_from_a_file_and_from_the_command_line(
    declared: str, text: str, value: object
) -> None:
    in_file = validate(pipeline(read("a"), write("b"), head=f"params: {{p: {{type: {declared}, default: {text}}}}}"))
    found = in_file.pipeline.params["p"] if in_file.pipeline else None
    assert (found, type(found)) == (value, type(value))
    if declared != "string":  # there every text is a text
        oml = pipeline(read("a"), write("b"), head=f"params: {{p: {{type: {declared}}}}}")
        given = validate(oml, params={"p": text})
        assert (given.pipeline.params["p"] if given.pipeline else None) == value


@pytest.mark.parametrize(
    ("profiles", "found"),
    [
        ("{prod: {params: {zz: 1}}}", "profiles.prod.params.zz: the pipeline has no such parameter"),
        ("{prod: {params: {strict: 1}}}", "profiles.prod.params.strict: expected true or false, got a whole number"),
        ("{prod: {params: {batch-size: 5}}}", "profiles.prod.params.batch-size: '5' is not one of: 10, 20, 30"),
        ("{prod: {parms: {}}}", "profiles.prod: unknown key 'parms'"),
        ("{prd: {}}", "profiles: unknown profile 'prd'"),
    ],
)
def test_every_profile_is_checked_whichever_is_active(profiles: str, found: str) -> None:
    head = PARAMS.partition("profiles:")[0] + f"profiles: {profiles}"
    oml = pipeline(read("a"), write("b"), head=head)
    for active in ("", "dev", "prod"):
        problems = errors(oml, profile=active, known_profiles=("dev", "prod"))
        assert [problem.split(" ", 1)[1] for problem in problems] == [found]


def test_a_reference_that_is_the_whole_value_keeps_its_type() -> None:
    oml = reading(
        "path: a.csv, limit: '${params.batch-size}', header: '${params.strict}', options: {s: '${params.share}'}"
    )
    assert config_of(oml)["limit"] == 10
    assert config_of(oml, params={"strict": "false"})["header"] is False
    assert config_of(oml)["options"] == {"s": 1.0}


def test_a_reference_inside_a_text_becomes_text() -> None:
    oml = reading("path: '${params.name}/${params.batch-size}-${params.strict}-${ params.share }.csv'")
    assert config_of(oml)["path"] == "no/10-true-1.0.csv"
    assert config_of(reading("path: '${params.batch-size}'"))["path"] == "10"


def test_a_text_parameter_does_not_turn_into_a_number() -> None:
    oml = reading("path: a, options: {a: '${params.name}'}")
    assert config_of(oml, params={"name": "1.10"})["options"] == {"a": "1.10"}
    found = errors(reading("path: a, limit: '${params.name}'"), params={"name": "5"})
    assert len(found) == 1
    assert found[0].endswith("steps[0].config.limit: expected a whole number, got text")


def test_a_reference_in_a_parameters_value_stays_text() -> None:
    assert config_of(reading("path: '${params.name}'"), params={"name": "${params.share}"})["path"] == "${params.share}"


def test_references_work_in_every_part_of_a_step_and_in_the_head() -> None:
    oml = ORDERS.replace("timeout: 10m", 'timeout: "${params.limit}s"').replace(
        "name: orders-etl", 'name: "orders-${params.region}"'
    )
    found = validate(oml).required()
    assert (found.name, found.steps[1].timeout_ms) == ("orders-eu", 100_000)


def test_an_undeclared_reference_is_named_with_its_place_and_a_suggestion() -> None:
    oml = reading("path: 'a/${params.nmae}.csv', header: 3")
    found = validate(oml).errors
    assert [(error.line, error.problem, error.hint) for error in found][:1] == [
        (11, "steps[0].config.path: ${params.nmae} names no parameter", "Did you mean 'name'?")
    ]
    assert "steps[0].config.header: expected true or false" in found[1].problem


def test_a_parameter_without_a_value_is_reported_once_and_not_at_each_use() -> None:
    oml = reading("path: '${params.n}', limit: '${params.n}'", head="params: {n: {type: int}}")
    assert errors(oml) == ["3:10 params.n: the parameter has no value"]


def test_free_keys_are_not_looked_into() -> None:
    oml = pipeline(read("a", ", x-note: '${params.none}'"), write("b"), head="x-any: '${params.none}'")
    assert errors(oml) == []
