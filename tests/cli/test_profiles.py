"""Profiles, parameters, and a project that is moved."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.shop import ORDERS, Shop

WITH_PROFILE = ORDERS.replace("steps:", "profiles: {prod: {params: {minimum: 5}}}\nsteps:")


def paths(record: dict[str, str]) -> list[str]:
    return [record[name] for name in ("run_logs_path", "aiop_path", "build_manifest_path")]


def test_paths_bear_the_profile_where_profiles_are_on_and_no_segment_where_they_are_off(shop: Shop) -> None:
    record = shop.run("run", "orders", "-p", "prod", "--json").json["run"]
    logs, pack, manifest = paths(record)
    assert logs.startswith("run_logs/prod/orders/")
    assert pack.startswith("aiop/prod/orders/")
    assert manifest.startswith("build/pipelines/prod/orders/")

    shop.write("osiris.yaml", "filesystem: {profiles: {enabled: false}}\n")
    record = shop.run("run", "orders", "--json").json["run"]
    logs, pack, manifest = paths(record)
    assert record["profile"] == ""
    assert logs.startswith("run_logs/orders/")
    assert pack.startswith("aiop/orders/")
    assert manifest.startswith("build/pipelines/orders/")
    assert [line["number"] for line in shop.journal() if line["type"] == "run.started"] == [1, 2]
    assert "profiles are off" in shop.run("run", "orders", "-p", "prod", check=2).err
    shop.run("index", "verify")


def test_a_profile_brings_its_parameters_and_flag_and_environment_win_over_it(shop: Shop) -> None:
    shop.write("pipelines/orders.yaml", WITH_PROFILE)

    def rows(*args: str, **env: str) -> int:
        shop.run("run", "orders", *args, env=env)
        return len(shop.read("out/by_customer.csv").splitlines()) - 1

    assert rows() == 2
    assert b"12.75" in shop.read("out/by_customer.csv")
    assert rows("-p", "prod") == 2
    assert b"10.50" in shop.read("out/by_customer.csv")
    assert rows("-p", "prod", OSIRIS_PARAM_MINIMUM="8") == 1
    assert rows("-p", "prod", "--param", "minimum=100", OSIRIS_PARAM_MINIMUM="8") == 0
    assert rows(OSIRIS_PROFILE="prod") == 2
    assert {run["profile"] for run in shop.runs()} == {"dev", "prod"}
    assert shop.runs()[0]["profile"] == "prod"
    assert rows("-p", "dev", OSIRIS_PROFILE="prod") == 2
    assert shop.runs()[0]["profile"] == "dev"


def test_the_same_pipeline_in_two_profiles_has_two_hashes_and_one_payload(shop: Shop) -> None:
    dev, prod = (shop.run("compile", "orders", "-p", profile, "--json").json for profile in ("dev", "prod"))
    assert dev["manifest_hash"] != prod["manifest_hash"]
    assert dev["payload_digest"] == prod["payload_digest"]
    assert shop.run("run", "--last-compile", "-p", "dev", "--json").json["run"]["manifest_hash"] == dev["manifest_hash"]


def test_a_build_that_stands_is_not_run_as_if_flags_could_change_it(used: Shop) -> None:
    manifest = used.runs()[0]["build_manifest_path"]
    for build in ("--last-compile", manifest):
        error = used.run("run", build, "--param", "minimum=100", check=2).err
        assert "--param" in error
    assert "prod" in used.run("run", manifest, "-p", "prod", check=2).err
    assert len(used.runs()) == 1


def test_a_project_that_was_moved_works_as_it_is(used: Shop, tmp_path: Path) -> None:
    moved = Shop(Path(shutil.move(used.root, tmp_path / "elsewhere with spaces é")))
    assert moved.run("runs", "show", "last", "--json").json["steps"]
    moved.run("index", "verify")
    assert "is up to date" in moved.run("run", "orders").err
    manifest = moved.runs()[0]["build_manifest_path"]
    moved.run("run", manifest)
    moved.run("run", "--last-compile")
    assert len(moved.runs()) == 4
    moved.run("index", "verify")


def test_a_command_finds_its_project_from_below_from_outside_and_by_the_environment(used: Shop, tmp_path: Path) -> None:
    below = used.root / "data"
    assert "run-000001" in used.run("runs", "list", cwd=below).out
    assert "run-000001" in used.run("-C", used.root, "runs", "list", cwd=tmp_path).out
    assert "run-000001" in used.run("runs", "list", cwd=tmp_path, env={"OSIRIS_HOME": str(used.root)}).out
    used.run("run", "../pipelines/orders.yaml", cwd=below)
    used.run("run", "pipelines/orders.yaml", "-C", used.root, cwd=tmp_path)
    assert sorted(path.name for path in below.iterdir()) == ["orders.csv"]
    assert len(used.runs()) == 3


def test_a_base_path_of_its_own_holds_everything_that_is_written(shop: Shop, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(shop.root, base)
    (base / "osiris.yaml").unlink()
    before = sorted(shop.root.rglob("*"))
    shop.run("run", "orders", env={"OSIRIS_FILESYSTEM_BASE": str(base)})
    assert sorted(shop.root.rglob("*")) == before
    assert (base / "out" / "by_customer.csv").is_file()
    assert (base / ".osiris" / "journal").is_dir()
