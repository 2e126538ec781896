"""``osiris maintenance clean`` as a person or a cron job would use it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from osiris.events.runs import RunFinished, RunStarted
from tests.cli.shop import ENDLESS, Result, Shop, new_shop, pipeline, running, step_started
from tests.histories import make_build, tree
from tests.retention.aged import CARD, SUMMARY, aged_project, annex, run_at

CLEAN = ("maintenance", "clean")


def ran(shop: Shop, *days: float, profile: str = "dev", slug: str = "orders") -> list[RunStarted]:
    """Runs that ended so many days before now."""
    now = datetime.now(UTC)
    return [run_at(shop.root, now - timedelta(days=number), make_build(slug, profile)) for number in days]


@pytest.fixture
def old(shop: Shop) -> Shop:
    """A project with runs of 30, 20, 10 and 0 days ago, of which only the newest one counts as new."""
    shop.write("osiris.yaml", "filesystem: {retention: {aiop_keep_runs_per_pipeline: 1}}\n")
    ran(shop, 30, 20, 10, 0)
    return shop


def folders(shop: Shop) -> set[str]:
    """Run folders and annexes, relative to the project."""
    found = [*shop.root.glob("run_logs/**/osiris.log"), *shop.root.glob("aiop/**/annex/timeline.ndjson")]
    return {path.parent.relative_to(shop.root).as_posix() for path in found}


def outside_of_the_ledger(shop: Shop) -> dict[str, tuple[int, int, bytes]]:
    return {path: content for path, content in tree(shop.root).items() if not path.startswith(".osiris/index")}


def test_without_a_word_it_shows_and_deletes_nothing(old: Shop) -> None:
    before = outside_of_the_ledger(old)
    shown = old.run(*CLEAN)
    assert "Run folders, by run_logs_days: 3 folders, 3.0 kB" in shown.out
    assert "it finished 20 days ago; a run folder is kept 7 days" in shown.out
    assert "Annexes, by aiop_keep_runs_per_pipeline: 3 folders, 390 B" in shown.out
    assert "would delete 6 folders, 3.4 kB" in shown.out
    assert "kept: 1 run: 1 among the newest of their pipeline and profile" in shown.out
    assert shown.out.endswith("Apply it with `osiris maintenance clean --apply`.\n")
    assert shown.err == ""
    assert outside_of_the_ledger(old) == before


def test_apply_deletes_what_was_shown_and_the_next_one_has_nothing_to_do(old: Shop) -> None:
    planned = old.run(*CLEAN, "--json").json
    assert planned["applied"] is False
    done = old.run(*CLEAN, "--apply", "--json").json
    assert done["applied"] is True
    assert done["paths"] == planned["paths"]
    assert done["bytes"] == planned["bytes"] == 3 * 1130
    assert not {path["path"] for path in planned["paths"]} & folders(old)
    assert len(folders(old)) == 2
    for pack in old.root.glob("aiop/dev/orders/*/*"):
        assert ((pack / "summary.json").read_bytes(), (pack / "run-card.md").read_bytes()) == (SUMMARY, CARD)
    journal = old.journal()
    assert old.run(*CLEAN, "--apply", "--json").json["paths"] == []
    assert old.run(*CLEAN, "--apply").out.startswith("nothing to delete\n")
    assert old.journal() == journal
    old.run("index", "verify")


def test_the_document_says_of_each_path_whose_it_is_and_why_it_goes(old: Shop) -> None:
    document = old.run(*CLEAN, "--json").json
    oldest = old.runs()[-1]
    logs, shard = document["paths"][:2]
    assert logs["path"] == oldest["run_logs_path"]
    assert shard["path"] == oldest["aiop_path"] + "/annex"
    assert (logs["bytes"], shard["bytes"]) == (1000, 130)
    for path in (logs, shard):
        assert {name: path[name] for name in ("run_id", "pipeline_slug", "profile", "finished_at")} == {
            name: oldest[name] for name in ("run_id", "pipeline_slug", "profile", "finished_at")
        }
    assert (logs["rule"], shard["rule"]) == ("run_logs_days", "aiop_keep_runs_per_pipeline")
    assert document["policy"] == {"run_logs_days": 7, "aiop_keep_runs_per_pipeline": 1, "annex_keep_days": 14}
    assert document["kept"] == {"running": 0, "latest": 0, "newest": 1, "unclear": 0, "young": 0}
    assert (document["unfinished"], document["refused"]) == ([], [])


def logs_of(result: Result) -> int:
    return sum(path["rule"] == "run_logs_days" for path in result.json["paths"])


def test_a_flag_wins_over_the_environment_and_that_over_the_file(old: Shop) -> None:
    env = {"OSIRIS_RETENTION_RUN_LOGS_DAYS": "15"}
    assert logs_of(old.run(*CLEAN, "--json")) == 3
    assert logs_of(old.run(*CLEAN, "--json", env=env)) == 2
    assert logs_of(old.run(*CLEAN, "--json", "--logs-days", "25", env=env)) == 1
    assert logs_of(old.run(*CLEAN, "--json", "--logs-days", "0", env=env)) == 0
    assert old.run(*CLEAN, "--json", "--keep-runs", "4").json["paths"] == []
    rules = [path["rule"] for path in old.run(*CLEAN, "--json", "--keep-runs", "0", "--annex-days", "25").json["paths"]]
    assert (rules.count("run_logs_days"), rules.count("annex_keep_days")) == (3, 1)


def test_the_hint_to_apply_repeats_the_flags(old: Shop) -> None:
    shown = old.run(*CLEAN, "--logs-days", "25", "--keep-runs", "2", "--annex-days", "9").out
    assert "`osiris maintenance clean --apply --logs-days 25 --keep-runs 2 --annex-days 9`" in shown


def test_where_the_file_says_so_it_deletes_without_a_word_and_never_in_a_dry_run(old: Shop) -> None:
    with (old.root / "osiris.yaml").open("a") as file:
        file.write("retention: {dry_run_default: false}\n")
    before = folders(old)
    assert old.run(*CLEAN, "--dry-run", "--json").json["applied"] is False
    assert folders(old) == before
    assert old.run(*CLEAN, "--json").json["applied"] is True
    assert len(folders(old)) == 2


@pytest.mark.parametrize(
    "flags", [("--dry-run", "--apply"), ("--logs-days", "-1"), ("--keep-runs", "x"), ("--annex-days", "1.5"), ("all",)]
)
def test_wrong_usage_is_said_and_deletes_nothing(old: Shop, flags: tuple[str, ...]) -> None:
    before = folders(old)
    assert old.run(*CLEAN, *flags, check=2).err.startswith("error: ")
    assert old.run(*CLEAN, *flags, "--json", check=2).json["error"]["code"] == "cli.usage"
    assert folders(old) == before


@pytest.mark.parametrize(
    "config",
    [
        "filesystem: {profiles: {enabled: false}}\n",
        'filesystem: {run_logs_dir: var/logs, naming: {run_dir: "{pipeline_slug}/{run_id}/{run_ts}"}}\n',
        'filesystem: {aiop_dir: packs, naming: {manifest_dir: "of-{manifest_short}", aiop_run_dir: "{run_id}/x"}}\n',
        "ids: {run_id_format: uuidv4}\n",
    ],
)
def test_it_follows_the_paths_of_the_ledger_whatever_the_folders_are_called(shop: Shop, config: str) -> None:
    shop.write("osiris.yaml", config)
    profile = "" if "profiles" in config else "dev"
    first, second = ran(shop, 9, 0, profile=profile)
    done = shop.run(*CLEAN, "--apply", "--keep-runs", "1", "--json").json
    assert [path["path"] for path in done["paths"]] == [first.run_logs_path, annex(first)]
    assert (shop.root / second.run_logs_path).exists()
    assert not (shop.root / first.run_logs_path).exists()


def test_the_runs_of_a_real_project_stay_for_a_latest_pointer_leads_to_the_newest(used: Shop) -> None:
    """The real runner's folders, with a run of long ago of the very same build."""
    record = used.runs()[0]
    build = make_build("orders", "dev", "c")
    run_at(used.root, datetime.now(UTC) - timedelta(days=30), build)
    used.run("run", "orders")
    document = used.run(*CLEAN, "--apply", "--keep-runs", "0", "--json").json
    assert [path["rule"] for path in document["paths"]] == ["run_logs_days", "annex_keep_days"]
    assert document["kept"]["latest"] == 1
    assert document["kept"]["young"] == 1
    assert (used.root / record["run_logs_path"]).exists()
    used.run("index", "verify")


