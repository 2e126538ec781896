"""Compiling: pure, the same bytes for the same meaning, another hash for any other meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osiris.canonical import digest, sha256_hex
from osiris.compiler.compile import Compiled, compile_pipeline
from osiris.compiler.fingerprints import component_fingerprint
from osiris.compiler.manifest import (
    compute_manifest_hash,
    compute_payload_digest,
)
from osiris.compiler.oml import Bindings
from osiris.compiler.source import load_oml, oml_fingerprint
from osiris.components.base import ADDED_LATER
from osiris.documents import load_document
from osiris.errors import ExitCode, OsirisError
from tests.compiler.pipelines import (
    ORDERS,
    CsvSource,
    CsvTarget,
    Query,
    compile_text,
    component,
    pipeline,
    read,
    registry,
    transform,
    write,
)

ADDED = ("folders", Annotated[tuple[str, ...], msgspec.Meta(extra_json_schema=ADDED_LATER)], ())
YoungerTarget = msgspec.defstruct("CsvTarget", [ADDED], bases=(CsvTarget,), frozen=True, kw_only=True)


def manifest_hash(text: str, folder: Path, **bindings: Any) -> str:
    return compile_text(text, folder, **bindings).manifest.manifest_hash


def test_the_manifest_says_what_was_compiled(tmp_path: Path) -> None:
    compiled = compile_text(ORDERS, tmp_path)
    manifest = compiled.manifest
    assert (manifest.oml_version, manifest.pipeline.slug, manifest.pipeline.name) == ("0.1.0", "orders", "orders-etl")
    assert manifest.pipeline.intent == "totals by customer"
    assert manifest.params == {"limit": 100, "region": "eu"}
    assert manifest.requires == {"duckdb": ">=1.1"}
    extract, total, target = manifest.steps
    assert (extract.id, extract.component, extract.component_version) == (
        "extract-orders",
        "filesystem.csv_extractor",
        "1.0.0",
    )
    assert (total.inputs, total.tables) == ({"df": "extract-orders"}, {"extract-orders": "df_extract_orders"})
    assert total.retry is not None
    assert (total.retry.max, total.timeout_ms) == (3, 600_000)
    assert (target.needs, target.inputs) == (("by-customer",), {"df": "by-customer"})
    assert manifest.manifest_short == manifest.manifest_hash[:7]


def test_every_file_of_a_build_is_there_and_fingerprinted(tmp_path: Path) -> None:
    compiled = compile_text(ORDERS, tmp_path)
    files = compiled.files
    assert sorted(files) == [
        "cfg/by-customer.json",
        "cfg/extract-orders.json",
        "cfg/write.json",
        "fingerprints.json",
        "manifest.yaml",
        "plan.json",
        "run_summary.json",
    ]
    fingerprints = json.loads(files["fingerprints.json"])
    assert fingerprints["files"] == {
        path: sha256_hex(content) for path, content in files.items() if path != "fingerprints.json"
    }
    assert fingerprints["sources"] == msgspec.to_builtins(compiled.manifest.fingerprints)
    assert fingerprints["sources"]["params"] == digest({"limit": 100, "region": "eu"})
    assert set(fingerprints["sources"]["components"]) == {step.component for step in compiled.manifest.steps}
    plan = json.loads(files["plan.json"])
    assert plan["levels"] == [["extract-orders"], ["by-customer"], ["write"]]
    assert plan["edges"][0] == {
        "from": "extract-orders",
        "to": "by-customer",
        "input": "df",
        "table": "df_extract_orders",
    }
    assert json.loads(files["run_summary.json"])["manifest_hash"] == compiled.manifest.manifest_hash


def test_a_step_config_stands_with_its_defaults_filled_in(tmp_path: Path) -> None:
    compiled = compile_text(ORDERS, tmp_path)
    content = compiled.files["cfg/extract-orders.json"]
    assert content == (b'{"header":true,"limit":100,"null_text":"","options":{},"path":"data/eu.csv","types":{}}\n')
    assert compiled.manifest.steps[0].config_digest == sha256_hex(content)


def test_steps_stand_in_execution_order(tmp_path: Path) -> None:
    text = pipeline(write("w", ", inputs: {df: '${t.df}'}"), transform("t", ", needs: [r]"), read("r"))
    assert [step.id for step in compile_text(text, tmp_path).manifest.steps] == ["r", "t", "w"]


def test_two_compiles_in_two_places_give_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there" / "deep"
    here.mkdir()
    there.mkdir(parents=True)
    assert compile_text(ORDERS, here).files == compile_text(ORDERS, there).files


def test_no_path_of_the_machine_is_in_a_build(tmp_path: Path) -> None:
    assert str(tmp_path).encode() not in b"".join(compile_text(ORDERS, tmp_path).files.values())


SAME = {
    "a comment": ORDERS.replace("steps:", "steps:  # in order\n  # of the file"),
    "empty lines": ORDERS.replace("params:", "\n\nparams:"),
    "quotes": ORDERS.replace('"0.1.0"', "0.1.0").replace("out/by_customer.csv", "'out/by_customer.csv'"),
    "block style": ORDERS.replace(
        "    config: {path: out/by_customer.csv}", "    config:\n        path: >-\n          out/by_customer.csv"
    ),
    "key order in a config": ORDERS.replace(
        'path: "data/${params.region}.csv", limit: "${params.limit}"',
        'limit: "${params.limit}", path: "data/${params.region}.csv"',
    ),
    "key order in a step": ORDERS.replace(
        "  - id: write\n    component: filesystem.csv_writer\n", "  - component: filesystem.csv_writer\n    id: write\n"
    ),
    "key order in params": ORDERS.replace(
        "  region: {type: string, default: eu, enum: [eu, us]}\n  limit: {type: int, default: 100}\n",
        "  limit: {default: 100, type: int}\n  region: {enum: [eu, us], type: string, default: eu}\n",
    ),
    "key order in the file": ORDERS.replace(
        'oml_version: "0.1.0"\nname: orders-etl\n', 'name: orders-etl\noml_version: "0.1.0"\n'
    ),
    "line ends": ORDERS.replace("\n", "\r\n"),
    "an alias": ORDERS.replace("default: eu, enum: [eu, us]", "default: &it eu, enum: [*it, us]"),
}


@pytest.mark.parametrize("what", SAME)
def test_what_changes_no_meaning_changes_no_byte(what: str, tmp_path: Path) -> None:
    assert SAME[what] != ORDERS
    assert compile_text(SAME[what], tmp_path).files == compile_text(ORDERS, tmp_path).files


OTHER = {
    "a config value": ORDERS.replace("out/by_customer.csv", "out/by_customers.csv"),
    "a query": ORDERS.replace("ORDER BY 1", "ORDER BY 2"),
    "a default": ORDERS.replace("default: 100", "default: 101"),
    "a step id": ORDERS.replace("id: write", "id: writes"),
    "a retry": ORDERS.replace("max: 3", "max: 4"),
    "a timeout": ORDERS.replace("10m", "11m"),
    "a requirement": ORDERS.replace(">=1.1", ">=1.2"),
    "the name": ORDERS.replace("orders-etl", "orders"),
    "the intent": ORDERS.replace("totals by customer,", "totals,"),
}


@pytest.mark.parametrize("what", OTHER)
def test_what_changes_the_meaning_changes_the_hash(what: str, tmp_path: Path) -> None:
    assert manifest_hash(OTHER[what], tmp_path) != manifest_hash(ORDERS, tmp_path)


def test_params_steps_order_components_and_slug_change_the_hash(tmp_path: Path) -> None:
    base = manifest_hash(ORDERS, tmp_path)
    assert manifest_hash(ORDERS, tmp_path, params={"region": "us"}) != base
    assert manifest_hash(ORDERS, tmp_path, environ={"OSIRIS_PARAM_REGION": "us"}) != base
    assert manifest_hash(ORDERS, tmp_path, params={"region": "eu"}) == base
    one = pipeline(read("a"), read("b"), transform("t", ", needs: [a, b]"), write("w"))
    other = pipeline(read("b"), read("a"), transform("t", ", needs: [a, b]"), write("w"))
    assert manifest_hash(one, tmp_path) != manifest_hash(other, tmp_path)
    newer = component("filesystem.csv_writer", CsvTarget, "write", version="1.0.1")
    assert compile_text(ORDERS, tmp_path, registry(newer)).manifest.manifest_hash != base
    renamed = compile_pipeline(
        tmp_path / "orders.yaml", project_root=tmp_path, slug="sales", bindings=Bindings(), registry=registry()
    )
    assert renamed.manifest.manifest_hash != base


def test_the_profile_changes_the_hash_but_not_the_payload_digest(tmp_path: Path) -> None:
    staging = compile_text(ORDERS, tmp_path, profile="staging").manifest
    dev = compile_text(ORDERS, tmp_path, profile="dev").manifest
    prod = compile_text(ORDERS, tmp_path, profile="prod").manifest
    assert staging.manifest_hash != dev.manifest_hash
    assert staging.payload_digest == dev.payload_digest
    assert prod.params["limit"] == 1_000_000
    assert prod.payload_digest != dev.payload_digest


def test_a_component_fingerprint_follows_its_version_and_its_config_but_not_its_wording() -> None:
    class Worded(CsvTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """A sentence for people."""

    class Wider(CsvTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
        description: str = ""

    def fingerprint(config: type[msgspec.Struct], **more: Any) -> str:
        return component_fingerprint(component("x", config, "write", **more))

    base = fingerprint(CsvTarget)
    assert fingerprint(CsvTarget) == base
    assert fingerprint(CsvTarget, version="2") != base
    assert fingerprint(CsvTarget, secret_fields=("path",)) != base
    assert fingerprint(Wider) != fingerprint(Worded)


def test_the_oml_fingerprint_tells_null_from_the_word() -> None:
    def fingerprint(text: str) -> str:
        return oml_fingerprint(load_document(text, "a.yaml"))

    assert fingerprint("a: null") == fingerprint("a: ~") == fingerprint("a:")
    assert fingerprint("a: 'null'") != fingerprint("a: null")
    assert fingerprint("a: 00501") == fingerprint("a: '00501'") != fingerprint("a: 501")


def test_a_broken_or_missing_source_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(OsirisError) as caught:
        load_oml(tmp_path / "none.yaml")
    assert (caught.value.code, caught.value.exit_code) == ("oml.missing", ExitCode.USAGE)
    with pytest.raises(OsirisError, match="no such pipeline file"):
        load_oml(tmp_path)
    with pytest.raises(OsirisError) as caught:
        compile_text("name: [", tmp_path)
    assert (caught.value.code, caught.value.path) == ("yaml.invalid", "orders.yaml")
    with pytest.raises(OsirisError) as caught:
        compile_text("name: a", tmp_path)
    assert (caught.value.code, caught.value.path) == ("oml.invalid", "orders.yaml")


def test_warnings_come_with_the_build(tmp_path: Path) -> None:
    compiled = compile_text(pipeline(read("a"), read("b"), write("c")), tmp_path)
    assert [warning.path for warning in compiled.warnings] == ["orders.yaml"]


_CONFIGS = st.dictionaries(
    st.text("abcxyz", min_size=1, max_size=4),
    st.text("aé' :#", max_size=8)
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.none()
    | st.lists(st.text("ab", max_size=2)),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_CONFIGS, _CONFIGS, st.randoms(use_true_random=False))
def test_key_order_never_changes_the_hash_and_a_value_always_does(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], random: Any
) -> None:
    def compiled(options: dict[str, Any]) -> Compiled:
        config = json.dumps({"path": "a", "options": options})
        text = pipeline(read("a").replace("{path: a.csv}", config), write("b"))
        return compile_text(text, tmp_path)

    shuffled = list(one.items())
    random.shuffle(shuffled)
    assert compiled(dict(shuffled)).files == compiled(one).files
    same = msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
    assert (compiled(one).manifest.manifest_hash == compiled(other).manifest.manifest_hash) == same


def test_the_hash_is_the_one_that_the_contract_defines(tmp_path: Path) -> None:
    manifest = compile_text(ORDERS, tmp_path, profile="dev").manifest
    assert manifest.manifest_hash == compute_manifest_hash(manifest, "sha256_slug")
    assert manifest.payload_digest == compute_payload_digest(manifest)
    with pytest.raises(OsirisError, match="unknown manifest hash algorithm"):
        compute_manifest_hash(manifest, "md5")


def test_a_query_is_a_config_like_any_other(tmp_path: Path) -> None:
    assert Query.__struct_fields__ == ("query",)
    assert compile_text(ORDERS, tmp_path).files["cfg/by-customer.json"].startswith(b'{"query":"SELECT')
    assert CsvSource(path="a").limit is None


def test_a_field_that_is_added_later_changes_no_hash_until_it_is_used(tmp_path: Path) -> None:
    older, younger = (
        registry(component("acme.target", config, "write", rows="none")) for config in (CsvTarget, YoungerTarget)
    )
    text = pipeline(read("a"), "{id: b, component: acme.target, mode: write, config: {path: b.csv}}")
    before = compile_text(text, tmp_path, older)
    assert compile_text(text, tmp_path, younger).files == before.files
    used = compile_text(text.replace("b.csv", "b.csv, folders: [x]"), tmp_path, younger)
    assert json.loads(used.configs["cfg/b.json"])["folders"] == ["x"]
    assert used.manifest.manifest_hash != before.manifest.manifest_hash
