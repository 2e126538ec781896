"""Every naming token, from ``osiris.yaml`` to the folders on the disk."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.shop import Shop

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
IDENTITY = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"]


def naming(shop: Shop, **templates: str) -> None:
    lines = "".join(f"    {key}: '{template}'\n" for key, template in templates.items())
    shop.write("osiris.yaml", f"filesystem:\n  naming:\n{lines}")


@needs_git
def test_all_tokens_are_supplied_where_they_have_a_value(shop: Shop) -> None:
    subprocess.run(["git", "init", "-q", "-b", "feature/X", str(shop.root)], check=True)
    subprocess.run(["git", "-C", str(shop.root), *IDENTITY, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    naming(
        shop,
        manifest_dir="{profile}-{pipeline_slug}_v{manifest_version}{status}/{manifest_short}/{manifest_hash}",
        run_dir="{branch}/{user}/{tags}/{status}x_{run_ts}_{run_id}",
        aiop_run_dir="{branch}={user}={tags}={run_id}_{manifest_version}",
        run_ts_format="%Y",
    )
    run = shop.run("run", "orders", "--tags", "ml,Billing", "--json", env={"LOGNAME": "Ada L"}).json["run"]
    short, full, run_id = run["manifest_short"], run["manifest_hash"], run["run_id"]
    build = f"dev-orders_v0.1.0/{short}/{full}"
    assert run["build_manifest_path"] == f"build/pipelines/dev/{build}/manifest.yaml"
    assert re.fullmatch(rf"run_logs/dev/feature-x/ada-l/billing\+ml/x_20\d\d_{run_id}", run["run_logs_path"])
    assert run["aiop_path"] == f"aiop/dev/{build}/feature-x=ada-l=billing+ml={run_id}_0.1.0"
    for name in ("build_manifest_path", "run_logs_path", "aiop_path"):
        assert (shop.root / run[name]).exists()
    assert (shop.root / run["aiop_path"] / "summary.json").is_file()


def test_a_name_that_gets_too_long_is_told_before_a_number_is_spent(shop: Shop) -> None:
    naming(shop, run_dir="{tags}_{run_id}")
    tags = ",".join(f"{'t' * 60}{n}" for n in range(5))
    failed = shop.run("run", "orders", "--tags", tags, check=2)
    assert "more than 255 bytes" in failed.err
    assert "Take {tags}" in failed.err
    assert shop.types() == ["pipeline.compiled"]
    assert not (shop.root / "run_logs").exists()
    shop.run("run", "orders")
    assert [event["number"] for event in shop.journal() if event["type"] == "run.started"] == [1]


def test_a_name_of_255_bytes_has_its_folders_and_its_pack(shop: Shop) -> None:
    filler = "x" * (255 - len("run-000001_") - 26)
    naming(
        shop,
        run_dir=f"{filler}{{run_id}}",
        aiop_run_dir=f"{filler}{{run_id}}",
        manifest_dir=f"{'y' * 191}{{manifest_hash}}",
    )
    run = shop.run("run", "orders", "--json")
    assert run.err == ""
    record = run.json["run"]
    assert all(len(Path(record[name]).name) == 255 for name in ("run_logs_path", "aiop_path"))
    assert (shop.root / record["aiop_path"] / "summary.json").is_file()
    assert (shop.root / record["run_logs_path"] / "status.json").is_file()


def test_an_unknown_format_of_the_start_is_one_warning_and_iso_basic(shop: Shop) -> None:
    naming(shop, run_ts_format="%c")
    done = shop.run("run", "orders")
    assert done.err.count("osiris.yaml:3:20: filesystem.naming.run_ts_format") == 1
    assert re.search(r"/\d{8}T\d{6}Z_run-000001_", shop.runs()[0]["run_logs_path"])


def test_a_flag_cannot_ask_for_run_ids_that_could_share_a_folder(shop: Shop) -> None:
    naming(shop, run_dir="{run_id}")
    error = shop.run("run", "orders", "--run-id-format", "incremental", check=2).err
    assert "Put {pipeline_slug} into run_dir" in error
    assert not (shop.root / ".osiris" / "journal").exists()
    wanted = "Unsupported run_id_format token 'ksuid'. Supported: incremental, ulid, iso_ulid, uuidv4, snowflake."
    for env, flag in (({}, ["--run-id-format", "ksuid"]), ({"OSIRIS_RUN_ID_FORMAT": "ksuid"}, [])):
        error = shop.run("run", "orders", *flag, env=env, check=2).err
        assert f"ConfigError: {wanted}" in error
        assert (flag or ["OSIRIS_RUN_ID_FORMAT"])[0] in error
