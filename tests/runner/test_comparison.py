"""What differs between two manifests and two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from osiris.compiler.manifest import Manifest, ManifestStep, RetryPolicy
from osiris.runner.comparison import ManifestChanges, StepChange, compare_manifests, compare_runs, compare_steps
from osiris.runner.summary import RunSummary, StepSummary
from tests.compiler.pipelines import ORDERS, compile_text


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return compile_text(ORDERS, tmp_path).manifest


def with_step(manifest: Manifest, number: int, **changes: Any) -> Manifest:
    steps = list(manifest.steps)
    steps[number] = msgspec.structs.replace(steps[number], **changes)
    return msgspec.structs.replace(manifest, steps=tuple(steps))


def test_a_manifest_does_not_differ_from_itself(manifest: Manifest) -> None:
    assert compare_manifests(manifest, manifest) == ManifestChanges()
    assert compare_manifests(manifest, manifest, before_configs={}, after_configs={}) == ManifestChanges()


def test_parameters_are_told_with_both_values_and_one_that_is_not_there_is_null(manifest: Manifest) -> None:
    after = msgspec.structs.replace(manifest, params={"region": "us", "limit": 100.0, "since": None})
    assert compare_manifests(manifest, after).params == {
        "limit": (100, 100.0),
        "region": ("eu", "us"),
        "since": (None, None),
    }


def test_a_parameter_that_is_secret_by_its_name_is_told_without_its_values(manifest: Manifest) -> None:
    before, after = (msgspec.structs.replace(manifest, params={"api_key": key}) for key in ("old-one", "new-one"))
    assert compare_manifests(before, after).params == {"api_key": ("***", "***")}
    assert compare_manifests(manifest, after).params["api_key"] == (None, "***")


def test_steps_that_came_went_or_moved_are_told(manifest: Manifest) -> None:
    first, second, third = manifest.steps
    new = msgspec.structs.replace(second, id="more")
    after = msgspec.structs.replace(manifest, steps=(third, first, new))
    changes = compare_manifests(manifest, after)
    assert (changes.steps_added, changes.steps_removed, changes.other) == (
        ("more",),
        ("by-customer",),
        ("step order",),
    )


def test_a_changed_step_is_told_with_the_keys_that_changed(manifest: Manifest) -> None:
    query = manifest.steps[1]
    assert query.id == "by-customer"
    after = with_step(manifest, 1, retry=RetryPolicy(max=9), timeout_ms=None, config_digest="0" * 64)
    assert compare_manifests(manifest, after).steps_changed == (
        StepChange(id="by-customer", keys=("retry", "timeout_ms", "config")),
    )
    before_configs = {"by-customer": {"query": "SELECT 1", "same": [1]}}
    after_configs = {"by-customer": {"query": "SELECT 2", "same": [1], "new": None}}
    told = compare_manifests(manifest, after, before_configs=before_configs, after_configs=after_configs)
    assert told.steps_changed[0].keys == ("retry", "timeout_ms", "config.new", "config.query")


def test_versions_of_components_and_of_what_is_required_are_told(manifest: Manifest) -> None:
    after = with_step(manifest, 2, component_version="2.0.0")
    after = msgspec.structs.replace(after, requires={"osiris": ">=1"})
    changes = compare_manifests(manifest, after)
    assert changes.components == {"filesystem.csv_writer": ("1.0.0", "2.0.0")}
    assert changes.requires == {"duckdb": (">=1.1", None), "osiris": (None, ">=1")}
    assert changes.steps_changed == (StepChange(id="write", keys=("component_version",)),)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("profile", lambda m: msgspec.structs.replace(m, profile="prod")),
        (
            "pipeline.intent",
            lambda m: msgspec.structs.replace(m, pipeline=msgspec.structs.replace(m.pipeline, intent="x")),
        ),
        (
            "source",
            lambda m: msgspec.structs.replace(m, fingerprints=msgspec.structs.replace(m.fingerprints, oml="2")),
        ),
        (
            "compiler",
            lambda m: msgspec.structs.replace(m, fingerprints=msgspec.structs.replace(m.fingerprints, compiler="2")),
        ),
        (
            "component schemas",
            lambda m: msgspec.structs.replace(
                m,
                fingerprints=msgspec.structs.replace(
                    m.fingerprints, components=dict.fromkeys(m.fingerprints.components, "0")
                ),
            ),
        ),
    ],
)
def test_all_else_that_differs_is_named(manifest: Manifest, key: str, change: Any) -> None:
    assert compare_manifests(manifest, change(manifest)) == ManifestChanges(other=(key,))


def test_every_key_of_a_manifest_that_may_differ_is_told_somewhere(manifest: Manifest) -> None:
    """A field that is added to the manifest needs a place in the comparison."""
    assert set(Manifest.__struct_fields__) == {
        *("oml_version", "pipeline", "profile", "params", "requires", "steps", "fingerprints"),
        *("payload_digest", "manifest_hash", "manifest_short"),
    }
    values: dict[str, Any] = {"retry": RetryPolicy(max=7), "timeout_ms": 1, "needs": ("x",), "inputs": {"a": "x"}}
    for key in ManifestStep.__struct_fields__:
        if key not in ("id", "config", "config_digest"):
            after = with_step(manifest, 0, **{key: values.get(key, "other")})
            assert compare_manifests(manifest, after).steps_changed[0].keys == (key,), key


def step(step_id: str, status: Any = "success", rows: int | None = 1) -> StepSummary:
    return StepSummary(id=step_id, component="c", status=status, rows_in=None, rows_out=rows, duration_ms=5)


def test_runs_are_compared_step_by_step_and_null_is_no_number() -> None:
    compared = compare_steps(
        [step("gone"), step("same", rows=10)], [step("same", "failed", rows=None), step("new", rows=0)]
    )
    assert [(one.id, one.status, one.rows_out) for one in compared] == [
        ("same", ("success", "failed"), (10, None)),
        ("new", (None, "success"), (None, 0)),
        ("gone", ("success", None), (1, None)),
    ]


def summary(**changes: Any) -> RunSummary:
    fields: dict[str, Any] = dict.fromkeys(RunSummary.__struct_fields__, "")
    fields |= {"status": "success", "rows_in": 3, "rows_out": 2, "duration_ms": 7, "tags": (), "error": None}
    fields |= {"steps": (step("a"),), "delta": None, "evidence": {}, "artifacts": ()}
    return RunSummary(**{**fields, **changes})


def test_two_runs_stand_side_by_side() -> None:
    compared = compare_runs(summary(run_id="1"), summary(run_id="2", status="failed", rows_out=None))
    assert (compared.run_id, compared.status, compared.same_manifest) == (("1", "2"), ("success", "failed"), True)
    assert (compared.rows_in, compared.rows_out) == ((3, 3), (2, None))
    assert [one.id for one in compared.steps] == ["a"]
