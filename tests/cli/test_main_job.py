"""From an empty folder to a rebuilt index, through the real command line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.cli.shop import BY_CUSTOMER, ORDERS, Shop, pipeline
from tests.histories import text_files


def test_the_example_compiles_runs_and_can_be_looked_at_from_every_side(tmp_path: Path) -> None:
    outside, shop = Shop(tmp_path), Shop(tmp_path / "demo")
    made = outside.run("init", "demo", "--example")
    assert "osiris run pipelines/daylight.yaml" in made.out

    compiled = shop.run("compile", "pipelines/daylight.yaml")
    assert re.search(
        r"^compiled  daylight\n  build     build/pipelines/dev/daylight/\S+\n  hash      \w{64}\n", compiled.out
    )
    ran = shop.run("run", "daylight")
    assert "is up to date" in ran.err
    slug, run_id = ran.out.split()[0].split("/")
    assert (shop.root / "out" / "daylight_by_city.csv").is_file()

    listed = shop.run("runs", "list").out.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["run", run_id]
    shown = shop.run("runs", "show", "last").out
    assert shown.splitlines()[0] == f"{slug}/{run_id}  success"
    assert shop.run("runs", "show", f"{slug}/{run_id}").out == shown
    assert "39,636 read, 168 written" in shown
    assert shop.run("pipelines", "tag", "daylight", "--add", "sun").out == "daylight: sun\n"
    assert "run.finished" in shop.run("events").out
    assert shop.run("index", "verify").out.startswith("ok  ")
    head = shop.run("index", "head").out
    assert head.startswith('{"seq":4,"hash":"')
    assert shop.run("index", "rebuild").out.startswith("rebuilt ")
    (tmp_path / "head.json").write_text(head)
    assert "extends" in shop.run("index", "verify", "--against", tmp_path / "head.json").out


def test_new_runs_inherit_the_tags_of_their_pipeline_and_keep_their_own(used: Shop) -> None:
    used.run("pipelines", "tag", "orders", "--add", "billing", "--add", "ml")
    used.run("run", "orders", "--tags", "urgent,billing")
    used.run("pipelines", "tag", "orders", "--remove", "billing")
    used.run("run", "orders")
    assert [run["tags"] for run in used.runs()] == [["ml"], ["billing", "ml", "urgent"], []]


def test_a_tag_that_changes_nothing_records_nothing(used: Shop) -> None:
    used.run("pipelines", "tag", "orders", "--add", "billing")
    before = used.types()
    used.run("pipelines", "tag", "orders", "--add", "billing", "--remove", "never-there")
    assert used.types() == before


def test_a_second_run_reuses_the_build_and_records_no_second_compile(used: Shop) -> None:
    assert "is up to date" in used.run("run", "orders").err
    assert used.types() == ["pipeline.compiled", *["run.started", "run.finished"] * 2]


def test_compile_and_force_recompile_are_recorded_each_time_they_are_asked_for(used: Shop) -> None:
    assert used.run("compile", "orders").out.startswith("unchanged  orders\n")
    used.run("run", "orders", "--force-recompile")
    assert used.types().count("pipeline.compiled") == 3


def test_a_changed_pipeline_is_compiled_again_and_the_old_build_stays(used: Shop) -> None:
    [old] = used.root.glob("build/pipelines/dev/orders/*")
    used.write("pipelines/orders.yaml", pipeline("SELECT customer FROM df_orders ORDER BY 1"))
    assert "compiled" in used.run("run", "orders").err
    assert used.read("out/by_customer.csv") == b"customer\nAda\nAda\nGrace\n"
    used.write("pipelines/orders.yaml", ORDERS)
    assert "is up to date" in used.run("run", "orders").err
    assert used.read("out/by_customer.csv") == BY_CUSTOMER
    assert len(list(used.root.glob("build/pipelines/dev/orders/*"))) == 2
    assert old.is_dir()


def test_going_back_to_an_older_build_moves_the_pointer_back_to_it(used: Shop) -> None:
    first = used.read(".osiris/index/latest/orders.txt")
    used.run("run", "orders", "--param", "minimum=5")
    assert used.read(".osiris/index/latest/orders.txt") != first
    used.run("run", "orders")
    assert used.read(".osiris/index/latest/orders.txt") == first
    assert used.run("run", "--last-compile", "--json").json["run"]["rows_out"] == 2


def test_a_dry_run_shows_the_plan_and_changes_nothing(shop: Shop) -> None:
    before = sorted(shop.root.rglob("*"))
    plan = shop.run("run", "orders", "--dry-run").out
    assert "would be compiled" in plan
    assert "orders -> by-customer" in plan
    assert sorted(shop.root.rglob("*")) == before


def test_a_deleted_index_comes_back_byte_for_byte_with_all_that_ever_happened(used: Shop) -> None:
    used.run("pipelines", "tag", "orders", "--add", "billing")
    used.run("run", "orders", "-p", "prod", "--tags", "ml")
    (used.root / "data" / "orders.csv").unlink()
    used.run("run", "orders", check=1)
    index = used.root / ".osiris" / "index"
    before = text_files(index)
    assert {"runs.jsonl", "by_pipeline/orders.jsonl", "latest/prod/orders.txt", "pipelines.json"} <= before.keys()

    shutil.rmtree(index)
    used.run("index", "rebuild")
    assert text_files(index) == before
    shutil.rmtree(index)
    assert [run["status"] for run in used.runs()] == ["failed", "success", "success"]  # which brings it back as well
    assert text_files(index) == before
    assert used.run("index", "verify", "--json").json["result"] == "ok"


def test_an_edited_index_is_noticed_by_verify_and_mended_by_rebuild(used: Shop) -> None:
    runs = used.root / ".osiris" / "index" / "runs.jsonl"
    whole = runs.read_bytes()
    runs.write_bytes(whole.replace(b'"status":"success"', b'"status":"failed_"'))
    found = used.run("index", "verify", check=3).out
    assert "runs.jsonl:1" in found
    assert "Try: osiris index rebuild" in found
    used.run("index", "rebuild")
    assert runs.read_bytes() == whole
    used.run("index", "verify")


def test_an_edited_journal_is_corrupt_and_the_index_is_not_rebuilt_from_it(used: Shop) -> None:
    [segment] = (used.root / ".osiris" / "journal").glob("*.ndjson")
    segment.write_bytes(segment.read_bytes().replace(b'"pipeline_slug":"orders"', b'"pipeline_slug":"orderz"', 1))
    index, journal = text_files(used.root / ".osiris" / "index"), segment.read_bytes()
    for command in (("index", "verify"), ("index", "rebuild")):
        error = used.run(*command, "--json", check=5).json["error"]
        assert segment.name in error["path"] + error["message"]
    assert text_files(used.root / ".osiris" / "index") == index
    assert segment.read_bytes() == journal


def test_a_journal_that_was_rolled_back_is_refused_by_those_who_write(used: Shop) -> None:
    [segment] = (used.root / ".osiris" / "journal").glob("*.ndjson")
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:-1]))
    journal = segment.read_bytes()
    for command in (("run", "orders"), ("compile", "orders"), ("pipelines", "tag", "orders", "--add", "x")):
        assert len(used.run(*command, check=5).err.splitlines()) == 2
    used.run("index", "verify", check=5)
    assert segment.read_bytes() == journal
