"""``filesystem.artifacts``: which files a new build has."""

from __future__ import annotations

from pathlib import Path

from tests.cli.shop import Shop

WITHOUT = "filesystem: {artifacts: {plan: false, run_summary: false}}\n"


def files(shop: Shop, build: str) -> set[str]:
    return {path.relative_to(shop.root / build).as_posix() for path in (shop.root / build).rglob("*") if path.is_file()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_left_out_is_not_written_and_the_hash_is_the_same(shop: Shop) -> None:
    shop.write("osiris.yaml", WITHOUT)
    lean = shop.run("compile", "orders", "--json").json
    assert {"plan.json", "run_summary.json"} & files(shop, lean["build_path"]) == set()
    assert {"manifest.yaml", "fingerprints.json", "cfg/orders.json"} <= files(shop, lean["build_path"])
    shop.run("run", "orders")
    shop.run("run", lean["manifest_path"])
    whole_before = contents(shop.root / lean["build_path"])
    shop.write("osiris.yaml", "")
    whole = shop.run("compile", "orders", "--json").json
    assert (whole["manifest_hash"], whole["reused"]) == (lean["manifest_hash"], True)
    assert contents(shop.root / lean["build_path"]) == whole_before
    shop.run("run", "--last-compile")
    shop.run("index", "verify")


def test_a_whole_build_is_used_as_it_stands_where_files_would_be_left_out_now(used: Shop) -> None:
    before = contents(used.root / "build")
    assert any(path.endswith("plan.json") for path in before)
    used.write("osiris.yaml", WITHOUT)
    assert used.run("compile", "orders", "--json").json["reused"]
    used.run("run", "orders")
    assert contents(used.root / "build") == before


def test_a_file_taken_out_of_a_build_that_stands_is_drift_whatever_is_configured(used: Shop) -> None:
    next(used.root.glob("build/**/plan.json")).unlink()
    used.write("osiris.yaml", WITHOUT)
    assert "plan.json is missing" in used.run("run", "orders", check=2).err


def test_a_build_without_its_manifest_is_refused_with_the_reason(shop: Shop) -> None:
    shop.write("osiris.yaml", "filesystem:\n  artifacts: {manifest: false}\n")
    error = shop.run("compile", "orders", check=2).err
    assert "osiris.yaml:2:25: filesystem.artifacts.manifest is false" in error
    assert "what a run reads" in error
