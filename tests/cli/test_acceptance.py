"""The acceptance criteria of the filesystem contract, each a test that does with real commands what the line promises.

The lines stand in their order. How two machines agree is held by ``test_parity``, each kind of wrong configuration by
``tests/config``.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.cli.shop import BY_CUSTOMER, ORDERS, Shop, pipeline
from tests.docs.test_pages import PAGES
from tests.histories import make_build, tree
from tests.retention.aged import run_at

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "docs" / "samples" / "osiris.filesystem.yaml"
SCHEMA = [
    "run_id", "pipeline_slug", "profile", "manifest_hash", "manifest_short", "run_ts", "status", "duration_ms",
    "run_logs_path", "aiop_path", "build_manifest_path", "tags", "branch",
]  # fmt: skip
SUMMARY = {
    "run_id", "pipeline_slug", "profile", "manifest_hash", "manifest_short", "started_at", "completed_at", "status",
    "rows_in", "rows_out", "duration_ms", "tags",
}  # fmt: skip


def test_compile_and_run_write_exclusively_under_the_places_of_the_layout(shop: Shop) -> None:
    before = {path.name for path in shop.root.iterdir()}
    shop.run("compile", "pipelines/orders.yaml", "--profile", "prod")
    assert {path.name for path in shop.root.iterdir()} - before == {"build", ".osiris"}
    shop.run("run", "pipelines/orders.yaml", "-p", "prod", "--tags", "billing,ml")
    assert {path.name for path in shop.root.iterdir()} - before == {"build", "run_logs", "aiop", ".osiris", "out"}
    assert shop.read("out/by_customer.csv") == BY_CUSTOMER


def test_runs_jsonl_has_the_new_schema_and_runs_list_shows_profiles_and_tags(shop: Shop) -> None:
    shop.write("pipelines/broken.yaml", pipeline("SELECT nothing FROM df_orders"))
    shop.run("run", "orders", "-p", "prod", "--tags", "ml,billing")
    shop.run("run", "orders")
    shop.run("run", "broken", "-p", "staging", check=1)
    lines = [json.loads(line) for line in shop.read(".osiris/index/runs.jsonl").splitlines()]
    assert all(list(line)[: len(SCHEMA)] == SCHEMA for line in lines)
    assert shop.runs() == lines[::-1], "runs list tells what the index holds, newest first"
    told = [(line["pipeline_slug"], line["profile"], line["status"], line["tags"]) for line in lines]
    assert told == [
        ("orders", "prod", "success", ["billing", "ml"]),
        ("orders", "dev", "success", []),
        ("broken", "staging", "failed", []),
    ]
    for line in lines:
        assert re.fullmatch(r"[0-9a-f]{64}", line["manifest_hash"])
        assert line["manifest_hash"].startswith(line["manifest_short"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", line["run_ts"])
        for path in ("run_logs_path", "aiop_path", "build_manifest_path"):
            assert (shop.root / line[path]).exists(), path
    for wish, number in ((("--profile", "prod"), 1), (("--tag", "ml"), 1), (("--status", "failed"), 1)):
        assert len(shop.run("runs", "list", *wish, "--json").json["runs"]) == number
    header, *rows = shop.run("runs", "list").out.splitlines()
    assert [row.split("\t")[2:4] for row in rows] == [["staging", "failed"], ["dev", "success"], ["prod", "success"]]
    assert "tags" in header.split("\t")
    newest_first = [json.loads(line) for line in shop.read(".osiris/index/by_pipeline/orders.jsonl").splitlines()]
    assert newest_first == [lines[1], lines[0]]
    for profile in ("prod", "dev"):
        manifest, digest, named = shop.read(f".osiris/index/latest/{profile}/orders.txt").decode().splitlines()
        assert (shop.root / manifest).is_file()
        assert named == profile
        assert digest in {line["manifest_hash"] for line in lines}


def test_counters_increment_per_pipeline_safely_under_parallel_runs(shop: Shop) -> None:
    for name in ("orders", "returns"):
        shop.write(f"pipelines/{name}.yaml", ORDERS.replace("by_customer.csv", f"{name}.csv"))
        shop.run("compile", name)
    shop.all(*[("run", name) for name in ("orders", "returns", "orders") for _ in range(3)])
    numbers = sorted((run["pipeline_slug"], int(run["run_id"][4:10])) for run in shop.runs())
    assert numbers == [("orders", number) for number in range(1, 7)] + [("returns", number) for number in range(1, 4)]
    with contextlib.closing(sqlite3.connect(shop.root / ".osiris" / "index" / "counters.sqlite")) as database:
        rows = database.execute("SELECT pipeline_slug, last_value FROM counters ORDER BY 1").fetchall()
    assert rows == [("orders", 6), ("returns", 3)]
    assert Counter(run["status"] for run in shop.runs()) == {"success": 9}
    shutil.rmtree(shop.root / ".osiris" / "index")
    assert shop.run("run", "orders", "--json").json["run"]["run_id"].startswith("run-000007")


def test_run_folders_are_named_by_the_templates_and_logs_show_finds_them(shop: Shop) -> None:
    shop.write(
        "osiris.yaml",
        """\
