"""Where a project lies: without profiles, under a base path, moved, and cloned."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.shop import ORDERS, Shop, new_shop

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(*args: str | Path) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *args], check=True, capture_output=True)


def test_without_profiles_no_path_has_a_segment_and_there_is_one_pointer(shop: Shop) -> None:
    shop.write("osiris.yaml", "filesystem: {profiles: {enabled: false}}\n")
    shop.run("run", "orders", env={"OSIRIS_PROFILE": "prod"})
    latest = shop.root / ".osiris" / "index" / "latest"
    assert [path.relative_to(latest).as_posix() for path in latest.rglob("*")] == ["orders.txt"]
    manifest, digest, profile = (latest / "orders.txt").read_text().split("\n")[:3]
    assert manifest == f"build/pipelines/orders/{digest[:7]}-{digest}/manifest.yaml"
    assert profile == ""
    for root in ("build/pipelines", "run_logs", "aiop"):
        assert [path.name for path in (shop.root / root).iterdir()] == ["orders"]
    shop.run("index", "verify")


@pytest.mark.parametrize("variable", ["OSIRIS_FILESYSTEM_BASE", "OSIRIS_BASE_PATH"])
def test_everything_lies_below_the_base_path_the_pipelines_as_well(tmp_path: Path, variable: str) -> None:
    shop = Shop(tmp_path / "config")
    shop.write("osiris.yaml", "filesystem: {pipelines_dir: oml}\n")
    base = tmp_path / "base"
    base.mkdir()
    shutil.copytree(new_shop(tmp_path / "other").root / "data", base / "data")
    (base / "oml").mkdir()
    (base / "oml" / "orders.yaml").write_text(ORDERS)
    env = {variable: "../base"}
    if variable == "OSIRIS_FILESYSTEM_BASE":
        env["OSIRIS_BASE_PATH"] = str(tmp_path / "loses")
    record = shop.run("run", "orders", "--json", env=env).json["run"]
    assert sorted(path.name for path in base.iterdir()) == [
        ".osiris", "aiop", "build", "data", "oml", "out", "run_logs"
    ]  # fmt: skip
    assert [path.name for path in shop.root.iterdir()] == ["osiris.yaml"]
    assert not (tmp_path / "loses").exists()
    assert record["run_logs_path"].startswith("run_logs/dev/orders/")
    assert shop.run("runs", "show", "last", "--json", env=env).json["run"] == record
    shop.run("index", "verify", env=env)


def test_a_base_path_that_is_a_file_is_refused_with_its_source(shop: Shop) -> None:
    error = shop.run("runs", "list", env={"OSIRIS_BASE_PATH": "osiris.yaml"}, check=2).err
    assert "OSIRIS_BASE_PATH: filesystem.base_path is 'osiris.yaml', which is not a folder" in error


@needs_git
def test_a_clone_uses_the_builds_that_were_committed_and_begins_its_own_history(shop: Shop, tmp_path: Path) -> None:
    shop.run("repo", "ensureignore")
    built = shop.run("compile", "orders", "--json").json
    shop.run("run", "orders")
    git("init", "-q", "-b", "main", shop.root)
    git("-C", shop.root, "add", "-A")
    git("-C", shop.root, "commit", "-q", "-m", "all")
    git("clone", "-q", shop.root, tmp_path / "a clone")
    clone = Shop(tmp_path / "a clone")
    assert not (clone.root / ".osiris").exists()
    assert not (clone.root / "run_logs").exists()
    assert clone.run("runs", "list", "--json").json == {"runs": []}
    clone.run("index", "verify")
    before = sorted((clone.root / "build").rglob("*"))
    again = clone.run("compile", "orders", "--json").json
    assert (again["manifest_hash"], again["reused"]) == (built["manifest_hash"], True)
    assert sorted((clone.root / "build").rglob("*")) == before
    record = clone.run("run", "orders", "--json").json["run"]
    assert record["run_id"].startswith("run-000001_")
    shown = clone.run("runs", "show", "last", "--json").json["run"]
    assert all((clone.root / shown[name]).exists() for name in ("run_logs_path", "aiop_path", "build_manifest_path"))
    clone.run("run", built["manifest_path"])
    clone.run("index", "verify")
    packs = {path.name for path in clone.root.glob("aiop/*/*/*/*")}
    assert len(packs) == 3
    assert {record["run_id"]} < packs
