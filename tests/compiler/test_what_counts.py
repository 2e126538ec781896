"""The manifest hash: every value that counts changes it, and the way in which a file is written does not."""

from __future__ import annotations

import ast
import copy
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import osiris.compiler
import osiris.documents
from osiris.compiler.oml import Bindings
from osiris.compiler.validate import validate_pipeline
from osiris.documents import load_document
from tests.compiler.pipelines import ORDERS as ORIGINAL
from tests.compiler.pipelines import CsvTarget, Query, compile_text, component, registry
from tests.faults.documents import Spot, spots

ORDERS = ORIGINAL.replace("name: orders-etl\n", "name: orders-etl\ndescription: totals\nx-owner: {team: [sales, 7]}\n")
TREE: dict[str, Any] = yaml.safe_load(ORDERS)
FIXED = [*"00", *["component"] * 3, "df", "id", "id", "limit", *["mode"] * 3, "type", "type"]
"""What cannot be changed alone without making the pipeline wrong."""
OTHER_FORMS = {"10m": "600s", "${params.limit}": 100, "data/${params.region}.csv": "data/eu.csv"}


def values_of(tree: Any) -> list[Spot]:
    """Every scalar of the document, with the place that it stands in."""
    return [spot for spot in spots(tree) if not isinstance(spot.below[spot.key], dict | list)]


def others(value: Any) -> list[Any]:
    """Values near ``value`` that are not it; those that are not valid in its place are passed over."""
    if isinstance(value, int):
        return [value + 1, value - 1]
    words = {"exp": "fixed", "eu": "us", "us": "eu", "int": "float", "extract-orders": "by-customer", "0.1.0": "0.1.1"}
    return [words.get(value, ""), f"{value}2", f"{value} ", value.replace("10m", "11m"), f"{value},<9"]


def hash_of(tree: Any, folder: Path, **bindings: Any) -> str:
    return compile_text(yaml.safe_dump(tree, sort_keys=False), folder, **bindings).manifest.manifest_hash


def is_valid(tree: Any) -> bool:
    root = load_document(yaml.safe_dump(tree, sort_keys=False), "p.yaml")
    return validate_pipeline(root, "p.yaml", Bindings(), registry()).pipeline is not None


def test_every_value_of_a_pipeline_counts(tmp_path: Path) -> None:
    """The author's own words and ``x-`` keys, too: the hash is that of all the file says."""
    before, counted, places = hash_of(TREE, tmp_path), set(), values_of(TREE)
    for number, spot in enumerate(places):
        for value in others(spot.below[spot.key]):
            tree = copy.deepcopy(TREE)
            below, key = values_of(tree)[number]
            below[key] = value
            if value != spot.below[spot.key] and is_valid(tree):
                assert hash_of(tree, tmp_path) != before, (spot, value)
                counted.add(number)
    alone = [places[number].key for number in range(len(places)) if number not in counted]
    assert sorted(map(str, alone)) == FIXED


@pytest.mark.parametrize(("written", "other"), OTHER_FORMS.items())
def test_another_way_to_say_the_same_is_another_text_and_another_hash(
    written: str, other: object, tmp_path: Path
) -> None:
    tree = copy.deepcopy(TREE)
    [(below, key)] = [spot for spot in values_of(tree) if spot.below[spot.key] == written]
    below[key] = other
    assert hash_of(tree, tmp_path) != hash_of(TREE, tmp_path)


def test_the_order_of_steps_their_needs_params_and_component_versions_count(tmp_path: Path) -> None:
    reordered = copy.deepcopy(TREE)
    reordered["steps"].insert(0, reordered["steps"].pop())
    needs = copy.deepcopy(TREE)
    needs["steps"][2]["needs"] = ["extract-orders", "by-customer"]
    hashes = [hash_of(tree, tmp_path) for tree in (TREE, reordered, needs)]
    hashes += [hash_of(TREE, tmp_path, params=params) for params in ({"region": "us"}, {"limit": "7"})]
    hashes += [hash_of(TREE, tmp_path, profile=profile) for profile in ("dev", "prod")]
    for name, config, mode in (("duckdb.processor", Query, "transform"), ("filesystem.csv_writer", CsvTarget, "write")):
        newer = registry(component(name, config, mode, version="1.0.1"))
        hashes.append(compile_text(yaml.safe_dump(TREE), tmp_path, newer).manifest.manifest_hash)
    assert len(set(hashes)) == len(hashes)


def shuffled(tree: Any, dice: random.Random) -> Any:
    """The same tree with the keys of each map in another order."""
    if isinstance(tree, list):
        return [shuffled(below, dice) for below in tree]
    if not isinstance(tree, dict):
        return tree
    keys = dice.sample(sorted(tree), len(tree))
    return {key: shuffled(tree[key], dice) for key in keys}


def written_by(tree: Any, dice: random.Random) -> str:
    """``tree`` in some style: flow or blocks, these or those quotes, indentation, comments, blank lines, line ends."""

    class Dumper(yaml.SafeDumper):
        pass

    def quoted(dumper: Dumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, dice.choice([None, "'", '"']))

    Dumper.add_representer(str, quoted)
    text: str = yaml.dump(
        shuffled(tree, dice),
        Dumper=Dumper,
        sort_keys=False,
        default_flow_style=dice.choice([True, False, None]),
        indent=dice.choice([2, 4, 7]),
        width=dice.choice([40, 80, 10_000]),
        explicit_start=dice.choice([True, False]),
    )
    return f"# by somebody\n\n{text}\n\n# the end\n".replace("\n", dice.choice(["\n", "\r\n"]))


@given(st.randoms(use_true_random=False))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_style_of_a_file_never_changes_a_byte(tmp_path: Path, dice: random.Random) -> None:
    assert compile_text(written_by(TREE, dice), tmp_path).files == compile_text(ORDERS, tmp_path).files


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(max_examples=2_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_style_of_a_file_never_changes_a_byte_two_thousand_times(tmp_path: Path, dice: random.Random) -> None:
    assert compile_text(written_by(TREE, dice), tmp_path).files == compile_text(ORDERS, tmp_path).files


SEEN_ELSEWHERE = {"hash", "id", "eval", "locale", "platform", "time", "datetime", "random", "uuid", "getpass"}


def test_nothing_in_the_compiler_asks_for_what_differs_between_processes_or_pythons() -> None:
    """Hash order, addresses, clock, locale and chance; the kept build in tests/golden pins the bytes."""
    folders = [Path(package.__path__[0]) for package in (osiris.compiler, osiris.documents)]
    for file in (file for folder in folders for file in folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            imported = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not SEEN_ELSEWHERE & {called, *imported}, f"{file.name}:{getattr(node, 'lineno', 0)}"


def test_numbers_are_written_in_their_shortest_form_whatever_python_thinks() -> None:
    numbers = [0.1, 1e16, 1e22, 1.7976931348623157e308, 5e-324, 100.0, 1 / 3]
    assert msgspec.json.encode(numbers) == b"[0.1,1e16,1e22,1.7976931348623157e308,5e-324,100.0,0.3333333333333333]"
