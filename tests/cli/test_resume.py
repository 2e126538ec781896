"""``osiris run --resume``: what was kept is not run again, what is not whole is, and what cannot go on says why."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from osiris.events.runs import RunImported
from osiris.ledger.runs import import_runs
from osiris.project import open_project
from tests.cli.held import OLD, STEPS, TOTAL, HeldShop, environment, new_held_shop, statuses, summary
from tests.cli.shop import ORDERS_CSV, step_started, wait_until

REUSED = dict.fromkeys(("orders", "raw", "total"), "reused") | dict.fromkeys(("held", "write"), "success")


@pytest.fixture(scope="module")
def failed_once(tmp_path_factory: pytest.TempPathFactory) -> HeldShop:
    """A project whose one run failed at its third step; its source is gone. Not to be touched."""
    shop = new_held_shop(tmp_path_factory.mktemp("held") / "shop")
    shop.fail()
    return shop


@pytest.fixture
def shop(failed_once: HeldShop, tmp_path: Path) -> HeldShop:
    return HeldShop(shutil.copytree(failed_once.root, tmp_path / "shop"))


def test_a_failed_run_goes_on_after_its_last_good_steps_and_reads_no_source_again(shop: HeldShop) -> None:
    assert shop.read("out/total.csv") == OLD
    done = shop.osiris("run", "--resume", "last", "--json").json
    assert statuses(done) == REUSED
    assert [(step["rows_in"], step["rows_out"]) for step in done["steps"]] == [
        (None, 3), (3, 3), (3, 2), (2, 2), (2, 2)
    ]  # fmt: skip
    assert [step["duration_ms"] is None for step in done["steps"]] == [True, True, True, False, False]
    assert (done["run"]["status"], done["run"]["rows_in"], done["run"]["rows_out"]) == ("success", 3, 5)
    assert shop.read("out/total.csv") == TOTAL
    assert shop.leftovers() == []


def test_a_resumed_run_is_a_run_of_its_own_and_says_everywhere_what_it_goes_on_with(shop: HeldShop) -> None:
    shop.osiris("run", "--resume", "orders/run-000001", "--tags", "again")
    run, failed = shop.runs()
    assert (run["run_id"], run["resumed_from"], run["tags"]) == ("run-000002", "run-000001", ["again"])
    assert (failed["status"], failed["resumed_from"]) == ("failed", "")
    assert [event["resumed_from"] for event in shop.journal() if event["type"] == "run.started"] == ["", "run-000001"]
    assert summary(shop, run)["resumed_from"] == "run-000001"
    assert statuses(summary(shop, run)) == REUSED
    card = shop.read(f"{run['aiop_path']}/run-card.md").decode()
    assert "It went on with run `run-000001`" in card
    assert "`orders` (filesystem.csv_extractor): reused, 3 rows [step.orders.rows_out]\n" in card
    assert "  resumed   run-000001\n" in shop.run("runs", "show", "last").out
    assert "resumed_from" in shop.run("runs", "diff", "last").out
    assert [line.split()[1:3] for line in shop.run("logs", "show", "last").out.splitlines()][1:4] == [
        ["step.reused", "orders"], ["step.reused", "raw"], ["step.reused", "total"]
    ]  # fmt: skip
    shop.run("runs", "show", "last", "--html", "run.html")
    page = shop.read("run.html").decode()
    assert "resumed from" in page
    assert page.count("is-reused") >= 3
    shop.run("index", "verify")


def test_a_plan_says_that_rows_are_kept_and_which_steps_a_resumed_run_would_reuse(shop: HeldShop) -> None:
    before = shop.journal()
    shown = shop.osiris("run", "--resume", "last", "--dry-run").out
    assert "reused: orders, raw, total\n" in shown
    assert "held -> write: Parquet in the run folder (kept, so that the run can be resumed)\n" in shown
    plan = shop.osiris("run", "orders", "--dry-run", "--json").json
    assert (plan["kept"], plan["reused"]) == (True, [])
    assert [stage["steps"] for stage in plan["stages"]] == [[step] for step in STEPS]
    assert {edge["kind"] for stage in plan["stages"] for edge in stage["edges"]} == {"parquet"}
    assert shop.journal() == before


def test_a_resumed_run_can_be_resumed_itself_also_when_the_first_one_is_gone(shop: HeldShop) -> None:
    shop.write("gate", "shut")
    shop.write("osiris.yaml", shop.read("osiris.yaml").decode().replace("keep_step_outputs: true", ""))
    failed = shop.osiris("run", "--resume", "last", check=1)
    assert "To go on from there: osiris run --resume orders/run-000002" in failed.err
    assert (shop.kept(1) / "orders.parquet").samefile(shop.kept(2) / "orders.parquet")
    shutil.rmtree(shop.kept(1).parent)
    shop.write("gate", "open")
    done = shop.osiris("run", "--resume", "last", "--json").json
    assert (statuses(done), done["run"]["resumed_from"]) == (REUSED, "run-000002")
    assert shop.read("out/total.csv") == TOTAL


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "orders.parquet").open("r+b").write(b"PAR2"), "its bytes are not those"),
        (lambda folder: (folder / "orders.parquet").unlink(), "the file is gone"),
        (lambda folder: (folder / "orders.json").unlink(), "its record is gone"),
        (lambda folder: (folder / "orders.json").write_text('{"kind"'), "its record cannot be read"),
        (lambda folder: shutil.copy(folder / "total.json", folder / "orders.json"), "its record is of something else"),
    ],
    ids=["other bytes", "no rows", "no record", "half a record", "another record"],
)
def test_a_kept_output_that_is_not_whole_is_said_and_its_step_and_those_behind_it_run_again(
    shop: HeldShop, damage: object, reason: str
) -> None:
    assert callable(damage)
    damage(shop.kept(1))
    missing = shop.osiris("run", "--resume", "last", check=1)
    assert f"orders: runs again, for its kept output cannot be reused: {reason}" in missing.err
    assert (
        "total: runs again, for its kept output cannot be reused: the step orders before it runs again" in missing.err
    )
    assert "there is no file 'data/orders.csv'" in missing.err
    assert shop.read("out/total.csv") == OLD
    shop.write("data/orders.csv", ORDERS_CSV)
    done = shop.osiris("run", "--resume", "orders/run-000001", "--json").json
    assert statuses(done) == dict.fromkeys(STEPS, "success") | {"raw": "reused"}
    assert shop.read("out/total.csv") == TOTAL
    logged = shop.run("logs", "show", "last", "--events", "--json").lines
    assert [event["step"] for event in logged if event["event"] == "step.warning"] == ["orders", "total"]


def test_what_a_step_wrote_is_written_again_where_it_does_not_stand_any_more(shop: HeldShop) -> None:
    raw = shop.read("out/raw.csv")
    shop.write("out/raw.csv", "changed by hand\n")
    done = shop.osiris("run", "--resume", "last")
    assert "raw: runs again, for its kept output cannot be reused: out/raw.csv: its bytes are not those" in done.err
    assert shop.read("out/raw.csv") == raw


def test_rows_of_every_type_come_back_as_they_were(tmp_path: Path) -> None:
    query = """
        SELECT '00501' AS zip, 170141183460469231731687303715884105727::HUGEINT AS big, INTERVAL '3' MONTH AS span,
               TIMETZ '10:00:00+02' AS clock, '0110'::BIT AS bits, 'a'::ENUM('a', 'b') AS letter,
               1.10::DECIMAL(9, 2) AS price, [1, NULL] AS list, {'x': 255::UHUGEINT} AS part,
               TIMESTAMP_MS '2026-11-21 00:40:01.123' AS ms, NULL::INTERVAL AS nothing
    """
    shop = new_held_shop(tmp_path / "shop")
    types = "SELECT *, typeof(letter) AS t, typeof(part) AS p, typeof(clock) AS a, typeof(ms) AS m FROM df_orders"
    shop.write(
        "pipelines/orders.yaml",
        json.dumps(
            {
                "oml_version": "0.1.0",
                "name": "types",
                "steps": [
                    {"id": "orders", "component": "duckdb.processor", "mode": "transform", "config": {"query": query}},
                    {"id": "held", "component": "acme.held", "mode": "transform", "config": {}},
                    {
                        "id": "total", "component": "duckdb.processor", "mode": "transform", "needs": ["held"],
                        "inputs": {"df": "${orders.df}"}, "config": {"query": types},
                    },
                    {"id": "write", "component": "filesystem.csv_writer", "mode": "write",
                     "config": {"path": "out/total.csv"}},
                ],
            }
        ),
    )  # fmt: skip
    shop.osiris("run", "orders")
    undisturbed = shop.read("out/total.csv")
    shop.fail()
    shop.write("out/total.csv", OLD)
    assert statuses(shop.osiris("run", "--resume", "last", "--json").json)["orders"] == "reused"
    assert shop.read("out/total.csv") == undisturbed


def test_a_cancelled_run_can_be_resumed_and_one_that_lives_cannot(tmp_path: Path) -> None:
    shop = new_held_shop(tmp_path / "shop")
    shop.write("gate", "wait")
    process = shop.start("run", "orders", env=environment(shop.root))
    try:
        wait_until(step_started(HeldShop(shop.root), "held"), process)
        refused = shop.osiris("run", "--resume", "last", "--json", check=2)
        assert refused.json["error"]["code"] == "resume.running"
        process.send_signal(signal.SIGINT)
        shop.end(process, 130)
    finally:
        process.kill()
        process.communicate()
    shop.let_go()
    assert statuses(shop.osiris("run", "--resume", "last", "--json").json) == REUSED
    assert shop.read("out/total.csv") == TOTAL


def import_one(shop: HeldShop) -> None:
    """A run that ended elsewhere."""
    project = open_project(shop.root, {})
    event = RunImported(
        run_id="old",
        pipeline_slug="orders",
        profile="dev",
        status="failed",
        started_at="2025-02-11T18:42:33.123456Z",
        finished_at="2025-02-11T18:45:36.000000Z",
        source="logs/old",
        run_logs_path="run_logs/orders/old",
        imported_at="2026-11-28T00:00:05.000000Z",
    )
    import_runs(project.ledger, [event])
    project.ledger.close()


@pytest.mark.parametrize(
    ("reference", "more", "code", "hint"),
    [
        ("nothing", (), "run.unknown", "osiris runs list"),
        ("old", (), "resume.imported", "Run its pipeline"),
        ("last", ("orders",), "cli.usage", "Leave it out"),
        ("last", ("--last-compile",), "cli.usage", "Leave it out"),
        ("last", ("-p", "prod"), "cli.usage", "Leave it out"),
        ("last", ("--param", "factor=3"), "cli.usage", "Leave it out"),
        ("last", ("--force-recompile",), "cli.usage", "Leave it out"),
    ],
)
def test_what_cannot_be_resumed_so_is_refused_with_a_hint_and_nothing_is_recorded(
    shop: HeldShop, reference: str, more: tuple[str, ...], code: str, hint: str
) -> None:
    import_one(shop)
    before = shop.journal()
    error = shop.osiris("run", "--resume", reference, *more, "--json", check=2).json["error"]
    assert (error["code"], hint in error["hint"]) == (code, True)
    assert shop.journal() == before


def test_a_run_that_succeeded_or_kept_nothing_is_refused_with_what_to_do(shop: HeldShop) -> None:
    shop.osiris("run", "--resume", "last")
    error = shop.osiris("run", "--resume", "last", "--json", check=2).json["error"]
    assert (error["code"], "osiris run build/" in error["hint"]) == ("resume.succeeded", True)

    shop.osiris("run", "orders", check=1)  # its source is gone, so it fails with its first step
    error = shop.osiris("run", "--resume", "last", "--json", check=2).json["error"]
    assert (error["code"], "keep_step_outputs" in error["hint"]) == ("resume.nothing_kept", False)

    shop.write("osiris.yaml", shop.read("osiris.yaml").decode().replace("keep_step_outputs: true", ""))
    shop.write("data/orders.csv", ORDERS_CSV)
    shop.write("gate", "shut")
    shop.osiris("run", "orders", check=1)
    assert not shop.kept(4).exists()
    error = shop.osiris("run", "--resume", "last", "--json", check=2).json["error"]
    assert (error["code"], "runtime.keep_step_outputs: true" in error["hint"]) == ("resume.nothing_kept", True)


@pytest.mark.parametrize("what", ["edited", "removed"])
def test_without_the_build_that_ran_there_is_no_going_on(shop: HeldShop, what: str) -> None:
    manifest = shop.root / shop.runs()[0]["build_manifest_path"]
    if what == "edited":
        config = manifest.parent / "cfg" / "total.json"
        config.write_bytes(config.read_bytes().replace(b"* 2", b"* 9"))
    else:
        shutil.rmtree(manifest.parent)
    before = shop.journal()
    error = shop.osiris("run", "--resume", "last", "--json", check=2).json["error"]
    assert error["code"] == "resume.build_changed"
    assert ("cfg/total.json was edited" if what == "edited" else "there is no such manifest") in error["message"]
    assert shop.journal() == before


def test_an_index_of_a_time_before_runs_were_resumed_is_rebuilt_by_itself(shop: HeldShop) -> None:
    index = shop.root / ".osiris" / "index"
    with sqlite3.connect(index / "counters.sqlite") as database:
        database.execute("PRAGMA user_version=2")
    lines = (index / "runs.jsonl").read_bytes()
    (index / "runs.jsonl").write_bytes(lines.replace(b',"resumed_from":""', b""))
    shop.osiris("run", "--resume", "last")
    assert [json.loads(line)["resumed_from"] for line in shop.read(".osiris/index/runs.jsonl").splitlines()] == [
        "", "run-000001"
    ]  # fmt: skip
    shop.run("index", "verify")