def test_a_run_that_is_going_on_keeps_its_folder(old: Shop) -> None:
    old.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(old, "run", "orders", reached=step_started(old, "write")) as process:
        document = old.run(*CLEAN, "--apply", "--json").json
        assert document["kept"]["running"] == 1
        [folder] = [path.parent for path in old.root.glob("run_logs/dev/orders/*/events.jsonl")]
        assert folder.exists()
        process.kill()


def test_a_pruned_run_says_so(old: Shop) -> None:
    old.run(*CLEAN, "--apply")
    oldest, newest = old.runs()[-1], old.runs()[0]
    shown = old.run("runs", "show", f"orders/{oldest['run_id']}", env={"TZ": "UTC"}).out
    assert f"  pruned    {oldest['pruned_at'][:10]} {oldest['pruned_at'][11:19]}\n" in shown
    assert oldest["run_logs_path"] not in shown
    assert "pruned" not in old.run("runs", "show", f"orders/{newest['run_id']}").out


def test_events_say_how_many_paths_went_of_which_run(old: Shop) -> None:
    old.run(*CLEAN, "--apply", "--logs-days", "25", "--keep-runs", "3")
    planned, pruned = old.run("events").out.splitlines()[-2:]
    assert "retention.planned" in planned
    assert "runs=2 paths of orders/run-000001_" in pruned
    assert "left" not in pruned