version: "2.0"
filesystem:
  run_logs_dir: history/logs_of_runs
  naming:
    manifest_dir: "{pipeline_slug}/{manifest_short}"
    run_dir: "{pipeline_slug}/{tags}_{branch}_{run_id}-{manifest_short}"
    aiop_run_dir: "pack-{run_id}"
    manifest_short_len: 12
ids: {run_id_format: [incremental, uuidv4]}
""",
    )
    shop.run("run", "orders", "--tags", "ml,billing")
    [run] = shop.runs()
    short = run["manifest_hash"][:12]
    assert run["manifest_short"] == short
    assert run["run_logs_path"] == f"history/logs_of_runs/dev/orders/billing+ml_{run['run_id']}-{short}"
    assert run["aiop_path"] == f"aiop/dev/orders/{short}/pack-{run['run_id']}"
    assert run["build_manifest_path"] == f"build/pipelines/dev/orders/{short}/manifest.yaml"
    names = {path.name for path in (shop.root / run["run_logs_path"]).iterdir()}
    assert names == {"events.jsonl", "metrics.jsonl", "osiris.log", "manifest.yaml", "status.json", "artifacts"}
    log = shop.read(f"{run['run_logs_path']}/osiris.log").decode()
    assert log.count("step.finished") == 3
    assert shop.run("logs", "show", "last").out == log
    assert shop.run("logs", "show", run["run_id"], "--tail", "2").out.splitlines() == log.splitlines()[-2:]
    assert shop.run("logs", "show", "last", "--follow").out == log
    assert [entry["path"] for entry in shop.run("logs", "list", "--json").json["logs"]] == [run["run_logs_path"]]


def test_the_default_names_are_those_of_the_contract_with_and_without_profiles(shop: Shop) -> None:
    shop.run("run", "orders", "-p", "prod")
    shop.write("osiris.yaml", 'version: "2.0"\nfilesystem: {profiles: {enabled: false}}\n')
    shop.run("run", "orders")
    for run, profile in zip(shop.runs(), ("", "prod/"), strict=True):
        build = f"{profile}orders/{run['manifest_short']}-{run['manifest_hash']}"
        moment = run["run_ts"].replace("-", "")
        assert run["build_manifest_path"] == f"build/pipelines/{build}/manifest.yaml"
        assert run["aiop_path"] == f"aiop/{build}/{run['run_id']}"
        assert run["run_logs_path"] == f"run_logs/{profile}orders/{moment}_{run['run_id']}-{run['manifest_short']}"
        assert all((shop.root / run[path]).exists() for path in ("build_manifest_path", "aiop_path", "run_logs_path"))


def test_a_pack_has_summary_run_card_and_annex_at_the_contracts_path_also_after_a_failure(shop: Shop) -> None:
    shop.write("pipelines/broken.yaml", pipeline("SELECT nothing FROM df_orders"))
    shop.run("run", "orders", "--tags", "ml")
    shop.run("run", "broken", check=1)
    for run in shop.runs():
        pack = shop.root / run["aiop_path"]
        assert pack.parent.name == f"{run['manifest_short']}-{run['manifest_hash']}"
        assert pack.name == run["run_id"]
        assert set(tree(pack)) == {
            *("annex", "annex/errors.ndjson", "annex/metrics.ndjson", "annex/timeline.ndjson"),
            *("run-card.md", "summary.json"),
        }
        summary = json.loads((pack / "summary.json").read_bytes())
        assert set(summary) >= SUMMARY
        assert {key: summary[key] for key in SUMMARY & set(run)} == {key: run[key] for key in SUMMARY & set(run)}
        card = (pack / "run-card.md").read_text("utf-8")
        assert run["run_id"] in card
        named = f"{run['pipeline_slug']}/{run['run_id']}"
        assert shop.run("aiop", "show", named, "--json").json == summary
        assert shop.run("aiop", "show", named, "--card").out == card
    listed = [(pack["path"], pack["status"]) for pack in shop.run("aiop", "list", "--json").json["packs"]]
    assert listed == [(run["aiop_path"], run["status"]) for run in shop.runs()]


def outside_of_the_index(shop: Shop) -> dict[str, tuple[int, int, bytes]]:
    """Everything but the index, whose database has its log made anew by whoever opens it."""
    return {path: content for path, content in tree(shop.root).items() if not path.startswith(".osiris/index")}


def test_retention_deletes_only_the_run_folders_and_annexes_that_the_dry_run_named(used: Shop) -> None:
    used.write("osiris.yaml", "filesystem: {retention: {run_logs_days: 7, aiop_keep_runs_per_pipeline: 1}}\n")
    used.run("run", "orders")
    old = [run_at(used.root, datetime.now(UTC) - timedelta(days=days), make_build("other", "dev")) for days in (30, 0)]
    young = next(run for run in used.runs()[::-1] if run["pipeline_slug"] == "orders")
    due = {old[0].run_logs_path, f"{old[0].aiop_path}/annex", f"{young['aiop_path']}/annex"}
    used.run("index", "verify")
    before = outside_of_the_index(used)

    shown = used.run("maintenance", "clean", "--dry-run")
    planned = used.run("maintenance", "clean", "--json").json
    assert {path["path"] for path in planned["paths"]} == due
    assert all(path in shown.out for path in due)
    assert "would delete 3 folders" in shown.out
    assert outside_of_the_index(used) == before, "a dry run changes nothing"

    done = used.run("maintenance", "clean", "--apply", "--json").json
    assert done["paths"] == planned["paths"]
    ledger = ".osiris/"
    after = {path: content for path, content in tree(used.root).items() if not path.startswith(ledger)}
    assert after.keys() == {
        path
        for path in before
        if not path.startswith(ledger) and not f"{path}/".startswith(tuple(f"{p}/" for p in due))
    }
    assert {path: after[path][2] for path in after} == {path: before[path][2] for path in after}
    assert used.run("maintenance", "clean", "--apply", "--json").json["paths"] == []
    used.run("index", "verify")


def test_the_guard_against_the_old_logs_folder_is_among_the_tests_that_ci_runs(shop: Shop) -> None:
    """The guard itself is ``tests/regression``: what is written when anything runs, and what the sources name."""
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    [options] = re.findall(r"^test: .*\n\t.* pytest (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert options.endswith('-m "not slow"'), "it names no folder, so it takes all of them"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow", "tests/regression"],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout
    assert "test_compiling_and_running_writes_to_the_places_of_the_layout_alone" in found
    assert "test_no_code_but_the_migration_names_the_old_places" in found
    shop.run("run", "orders")
    assert not {"logs", "compiled"} & {path.name for path in shop.root.rglob("*")}


def test_the_sample_config_is_valid_and_wrong_ones_say_where_and_what_to_do(shop: Shop) -> None:
    shop.write("osiris.yaml", SAMPLE.read_bytes())
    assert shop.run("run", "orders", "--json").err == ""
    wrong = {
        "filesystem: {profiles: {default: qa}}": "qa",
        "filesystem: {naming: {manifest_short_len: 2}}": "manifest_short_len",
        "filesystem: {retention: {run_logs_days: -1}}": "run_logs_days",
        "filesystem: {naming: {run_dir: '../{run_id}'}}": "filesystem.naming",
        "ids: {run_id_format: ksuid}": "Supported: incremental, ulid, iso_ulid, uuidv4, snowflake",
        "ids: {manifest_hash_algo: md5}": "sha256_slug",
        "ledger: [": "osiris.yaml",
    }
    journal = shop.journal()
    for text, named in wrong.items():
        shop.write("osiris.yaml", f'version: "2.0"\n{text}\n')
        error, hint = shop.run("run", "orders", check=2).err.splitlines()[-2:]
        assert "osiris.yaml" in error + hint, text
        assert named in error + hint, text
        assert hint.startswith("Try: "), text
    assert shop.journal() == journal


def test_an_unknown_profile_and_an_unsupported_run_id_token_are_refused_in_the_contracts_words(shop: Shop) -> None:
    profile = shop.run("run", "orders", "-p", "qa", check=2).err
    assert "Unknown profile 'qa'. Allowed profiles: dev, staging, prod" in profile
    token = shop.run("run", "orders", "--run-id-format", "ksuid", check=2).err
    assert (
        "Unsupported run_id_format token 'ksuid'. Supported: incremental, ulid, iso_ulid, uuidv4, snowflake." in token
    )


def test_the_index_is_derived_and_gives_the_same_bytes_again(used: Shop) -> None:
    used.run("pipelines", "tag", "orders", "--add", "billing")
    index = used.root / ".osiris" / "index"
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and "sqlite" not in path.name}
    shutil.rmtree(index)
    used.run("index", "rebuild")
    used.run("index", "verify")
    assert {path: path.read_bytes() for path in before} == before


def test_the_help_the_adr_and_the_guide_tell_of_the_layout_and_of_profiles(shop: Shop) -> None:
    adr = ROOT / "docs" / "adr" / "0028-filesystem-contract.md"
    guide = ROOT / "docs" / "guides" / "filesystem_contract_v1.md"
    for text in (shop.run("--help").out, adr.read_text("utf-8"), guide.read_text("utf-8")):
        for word in ("build/", "run_logs/", "aiop/", ".osiris/"):
            assert word in text
        assert "profile" in text.lower()
    assert "OSIRIS_PROFILE" in shop.run("--help").out
    for verb in ("compile", "run"):
        assert "--profile" in shop.run(verb, "--help").out
    assert "Status: accepted" in adr.read_text("utf-8")
    assert guide in PAGES, "each of its commands is run"
    assert "osiris compile daylight --profile prod" in guide.read_text("utf-8")
