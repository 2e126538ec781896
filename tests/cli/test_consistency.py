"""What one verb does, the others do as well: names of runs and profiles, folders that are given, what a row says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.shop import ORDERS, OSIRIS, Shop, pipeline


@pytest.mark.parametrize("verb", ["runs", "logs", "aiop"])
def test_every_list_refuses_a_profile_that_nobody_knows(used: Shop, verb: str) -> None:
    error = used.run(verb, "list", "-p", "prd", "--json", check=2).json["error"]
    assert (error["code"], error["hint"]) == ("profile.unknown", "Did you mean 'prod'?")


@pytest.mark.parametrize("verb", ["runs list", "logs list", "aiop list", "pipelines list", "events"])
def test_a_list_of_nothing_is_nothing_in_a_pipe_and_a_sentence_on_a_terminal(shop: Shop, verb: str) -> None:
    assert shop.run(*verb.split()).out == ""
    shown = shop.on_terminal(*verb.split())
    assert verb == "events" or shown.strip().startswith("No ")


@pytest.mark.parametrize("verb", ["runs", "logs", "aiop"])
def test_every_list_of_runs_fits_the_terminal_and_names_them_alike(used: Shop, verb: str) -> None:
    lines = used.on_terminal(verb, "list", columns=60).splitlines()
    assert max(map(len, lines)) < 60
    assert lines[-1].startswith("orders/run-000001 ")


def test_the_last_run_of_one_pipeline_has_a_name(used: Shop) -> None:
    used.write("pipelines/other.yaml", ORDERS.replace("by_customer", "other"))
    used.run("run", "other")
    assert used.run("runs", "show", "last", "--json").json["run"]["pipeline_slug"] == "other"
    for args in (("runs", "show"), ("logs", "show"), ("aiop", "show")):
        document = used.run(*args, "orders/last", "--json").json
        assert document.get("run", document)["pipeline_slug"] == "orders"
    used.write("pipelines/new.yaml", ORDERS.replace("by_customer", "new"))
    used.run("compile", "new")
    assert used.run("runs", "show", "new/last", "--json", check=2).json["error"]["code"] == "run.none"
    assert used.run("runs", "show", "nwe/last", "--json", check=2).json["error"]["code"] == "pipeline.unknown"


def test_a_list_of_pipelines_has_the_newest_run_of_each_profile(used: Shop) -> None:
    used.run("run", "orders", "-p", "prod")
    used.write("pipelines/orders.yaml", pipeline("SELECT nothing FROM df_orders"))
    used.run("run", "orders", check=1)
    used.run("run", "orders", "-p", "prod", check=1)
    used.write("pipelines/orders.yaml", ORDERS)
    used.run("run", "orders", "-p", "prod")
    rows = [line.split("\t") for line in used.run("pipelines", "list").out.splitlines()[1:]]
    assert {row[1]: row[5] for row in rows} == {"dev": "failed", "prod": "success"}
    listed = used.run("pipelines", "list", "--json").json["pipelines"]["orders"]
    assert listed["last_run"] == listed["last_runs"]["prod"]
    assert listed["last_runs"]["dev"]["status"] == "failed"


def test_a_copy_of_a_build_replaces_an_earlier_copy_whole_and_nothing_else(used: Shop) -> None:
    used.run("compile", "orders", "--out", "dist")
    used.write("pipelines/orders.yaml", ORDERS.replace("by-customer", "by-name"))
    build = used.run("compile", "orders", "--out", "dist", "--json").json["build_path"]
    copied = {path.relative_to(used.root / "dist") for path in (used.root / "dist").rglob("*")}
    assert copied == {path.relative_to(used.root / build) for path in (used.root / build).rglob("*")}
    before = used.types()
    for folder in ("pipelines", "build", build):
        refused = used.run("compile", "orders", "--out", folder, "--json", check=2)
        assert refused.json["error"]["code"] == "compile.foreign_folder"
    assert [path.name for path in (used.root / "pipelines").iterdir()] == ["orders.yaml"]
    assert used.types() == before, "refused before anything was recorded"
    used.run("run", f"{build}/manifest.yaml")


def test_a_head_that_is_not_there_is_told_without_the_words_of_python(used: Shop) -> None:
    error = used.run("index", "verify", "--against", "head.json", "--json", check=2).json["error"]
    assert error["message"] == "could not read head.json: No such file or directory"
    used.write("head.json", json.dumps(used.run("index", "head", "--json").json))
    used.run("index", "verify", "--against", "head.json")


def test_a_step_that_never_began_took_no_time(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT nothing FROM df_orders"))
    shown = used.run("run", "orders", check=1).out.splitlines()
    [skipped] = [line.split() for line in shown if "skipped" in line]
    assert skipped == ["write", "skipped", "-", "-", "-"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk that needs no disk")
@pytest.mark.parametrize("typed", ["--help", "--version", "runs list --help", "runs list"])
def test_a_full_standard_output_is_no_bug(used: Shop, typed: str) -> None:
    with Path("/dev/full").open("w") as full:
        command = [str(OSIRIS), *typed.split()]
        done = subprocess.run(command, cwd=used.root, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 7
    assert done.stderr.startswith("error: could not write to standard output: No space left on device\nTry: ")
