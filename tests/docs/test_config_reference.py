"""The reference of the configuration names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as kinds

from osiris.config import OF_ONE_RUN, RUN_ID_TOKENS, TOKENS, VARIABLES, OsirisConfig, config_keys, config_value
from osiris.config.naming import RUN_TS_DIRECTIVES, RUN_TS_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "config.md").read_text("utf-8")


def table(header: str) -> dict[str, list[str]]:
    """The rows under ``header`` by what stands in the first column."""
    rows = PAGE.split(header)[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {first.strip("`"): rest for first, *rest in cells}


KEYS = table("| key | value | default | variable |")


def kind_of(key: str) -> Any:
    kind: Any = kinds.type_info(OsirisConfig)
    for name in key.split("."):
        kind = next(field.type for field in kind.fields if field.name == name)
        while isinstance(kind, kinds.Metadata):
            kind = kind.type
    return kind


def test_every_key_stands_there_in_the_order_of_the_schema() -> None:
    assert list(KEYS) == list(config_keys())


def test_the_defaults_are_the_real_ones() -> None:
    real = {key: msgspec.json.encode(config_value(OsirisConfig(), key)).decode() for key in config_keys()}
    assert {key: default.strip("`") for key, (_, default, _) in KEYS.items()} == real


def test_the_variables_are_the_real_ones() -> None:
    named = {key: tuple(re.findall(r"`(\w+)`", variable)) for key, (_, _, variable) in KEYS.items() if variable}
    assert named == VARIABLES


def test_every_bound_and_every_choice_is_named() -> None:
    for key, (value, _, _) in KEYS.items():
        kind = kind_of(key)
        bounds = [getattr(kind, name, None) for name in ("ge", "gt", "le", "lt")]
        numbers = {float(number) for number in re.findall(r"\d+", value)}
        assert {float(bound) for bound in bounds if bound is not None} <= numbers, key
        if isinstance(kind, kinds.LiteralType):
            assert all(f"`{choice}`" in value for choice in kind.values), key
        if isinstance(kind, kinds.BoolType):
            assert "`true`" in value, key
    assert all(f"`{token}`" in KEYS["ids.run_id_format"][0] for token in RUN_ID_TOKENS)
    assert all(f"`{name}`" in KEYS["filesystem.naming.run_ts_format"][0] for name in RUN_TS_NAMES)


def test_every_token_stands_there_with_whether_a_build_can_have_it() -> None:
    tokens = table("| token | value | in `manifest_dir` |")
    assert [token.strip("{}") for token in tokens] == list(TOKENS)
    assert {token.strip("{}") for token, (_, of_build) in tokens.items() if of_build == "no"} == OF_ONE_RUN


def test_the_directives_are_the_real_ones() -> None:
    [line] = re.findall(r"directives `(.*)`", PAGE)
    assert {directive[1] for directive in line.split()} == RUN_TS_DIRECTIVES
