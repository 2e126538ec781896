"""``osiris config show``: every value, and where it came from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from osiris.config import config_keys
from tests.cli.shop import OSIRIS, Shop, environment

CONFIG = """\
version: "2.0"
filesystem:
  build_dir: made
  profiles:
    default: staging
retention:
  run_logs_days: 30
determinism: {manifest_short_len: 9}
"""


def sources(shop: Shop, *args: str, **env: str) -> dict[str, tuple[object, str]]:
    document = shop.run("config", "show", *args, "--json", env=env).json
    return {value["key"]: (value["value"], value["source"]) for value in document["values"]}


def test_every_value_is_shown_in_the_order_of_the_schema_with_its_source(shop: Shop) -> None:
    shop.write("osiris.yaml", CONFIG)
    found = sources(shop, OSIRIS_RUN_ID_FORMAT="ulid")
    assert list(found) == list(config_keys())
    assert found["filesystem.build_dir"] == ("made", "osiris.yaml:3")
    assert found["filesystem.profiles.default"] == ("staging", "osiris.yaml:5")
    assert found["filesystem.retention.run_logs_days"] == (30, "osiris.yaml:7 (retention.run_logs_days)")
    assert found["filesystem.naming.manifest_short_len"] == (9, "osiris.yaml:8 (determinism.manifest_short_len)")
    assert found["ids.run_id_format"] == (["ulid"], "OSIRIS_RUN_ID_FORMAT")
    assert found["ledger.segment_mb"] == (64, "default")


def test_elsewhere_than_on_a_terminal_it_is_tab_separated_and_whole(shop: Shop) -> None:
    shop.write("osiris.yaml", CONFIG)
    lines = [line.split("\t") for line in shop.run("config", "show", cwd=shop.root / "data").out.splitlines()]
    assert lines[:4] == [
        ["key", "value", "source"],
        ["(file)", str(shop.root / "osiris.yaml"), f"looked upward from {shop.root / 'data'}"],
        ["(root)", str(shop.root), "default"],
        ["(profile)", "staging", "osiris.yaml:5"],
    ]
    assert [key for key, _, _ in lines[4:]] == list(config_keys())
    assert ["filesystem.base_path", '""', "default"] in lines
    assert ["ids.run_id_format", '["incremental","ulid"]', "default"] in lines


def test_a_block_or_a_key_alone_and_a_near_miss(shop: Shop) -> None:
    assert shop.run("config", "show", "ids.run_id_format").out.splitlines() == [
        "key\tvalue\tsource",
        'ids.run_id_format\t["incremental","ulid"]\tdefault',
    ]
    assert [key.rpartition(".")[2] for key in sources(shop, "filesystem.retention")] == [
        "run_logs_days",
        "aiop_keep_runs_per_pipeline",
        "annex_keep_days",
    ]
    error = shop.run("config", "show", "run_logs_days", "--json", check=2).json["error"]
    assert (error["code"], error["hint"]) == (
        "config.unknown_key",
        "Did you mean 'filesystem.retention.run_logs_days'?",
    )


def test_the_project_its_root_and_the_profile_say_what_led_to_them(shop: Shop, tmp_path: Path) -> None:
    def show(*args: str | Path, **env: str) -> list[str]:
        document = shop.run("config", "show", "--json", *args, cwd=tmp_path, env=env).json
        assert Path(document["path"]) == shop.root / "osiris.yaml"
        return [document[name] for name in ("path_source", "root", "root_source", "profile", "profile_source")]

    root = str(shop.root)
    assert show("-C", shop.root) == ["-C", root, "default", "dev", "default"]
    assert show(OSIRIS_HOME=root, OSIRIS_PROFILE="prod")[0] == "OSIRIS_HOME"
    assert show(OSIRIS_HOME=root, OSIRIS_PROFILE="prod")[3:] == ["prod", "OSIRIS_PROFILE"]
    assert show("-C", shop.root, "-p", "ml", OSIRIS_PROFILE="prod")[3:] == ["ml", "--profile"]
    assert show("-C", shop.root, OSIRIS_BASE_PATH="/b")[1:3] == ["/b", "OSIRIS_BASE_PATH"]
    shop.write("osiris.yaml", "filesystem:\n  base_path: below\n  profiles: {enabled: false}\n")
    assert show("-C", shop.root)[1:] == [f"{root}/below", "osiris.yaml:2", "", "profiles are off, osiris.yaml:3"]


def test_a_wrong_profile_a_warning_and_a_broken_file_are_what_they_are_for_every_command(shop: Shop) -> None:
    shop.write("osiris.yaml", "filesystem: {profiles: {values: [dev, staging, prod]}}\nfuture: 1\n")
    error = shop.run("config", "show", "-p", "qa", check=2).err
    wanted = "ConfigError: Unknown profile 'qa'. Allowed profiles: dev, staging, prod (filesystem.profiles.values)."
    assert wanted in error
    assert wanted in shop.run("runs", "list", env={"OSIRIS_PROFILE": "qa"}, check=2).err
    [warning] = shop.run("config", "show", "--json").json["warnings"]
    assert warning == "osiris.yaml:2:1: unknown key 'future'"
    shop.write("osiris.yaml", "ledger: {segment_mb: -1}\n")
    assert "osiris.yaml:1:22: ledger.segment_mb" in shop.run("config", "show", check=2).err


def test_bytes_that_are_no_utf_8_in_the_environment_are_shown_as_escapes(shop: Shop) -> None:
    env = {key.encode(): value.encode() for key, value in environment().items()}
    env[b"OSIRIS_FILESYSTEM_BASE"] = str(shop.root).encode() + b"/\xff"
    done = subprocess.run([OSIRIS, "config", "show", "--json"], cwd=shop.root, env=env, capture_output=True, check=True)
    assert json.loads(done.stdout)["root"].endswith("/\\udcff")


def test_looking_at_the_configuration_writes_nothing(shop: Shop) -> None:
    before = sorted(shop.root.rglob("*"))
    shop.run("config", "show")
    assert sorted(shop.root.rglob("*")) == before
