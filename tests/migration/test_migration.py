"""An old ``logs/`` tree is recorded and moved by the real script, and nothing of it is lost."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from osiris.runner.log_reader import read_events
from tests.cli.shop import Shop
from tests.histories import tree
from tests.migration.old_logs import event, failed, files, migrate, nameless, successful, unfinished, write_session


@pytest.fixture
def logs(shop: Shop) -> Path:
    """The old folder of the project: a successful, a failed and an unfinished run, and things that are none."""
    folder = shop.root / "logs"
    successful(folder)
    failed(folder)
    unfinished(folder)
    write_session(folder, "compile_1739299300000", [event("30Z", "compile_start", pipeline="orders")])
    write_session(folder, "chat_1739299300001", [event("30Z", "chat_start")])
    (folder / ".last_compile.json").write_text("{}")
    return folder


def by_id(shop: Shop) -> dict[str, dict[str, Any]]:
    return {run["run_id"]: run for run in shop.runs()}


def test_a_dry_run_tells_everything_and_changes_nothing(shop: Shop, logs: Path) -> None:
    before = tree(shop.root)
    done = migrate(shop)
    assert tree(shop.root) == before
    rows = [line.split("\t") for line in done.out.splitlines() if line.startswith("logs/")]
    assert [(row[0], row[1], row[2], row[3], row[5]) for row in rows] == [
        (
            f"logs/run_{number}",
            slug,
            profile,
            status,
            f"run_logs/{profile}/{slug}/20250211T1842{second}Z_run_{number}",
        )
        for number, slug, profile, status, second in [
            ("1739299353123", "orders", "prod", "success", 33),
            ("1739299400000", "customer-sync", "dev", "failed", 40),
            ("1739299500000", "nightly", "dev", "interrupted", 50),
        ]
    ]
    assert "left alone  logs/compile_1739299300000: no run: a compile session" in done.out
    assert "left alone  logs/chat_1739299300001: no run: a chat session" in done.out
    assert "left alone  logs/.last_compile.json" in done.out
    assert "--apply" in done.out


def test_what_a_dry_run_tells_is_what_is_done(shop: Shop, logs: Path) -> None:
    told, done = migrate(shop, "--json").json, migrate(shop, "--apply", "--json").json
    assert (told.pop("applied"), done.pop("applied")) == (False, True)
    assert told == done


def test_the_runs_are_in_the_ledger_with_all_that_their_logs_tell(shop: Shop, logs: Path) -> None:
    migrate(shop, "--apply")
    runs = by_id(shop)
    assert list(runs) == ["run_1739299500000", "run_1739299400000", "run_1739299353123"]
    good = runs["run_1739299353123"]
    assert {
        name: good[name] for name in ("pipeline_slug", "profile", "status", "duration_ms", "rows_in", "rows_out")
    } == {
        "pipeline_slug": "orders",
        "profile": "prod",
        "status": "success",
        "duration_ms": 3250,
        "rows_in": 5,
        "rows_out": 4,
    }
    assert (good["started_at"], good["finished_at"]) == ("2025-02-11T18:42:33.123456Z", "2025-02-11T18:42:36.500000Z")
    assert (good["run_ts"], good["user"], good["error"]) == ("2025-02-11T18-42-33Z", "ada", None)
    assert (good["aiop_path"], good["build_manifest_path"], good["manifest_hash"]) == ("", "", "")
    assert good["runtime_env"] == {"imported_from": "logs/run_1739299353123"}
    bad = runs["run_1739299400000"]
    assert (bad["status"], bad["duration_ms"], bad["tags"]) == ("failed", 3000, ["eu", "ml"])
    assert (bad["error"]["step"], bad["error"]["message"]) == ("load", "cannot reach postgres://ada:***@db/shop")
    dead = runs["run_1739299500000"]
    assert (dead["status"], dead["duration_ms"], dead["rows_out"]) == ("interrupted", None, None)
    assert dead["finished_at"] == "2025-02-11T18:42:51.000000Z"
    assert shop.run("index", "verify").code == 0
    assert shop.run("runs", "list", "--pipeline", "nightly", "--json").json["runs"] == [dead]


def test_every_byte_of_a_session_is_kept_and_its_log_can_be_read_as_todays(shop: Shop, logs: Path) -> None:
    old = {path.name: files(path) for path in logs.iterdir() if path.name.startswith("run_")}
    migrate(shop, "--apply")
    for run_id, run in by_id(shop).items():
        folder = shop.root / run["run_logs_path"]
        artifacts = {f"artifacts/{path}": content for path, content in files(folder / "artifacts").items()}
        assert files(folder / "legacy") | artifacts == old[run_id]
        events = list(read_events(folder))
        assert len(events) == len(old[run_id]["events.jsonl"].splitlines())
        status = json.loads((folder / "status.json").read_bytes())
        assert (status["run_id"], status["status"]) == (run_id, run["status"])
        for line in (folder / "metrics.jsonl").read_bytes().splitlines():
            assert set(json.loads(line)) == {"at", "step", "metric", "value", "unit"}
    [log] = shop.root.glob("run_logs/prod/orders/*/osiris.log")
    assert "step.finished  extract  success  rows - -> 5  1000 ms" in log.read_text()
    assert [event.event for event in read_events(log.parent)][:3] == [
        "run.started",
        "legacy.config_loaded",
        "step.started",
    ]


def test_what_could_not_be_read_is_counted_and_named(shop: Shop, logs: Path) -> None:
    warnings = migrate(shop, "--apply").err
    assert "logs/run_1739299500000: 2 unreadable lines in events.jsonl (line 3, 4)" in warnings
    assert "logs/run_1739299353123: 1 events of types unknown here, kept as they are: config_loaded (1)" in warnings
    [folder] = shop.root.glob("run_logs/dev/nightly/*")
    assert [event.event for event in read_events(folder)] == [
        "run.started", "step.started", "legacy.unreadable", "legacy.unreadable"
    ]  # fmt: skip


def test_secrets_stay_in_the_old_files_alone_and_that_is_said(shop: Shop, logs: Path) -> None:
    warnings = migrate(shop, "--apply").err
    holders = [path for path in shop.root.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert {path.parent.name for path in holders} == {"legacy"}
    assert [path.name for path in sorted(holders)] == ["config.json", "events.jsonl"]
    assert "logs/run_1739299400000: there are secrets in it" in warnings
    assert "logs/run_1739299353123: there are secrets in it" not in warnings


def test_a_second_run_has_nothing_to_do(shop: Shop, logs: Path) -> None:
    migrate(shop, "--apply")
    before, journal = tree(shop.root), shop.journal()
    again = migrate(shop, "--apply", "--json").json
    assert again["runs"] == []
    assert shop.journal() == journal
    assert {path: seen for path, seen in tree(shop.root).items() if ".osiris" not in path} == {
        path: seen for path, seen in before.items() if ".osiris" not in path
    }


def test_a_copy_of_a_session_that_was_moved_is_not_recorded_twice(shop: Shop, tmp_path: Path) -> None:
    logs = shop.root / "logs"
    backup = shutil.copytree(successful(logs), tmp_path / "backup")
    assert migrate(shop, "--apply", "--json").json["removed_logs"] is True
    shutil.copytree(backup, logs / "run_1739299353123")
    moved = tree(shop.root / "run_logs")
    migrate(shop, "--apply", "--pipeline", "run_1739299353123=elsewhere")
    assert shop.types() == ["run.imported"]
    assert tree(shop.root / "run_logs") == moved
    assert not logs.exists()
    shutil.copytree(backup, logs / "run_1739299353123")
    (logs / "run_1739299353123" / "osiris.log").write_text("another\n")
    refused = migrate(shop, "--apply", check=2)
    assert "has something else in it" in refused.out
    assert (logs / "run_1739299353123" / "osiris.log").read_text() == "another\n"


def test_a_session_without_a_pipeline_is_refused_until_somebody_names_it(shop: Shop) -> None:
    logs = shop.root / "logs"
    nameless(logs)
    nameless(logs, "run_daily-report_1739299600001")
    refused = migrate(shop, "--apply", check=2)
    assert "logs/run_1739299600000: no pipeline is named in it; name one with --pipeline" in refused.out
    assert [run["pipeline_slug"] for run in shop.runs()] == ["daily_report"]
    assert files(logs / "run_1739299600000")
    migrate(shop, "--apply", "--pipeline", "run_1739299600000=orders")
    assert by_id(shop)["run_1739299600000"]["pipeline_slug"] == "orders"
    assert not logs.exists(), "it is removed once it is empty"


@pytest.mark.parametrize("wish", ["Or ders", "x=", "../up", "a=b/c"])
def test_a_pipeline_that_is_no_slug_is_refused(shop: Shop, wish: str) -> None:
    nameless(shop.root / "logs")
    assert "names no pipeline slug" in migrate(shop, "--apply", "--pipeline", wish, check=2).err
    assert not (shop.root / ".osiris").exists()


def test_a_run_that_may_still_be_going_on_is_left_alone(shop: Shop) -> None:
    now = datetime.now(UTC) - timedelta(hours=1)
    alive = {"ts": now.isoformat(), "event": "run_start", "pipeline": "orders"}
    folder = write_session(shop.root / "logs", "run_1", [alive])
    assert "may still be running" in migrate(shop, "--apply", check=2).out
    assert files(folder)
    assert shop.types() == []


def test_links_are_never_followed(shop: Shop, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    successful(outside, "run_9")
    before = tree(outside)
    logs = shop.root / "logs"
    folder = successful(logs)
    shutil.rmtree(folder / "artifacts")
    (folder / "artifacts").symlink_to(outside)
    (folder / "events2").symlink_to(outside / "run_9" / "events.jsonl")
    linked = write_session(logs, "run_orders_2", [])
    (linked / "events.jsonl").unlink()
    (linked / "events.jsonl").symlink_to(outside / "run_9" / "events.jsonl")
    (logs / "run_9").symlink_to(outside / "run_9")
    os.utime(linked, (1_600_000_000, 1_600_000_000))
    migrate(shop, "--apply")
    assert tree(outside) == before
    runs = by_id(shop)
    assert set(runs) == {"run_1739299353123", "run_orders_2"}
    assert runs["run_orders_2"]["status"] == "interrupted", "what a link shows is not looked at"
    legacy = shop.root / runs["run_1739299353123"]["run_logs_path"] / "legacy"
    assert (legacy / "artifacts").is_symlink()
    assert (logs / "run_9").is_symlink()


def test_a_link_in_place_of_the_old_folder_and_places_of_the_layout_are_refused(shop: Shop, tmp_path: Path) -> None:
    successful(tmp_path / "outside")
    (shop.root / "logs").symlink_to(tmp_path / "outside")
    before = tree(tmp_path)
    for place in ("logs", "run_logs", "build/pipelines", ".osiris", ".", ".."):
        assert "Try: " in migrate(shop, "--apply", "--logs", shop.root / place, check=2).err
    assert tree(tmp_path) == before


def test_two_sessions_never_get_one_folder_and_none_gets_one_that_is_there(shop: Shop) -> None:
    logs = shop.root / "logs"
    successful(logs, "run 1")
    successful(logs, migrate(shop, "--json").json["runs"][0]["run_id"])
    done = migrate(shop, "--apply", check=2)
    assert "there is another run imported-run-1-" in done.out
    assert len(shop.runs()) == len(list(logs.iterdir())) == 1

    failed(logs)
    taken = shop.root / migrate(shop, "--json", check=2).json["runs"][0]["run_logs_path"]
    taken.mkdir(parents=True)
    assert f"its place {taken.relative_to(shop.root)} is taken" in migrate(shop, "--apply", check=2).out
    assert len(shop.runs()) == 1
    assert list(taken.iterdir()) == []


def test_names_that_cannot_stand_in_a_path_or_could_be_ours_become_ids_of_their_own(shop: Shop) -> None:
    logs = shop.root / "logs"
    names = ["run-000001", "run 1", "run_1..2", "run_" + "x" * 200, os.fsdecode(b"run_\xff")]
    for name in names:
        successful(logs, name)
    migrate(shop, "--apply")
    shop.write("osiris.yaml", 'version: "2.0"\nids: {run_id_format: incremental}\n')
    shop.run("run", "orders")
    runs = shop.runs()
    imported = [run["run_id"] for run in runs if run["runtime_env"].get("imported_from")]
    assert len(set(imported)) == len(names)
    assert all(run_id.startswith("imported-run") for run_id in imported)
    assert all(
        (shop.root / run["run_logs_path"]).name.endswith(run["run_id"]) for run in runs if run["aiop_path"] == ""
    )
    assert runs[0]["run_id"] == "run-000001", "an imported run spends no number"


def test_last_is_a_run_of_the_projects_own_while_there_is_one(used: Shop) -> None:
    successful(used.root / "logs")
    migrate(used, "--apply")
    assert used.runs()[0]["run_id"] == "run_1739299353123"
    assert used.run("runs", "show", "last", "--json").json["run"]["run_id"].startswith("run-000001")


def test_times_of_files_are_used_only_where_no_event_has_one_and_that_is_said(shop: Shop) -> None:
    events = [{"ts": "0001-01-01T00:00:00Z", "event": "run_start"}, {"ts": "soon", "event": "run_complete"}]
    folder = write_session(shop.root / "logs", "run_orders_1", events)
    os.utime(folder / "events.jsonl", (1_600_000_000, 1_600_000_000))
    assert "its times are those of its files" in migrate(shop, "--apply").err
    assert shop.runs()[0]["started_at"] == "2020-09-13T12:26:40.000000Z"


def test_a_profile_may_be_given_for_all_and_an_unknown_one_is_said(shop: Shop) -> None:
    logs = shop.root / "logs"
    successful(logs, "run_1")
    write_session(logs, "run_2", [event("1Z", "run_start", pipeline="orders", profile="qa"), event("2Z", "run_end")])
    assert "its profile 'qa' is none of this project: now 'dev'" in migrate(shop).err
    migrate(shop, "--apply", "--profile", "staging")
    assert {run["profile"] for run in shop.runs()} == {"staging"}
    assert "Unknown profile" in migrate(shop, "--profile", "qa", check=2).err
