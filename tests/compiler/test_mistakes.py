"""Mistakes as people make them: the message names the place and what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from osiris.compiler.oml import Bindings
from osiris.compiler.project_build import REGISTRY
from osiris.compiler.validate import validate_file

ORDERS = """\
oml_version: "0.1.0"
name: orders
params:
  region: {type: string, default: eu}
  limit: {type: int, default: 100}
steps:
  - id: extract-orders
    component: filesystem.csv_extractor
    mode: read
    config:
      path: data/orders.csv
  - id: by-customer
    component: duckdb.processor
    mode: transform
    needs: [extract-orders]
    config: {query: SELECT customer FROM df_extract_orders}
    timeout: 10m
    retry: {max: 3}
  - id: write
    component: filesystem.csv_writer
    mode: write
    config:
      path: out/by_customer.csv
"""


class Mistake(NamedTuple):
    """What is written instead of what, and the first finding: its place, words of the problem, words of the hint."""

    right: str
    wrong: str
    place: tuple[int, int]
    problem: str
    hint: str


PATH = "path: data/orders.csv"
NOT_YAML = {
    "too deep": Mistake("    mode: transform", "     mode: transform", (14, 10), "not YAML", "indent the key"),
    "a tab": Mistake("    mode: transform", "\tmode: transform", (14, 1), "tab", "spaces, not with tabs"),
    "a tab after blanks": Mistake(f"      {PATH}", f"\t  {PATH}", (11, 1), "not YAML", "spaces, not with tabs"),
    "no colon": Mistake("mode: read", "mode read", (9, 5), "expected ':'", "key: value"),
    "no blank after the colon": Mistake("mode: read", "mode:read", (9, 5), "expected ':'", "a colon and a space"),
    "a no-break space": Mistake("mode: read", "mode:\u00a0read", (9, 5), "expected ':'", "no-break space"),
    "a colon in a value": Mistake("name: orders", "name: orders: daily", (2, 13), "not YAML", "in quotes"),
    "a quote left open": Mistake("path: out/by_customer.csv", 'path: "out', (23, 13), "quoted", "Close the quotes"),
    "an apostrophe": Mistake("name: orders", "name: 'it's orders'", (2, 11), "not YAML", "double quotes"),
    "a star": Mistake(PATH, "path: *.csv", (11, 14), "alias", "begins with * in quotes"),
    "an at sign": Mistake("name: orders", "name: @orders", (2, 7), "cannot start", "in quotes"),
    "braces in braces": Mistake("{max: 3}", "{max: ${params.limit}}", (18, 19), "flow mapping", "in quotes"),
    "a dash without a blank": Mistake("- id: by-customer", "-id: by-customer", (12, 3), "'-'", "Begin each item"),
    "no dash": Mistake("- id: by-customer", "  id: by-customer", (12, 5), "stands twice", "begin a new item with '- '"),
    "a key twice": Mistake("name: orders", "name: orders\nname: b", (3, 1), "'name' stands twice", "Keep one"),
}
WRONG = {
    "a letter in a component": Mistake(
        "csv_extractor", "csv_extracter", (8, 16), "unknown", "'filesystem.csv_extractor'"
    ),
    "half a component": Mistake("filesystem.csv_writer", "csv_writer", (20, 16), "unknown", "'filesystem.csv_writer'"),
    "an unknown mode": Mistake("mode: read", "mode: extract", (9, 11), "not one of: read, transform, write", "one of"),
    "a mode in capitals": Mistake("mode: read", "mode: Read", (9, 11), "not one of", "Did you mean 'read'?"),
    "another component's mode": Mistake("mode: read", "mode: write", (9, 11), "has no mode write", "It has: read"),
    "one need": Mistake("needs: [extract-orders]", "needs: extract-orders", (15, 12), "a list", "[extract-orders]"),
    "a need with _": Mistake("needs: [extract-", "needs: [extract_", (15, 13), "no step", "'extract-orders'"),
    "another name for needs": Mistake("needs:", "depends_on:", (15, 5), "unknown key", "Call it needs"),
    "another name for config": Mistake("    config: {q", "    with: {q", (16, 5), "unknown key", "Call it config"),
    "config left out": Mistake(
        f"    config:\n      {PATH}", f"    {PATH}", (10, 5), "unknown key 'path'", "under config"
    ),
    "config not deeper": Mistake(f"      {PATH}", f"    {PATH}", (11, 5), "unknown key 'path'", "under config"),
    "an unknown config key": Mistake(PATH, f'{PATH}\n      delimeter: ";"', (12, 7), "unknown key", "'delimiter'"),
    "yes for true": Mistake(PATH, f"{PATH}\n      header: yes", (12, 15), "true or false", "Write true or false"),
    "a number in quotes": Mistake("default: 100", 'default: "100"', (5, 31), "a whole number", "quotes away"),
    "a list for a text": Mistake(PATH, "path: [a.csv]", (11, 13), "expected text, got a list", "one text"),
    "a reference that is a map": Mistake(PATH, "path: {params.region}", (11, 13), "got a map", "in quotes"),
    "param for params": Mistake(PATH, "path: ${param.region}", (11, 13), "no reference", "${params.region}"),
    "only the parameter": Mistake(PATH, "path: a/${region}", (11, 13), "no reference", "${params.region}"),
    "no braces": Mistake(PATH, "path: $params.region/a", (11, 13), "no reference", "${params.region}"),
    "other braces": Mistake(PATH, "path: a/{{ params.region }}", (11, 13), "no reference", "${params.region}"),
    "an unknown parameter": Mistake(PATH, "path: ${params.regoin}", (11, 13), "names no parameter", "'region'"),
    "a type as elsewhere": Mistake("type: int", "type: integer", (5, 17), "not one of", "'int'"),
    "a parameter's value alone": Mistake("{type: int, default: 100}", "100", (5, 10), "a map", "{type: "),
    "seconds": Mistake("timeout: 10m", "timeout: 600", (17, 14), "a unit", "Write 600s"),
    "a timeout in words": Mistake("timeout: 10m", "timeout: 10 min", (17, 14), "'10 min'", "10m"),
    "a number of retries": Mistake("retry: {max: 3}", "retry: 3", (18, 12), "expected a map", "max, backoff, delay_ms"),
    "an id for its rows": Mistake(
        "needs: [extract-orders]", "inputs: {df: extract-orders}", (15, 18), "rows", '"${extract-orders.df}"'
    ),
    "a blank in an id": Mistake("id: by-customer", "id: by customer", (12, 9), "not a step id", "letters, digits, -"),
    "a version without quotes": Mistake('"0.1.0"', "0.1", (1, 14), "text in quotes", 'oml_version: "0.1.0"'),
    "another format": Mistake('oml_version: "0.1.0"', "version: 1", (1, 1), "'version'", 'oml_version: "0.1.0"'),
}


@pytest.mark.parametrize("what", [*NOT_YAML, *WRONG])
def test_a_common_mistake_is_told_with_its_place_and_what_to_write(what: str, tmp_path: Path) -> None:
    mistake = (NOT_YAML | WRONG)[what]
    assert ORDERS.count(mistake.right) == 1 or mistake.right == "mode: read"
    source = tmp_path / "orders.yaml"
    source.write_text(ORDERS.replace(mistake.right, mistake.wrong, 1), encoding="utf-8")
    errors = validate_file(source, "orders.yaml", Bindings(), REGISTRY).errors
    told = [error for error in errors if mistake.problem in error.problem]
    assert told, errors
    found = told[0]
    assert (found.line, found.column) == mistake.place
    assert mistake.hint in found.hint
    assert found.path == "orders.yaml"


def test_one_mistake_in_an_id_is_not_told_again_for_the_steps_behind_it(tmp_path: Path) -> None:
    source = tmp_path / "orders.yaml"
    source.write_text(ORDERS.replace("id: by-customer", "id: by customer"), encoding="utf-8")
    assert len(validate_file(source, "orders.yaml", Bindings(), REGISTRY).errors) == 1


def test_a_hint_about_one_key_does_not_stand_at_what_is_missing_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "orders.yaml"
    source.write_text(ORDERS.replace("- id: extract-orders", "- path: a.csv"), encoding="utf-8")
    errors = validate_file(source, "orders.yaml", Bindings(), REGISTRY).errors
    hints = {error.problem: error.hint for error in errors}
    assert hints["steps[0]: 'id' is missing"] == "Add id: …"
    assert hints["steps[0]: unknown key 'path'"] == "Put path under config."


def test_the_column_of_an_unknown_need_is_its_own_though_another_stands_twice(tmp_path: Path) -> None:
    source = tmp_path / "orders.yaml"
    line = "needs: [extract-orders, extract-orders, nobody]"
    source.write_text(ORDERS.replace("needs: [extract-orders]", line), encoding="utf-8")
    [found] = validate_file(source, "orders.yaml", Bindings(), REGISTRY).errors
    assert (found.line, found.column) == (15, 5 + line.index("nobody"))
