"""The pack of a run that was killed: made by the next command that writes, before it records the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from typing import Any

import msgspec
import pytest

from bench.long_histories import STARTED
from osiris.project import open_project
from osiris.runner.interrupted import pack_interrupted
from tests.cli.shop import ENDLESS, ORDERS, Shop, environment, pipeline, running, step_started
from tests.cli.test_packs import pack

TWO_STAGES = """\
oml_version: "0.1.0"
name: orders
steps:
  - {id: orders, component: filesystem.csv_extractor, mode: read, config: {path: data/orders.csv}}
  - {id: copy, component: filesystem.csv_writer, mode: write, inputs: {df: "${orders.df}"}, config: {path: out/c.csv}}
  - id: never
    component: duckdb.processor
    mode: transform
    needs: [copy]
    inputs: {df: "${orders.df}"}
    config: {query: "ENDLESS"}
  - {id: write, component: filesystem.csv_writer, mode: write, inputs: {df: "${never.df}"}, config: {path: out/n.csv}}
"""


def kill_one(shop: Shop, source: str = "") -> dict[str, Any]:
    """A run that was killed while its query ran: its record, before anybody has recorded its end."""
    shop.write("pipelines/orders.yaml", source or pipeline(ENDLESS))
    with running(shop, "run", "orders", reached=step_started(shop, "write")) as process:
        process.kill()
    record = shop.runs()[0]
    assert (record["status"], record["seq"]) == ("interrupted", 0)
    return record


def test_the_next_command_that_writes_makes_the_pack_and_reading_ones_do_not(used: Shop) -> None:
    killed = kill_one(used)
    folder = used.root / killed["aiop_path"]
    for reading in (("runs", "list"), ("runs", "show", "last"), ("aiop", "list"), ("index", "verify"), ("events",)):
        assert used.run(*reading).err == ""
    error = used.run("aiop", "show", "last", "--json", check=2).json["error"]
    assert (error["code"], "not written yet" in error["message"]) == ("aiop.missing", True)
    assert not folder.exists()

    assert used.run("pipelines", "tag", "orders", "--add", "billing").err == ""
    recorded = used.runs()[0]
    summary, card = pack(used, recorded)
    assert (summary["status"], summary["duration_ms"], summary["rows_in"]) == ("interrupted", None, None)
    assert summary["completed_at"] == recorded["finished_at"]
    assert summary["error"] == recorded["error"]
    assert [step["status"] for step in summary["steps"]] == ["interrupted"] * 3
    assert card.startswith("# orders: interrupted\n")
    assert "Running when it ended: `orders`, `by-customer` and `write`." in card
    status = json.loads(used.read(recorded["run_logs_path"] + "/status.json"))
    assert (status["status"], status["finished_at"]) == ("interrupted", recorded["finished_at"])
    assert not [left for left in used.leftovers() if left.startswith(("aiop/", "run_logs/"))]
    used.run("index", "verify")


def test_steps_that_had_finished_are_told_with_their_rows_and_those_that_never_began_as_skipped(used: Shop) -> None:
    used.write("pipelines/orders.yaml", TWO_STAGES.replace("ENDLESS", ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "never")) as process:
        process.kill()
    used.run("pipelines", "tag", "orders", "--add", "billing")
    summary, card = pack(used, used.runs()[0])
    steps = {step["id"]: step for step in summary["steps"]}
    assert {name: step["status"] for name, step in steps.items()} | {"write": ""} == {
        "orders": "success",
        "copy": "success",
        "never": "interrupted",
        "write": "",
    }
    assert (steps["orders"]["rows_out"], steps["copy"]["rows_out"], steps["never"]["duration_ms"]) == (3, 3, None)
    assert steps["write"]["status"] in ("interrupted", "skipped")
    assert "wrote 3 rows [step.copy.rows_out]" in card
    assert "The output of `copy` was put in place before the run ended." in card


@pytest.mark.parametrize("lost", ["run folder", "manifest", "everything", "log is rubbish"])
def test_what_is_lost_of_a_killed_run_does_not_keep_its_end_from_being_recorded(used: Shop, lost: str) -> None:
    killed = kill_one(used)
    folder = used.root / killed["run_logs_path"]
    if lost in ("run folder", "everything"):
        shutil.rmtree(folder)
    if lost in ("manifest", "everything"):
        shutil.rmtree((used.root / killed["build_manifest_path"]).parent)
    if lost == "manifest":
        (folder / "manifest.yaml").write_text("steps: [")
    if lost == "log is rubbish":
        (folder / "events.jsonl").write_bytes(b"\0" * 5000 + b"\n{}\n" + os.urandom(3000))
    used.run("pipelines", "tag", "orders", "--add", "billing")
    assert used.types().count("run.interrupted") == 1
    summary, card = pack(used, used.runs()[0])
    assert (summary["run_id"], summary["status"]) == (killed["run_id"], "interrupted")
    if lost == "everything":
        assert summary["steps"] == []
        assert "Its manifest is gone" in card
        assert not folder.exists()
    if lost == "manifest":
        assert [step["component"] for step in summary["steps"]] == ["", "", ""]
    assert (summary["delta"]["manifest"] is None) is (lost in ("manifest", "everything"))


def test_a_pack_that_the_dead_run_had_finished_itself_gives_way_to_what_the_ledger_says(used: Shop) -> None:
    killed = kill_one(used)
    folder = used.root / killed["aiop_path"]
    earlier = used.runs()[1]
    shutil.copytree(used.root / earlier["aiop_path"], folder)
    summary = used.read(killed["aiop_path"] + "/summary.json")
    renamed = summary.decode().replace(earlier["run_id"], killed["run_id"])
    used.write(killed["aiop_path"] + "/summary.json", renamed)
    begun = folder.with_name(f".{folder.name}.0123456789abcdef.tmp")
    begun.mkdir()
    used.run("pipelines", "tag", "orders", "--add", "billing")
    assert pack(used, used.runs()[0])[0]["status"] == "interrupted"
    assert not begun.exists()


def test_a_pack_that_another_command_made_before_it_died_stays_and_so_does_its_time(used: Shop) -> None:
    killed = kill_one(used)
    project = open_project(used.root, {})
    project.ledger.before_interruption = partial(pack_interrupted, project)
    with pytest.raises(KeyboardInterrupt), project.ledger.transaction():
        raise KeyboardInterrupt
    project.ledger.close()
    assert "run.interrupted" not in used.types()
    before = used.read(killed["aiop_path"] + "/summary.json")
    used.run("pipelines", "tag", "orders", "--add", "billing")
    assert used.read(killed["aiop_path"] + "/summary.json") == before
    assert used.runs()[0]["finished_at"] == json.loads(before)["completed_at"]


def test_commands_that_notice_it_at_the_same_time_make_one_pack_and_record_one_end(used: Shop) -> None:
    killed = kill_one(used)
    used.write("pipelines/orders.yaml", ORDERS)
    used.all(*[("pipelines", "tag", "orders", "--add", f"tag{number}") for number in range(4)], ("run", "orders"))
    assert used.types().count("run.interrupted") == 1
    recorded = next(run for run in used.runs() if run["run_id"] == killed["run_id"])
    assert pack(used, recorded)[0]["completed_at"] == recorded["finished_at"]
    assert [path.name for path in (used.root / killed["aiop_path"]).parent.iterdir()] == [killed["run_id"]]


def test_a_disk_that_does_not_take_the_pack_is_a_warning_and_the_end_is_recorded(used: Shop) -> None:
    killed = kill_one(used)
    shutil.rmtree(used.root / "aiop")
    used.write("aiop", "not a folder")
    result = used.run("pipelines", "tag", "orders", "--add", "billing")
    [warning] = result.err.splitlines()
    assert warning.startswith(f"warning: the interrupted run {killed['run_id']} has no pack: ")
    assert used.types().count("run.interrupted") == 1
    error = used.run("aiop", "show", "last", "--json", check=2).json["error"]
    assert (error["code"], "could not be written" in error["hint"]) == ("aiop.missing", True)


def test_a_command_loads_what_makes_a_pack_only_where_a_run_was_killed(used: Shop) -> None:
    call = "m.cli.main(['pipelines', 'tag', 'orders', '--add', sys.argv[1]], standalone_mode=False)"
    names = "[name for name in sys.modules if name.startswith('osiris.runner') or name == 'duckdb']"
    script = f"import sys, osiris.cli.main as m; {call}; print({names}, file=sys.stderr)"

    def loaded(tag: str) -> str:
        command = [sys.executable, "-c", script, tag]
        done = subprocess.run(command, cwd=used.root, env=environment(), capture_output=True, text=True, check=True)
        return done.stderr

    assert loaded("one") == "[]\n"
    kill_one(used)
    assert "osiris.runner.interrupted" in loaded("two")
    assert used.types().count("run.interrupted") == 1


def claim(shop: Shop, *, aiop_path: str, run_logs_path: str = "run_logs/orders/claimed") -> None:
    """A dead run in the journal whose folders are where somebody wants them to be."""
    project = open_project(shop.root, {})
    claimed = msgspec.structs.replace(STARTED, run_id="claimed", number=99, pipeline_slug="orders")
    project.ledger.record(msgspec.structs.replace(claimed, aiop_path=aiop_path, run_logs_path=run_logs_path))
    project.ledger.close()


@pytest.mark.parametrize("place", ["../letters", "pipelines", "aiop", "aiop/../pipelines", "absolute"])
def test_a_pack_of_a_killed_run_goes_nowhere_but_below_its_root_whatever_the_journal_says(
    used: Shop, place: str
) -> None:
    letters = used.root.parent / "letters"
    letters.mkdir()
    (letters / "dear.txt").write_text("dear")
    before = {path for path in used.root.parent.rglob("*") if ".osiris" not in path.parts}
    claim(used, aiop_path=str(letters) if place == "absolute" else place)
    result = used.run("pipelines", "tag", "orders", "--add", "billing")
    assert "the interrupted run claimed has no pack" in result.err
    assert {path for path in used.root.parent.rglob("*") if ".osiris" not in path.parts} == before
    assert used.types().count("run.interrupted") == 1
    used.run("index", "verify")


@pytest.mark.parametrize("what", ["another run's pack", "all packs of the pipeline", "a folder of somebody's"])
def test_what_stands_in_the_place_of_a_killed_runs_pack_is_left_alone(used: Shop, what: str) -> None:
    place = used.runs()[0]["aiop_path"]
    if what == "all packs of the pipeline":
        place = place.rpartition("/")[0]
    if what == "a folder of somebody's":
        place = "aiop/notes"
        used.write("aiop/notes/dear.txt", "dear")
    before = {path: path.is_file() and path.read_bytes() for path in (used.root / "aiop").rglob("*")}
    claim(used, aiop_path=place)
    assert "is not its pack" in used.run("pipelines", "tag", "orders", "--add", "billing").err
    assert {path: path.is_file() and path.read_bytes() for path in (used.root / "aiop").rglob("*")} == before
    assert used.types().count("run.interrupted") == 1