def test_a_link_in_the_place_of_a_run_folder_is_an_error_that_names_it_and_all_else_goes(
    old: Shop, tmp_path: Path
) -> None:
    oldest = old.runs()[-1]
    folder = old.root / oldest["run_logs_path"]
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    shown = old.run(*CLEAN, check=2)
    assert f"error: {oldest['run_logs_path']} is not deleted" in shown.err
    assert "Try: " in shown.err
    done = old.run(*CLEAN, "--apply", "--json", check=2).json
    [refused] = done["refused"]
    assert (refused["path"], refused["code"]) == (oldest["run_logs_path"], "retention.refused")
    assert refused["run"] == f"orders/{oldest['run_id']}"
    assert len(done["paths"]) == 5
    assert (tmp_path / "moved" / "osiris.log").exists()
    pruned = old.journal()[-1]
    assert oldest["run_logs_path"] not in [path for run in pruned["runs"] for path in run["paths"]]


@pytest.fixture
def no_write_permission(old: Shop) -> Iterator[tuple[str, ...]]:
    """A folder in the oldest run's that nothing can be removed from; the command that starts one who heeds that."""
    folder = old.root / old.runs()[-1]["run_logs_path"] / "artifacts" / "deep"
    folder.chmod(0o500)
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write anywhere")
        before = (setpriv, "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    yield before
    if folder.exists():
        folder.chmod(0o700)


def test_a_folder_that_is_closed_to_us_is_a_failed_disk_and_can_be_finished_later(
    old: Shop, no_write_permission: tuple[str, ...]
) -> None:
    oldest = old.runs()[-1]["run_logs_path"]
    first = old.end(old.start(*CLEAN, "--apply", before=no_write_permission), 7)
    assert f"error: could not delete {oldest}: Permission denied" in first.err
    assert "deleted 5 folders" in first.out
    assert (old.root / oldest / "artifacts" / "deep" / "rows.parquet").exists()
    journal = old.journal()
    again = old.end(old.start(*CLEAN, "--apply", "--json", before=no_write_permission), 7).json
    assert [found["code"] for found in again["refused"]] == ["disk.failed"]
    assert old.journal() == journal, "nothing new is planned, and nothing is gone"

    shown = old.run(*CLEAN)
    assert "Left of an earlier clean that did not come to its end: 1 folder, 400 B" in shown.out
    assert "the next clean that deletes takes up 1 plan that an earlier clean left unfinished" in shown.out
    (old.root / oldest / "artifacts" / "deep").chmod(0o700)
    done = old.run(*CLEAN, "--apply", "--json", "--logs-days", "0", "--keep-runs", "0", "--annex-days", "0").json
    assert [(path["path"], path["rule"]) for path in done["paths"]] == [(oldest, "unfinished")]
    assert [plan["paths"] for plan in done["unfinished"]] == [[oldest]]
    assert not (old.root / oldest).exists()
    assert old.run(*CLEAN, "--json").json["unfinished"] == []
    old.run("index", "verify")


def test_of_many_cleans_at_once_one_deletes_and_the_others_say_so(old: Shop) -> None:
    ran(old, *(9.0,) * 20, 0, slug="other")
    commands = [(*CLEAN, "--apply", "--json")] * 4
    results = old.all(*commands, check=None)
    assert {result.code for result in results} <= {0, 6}
    assert [result.code for result in results].count(0) >= 1
    for result in results:
        if result.code == 6:
            assert result.json["error"]["code"] == "retention.locked"
    events = [event for event in old.journal() if event["type"] == "retention.pruned"]
    paths = [path for event in events for run in event["runs"] for path in run["paths"]]
    assert len(paths) == len(set(paths)) == 2 * 20 + 6
    assert len(folders(old)) == 4
    old.run("index", "verify")


def test_a_new_project_has_nothing_to_delete(tmp_path: Path) -> None:
    shop = new_shop(tmp_path / "new")
    before = tree(shop.root)
    assert shop.run(*CLEAN).out == "nothing to delete\nkept: 0 runs\n"
    assert tree(shop.root) == before
    assert shop.run(*CLEAN, "--apply", "--json").json["paths"] == []
    assert not (shop.root / ".osiris" / "journal").exists() or shop.types() == []


def test_a_long_first_clean_comes_to_its_end(shop: Shop) -> None:
    """More runs than a batch, and more than a process may have files open."""
    started = ran(shop, *(20.0,) * 130, 0)
    done = shop.run(*CLEAN, "--apply", "--keep-runs", "1", "--json").json
    assert len(done["paths"]) == 260
    assert shop.types().count("retention.planned") == 6
    assert len(folders(shop)) == 2
    assert (shop.root / started[-1].run_logs_path).exists()


def test_names_that_would_move_the_cursor_are_shown_as_text(shop: Shop) -> None:
    """An edited journal may hold anything; a terminal must not obey it."""
    first, _ = ran(shop, 9, 0)
    ledger = aged_project(shop.root).ledger
    for run_id, path in (("\x1b[1m", "run_logs/\x1b[2J"), ("x", "../\x1b[2J")):
        ledger.record(msgspec.structs.replace(first, run_id=run_id, run_logs_path=path))
        end = RunFinished(
            run_id=run_id, pipeline_slug="orders", status="failed", finished_at=first.started_at, duration_ms=1
        )
        ledger.record(end)
    ledger.close()
    (shop.root / "run_logs/\x1b[2J").mkdir()
    shown = shop.run(*CLEAN, "--keep-runs", "1", "--annex-days", "0", check=2)
    assert "run_logs/ [2J" in shown.out
    assert "is not deleted" in shown.err
    assert "\x1b" not in shown.out + shown.err
