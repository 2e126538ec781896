"""Every run-id token, from the command line to the folders."""

from __future__ import annotations

import re

import pytest

from tests.cli.shop import ENDLESS, ORDERS, Shop, pipeline, running, step_started

INCREMENTAL, ULID, UUID = r"run-00000\d", r"[0-9A-HJKMNP-TV-Z]{26}", r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
ISO_ULID, SNOWFLAKE = rf"\d{{8}}T\d{{6}}Z-{ULID}", r"\d{15,20}"
FORMATS = {
    "incremental": INCREMENTAL,
    "ulid": ULID,
    "iso_ulid": ISO_ULID,
    "uuidv4": UUID,
    "snowflake": SNOWFLAKE,
    "incremental,ulid": f"{INCREMENTAL}_{ULID}",
    "incremental, uuidv4": f"{INCREMENTAL}_{UUID}",
    "snowflake,incremental": f"{SNOWFLAKE}_{INCREMENTAL}",
    "iso_ulid,incremental,snowflake": f"{ISO_ULID}_{INCREMENTAL}_{SNOWFLAKE}",
}


def test_each_format_gives_its_ids_and_the_paths_bear_them_as_they_are(shop: Shop) -> None:
    commands = [("run", "orders", "--run-id-format", text, "--json") for text in FORMATS]
    runs = [result.json["run"] for result in shop.all(*commands)]
    for run, pattern in zip(runs, FORMATS.values(), strict=True):
        assert re.fullmatch(pattern, run["run_id"]), run["run_id"]
        assert run["aiop_path"].endswith("/" + run["run_id"])
        assert f"_{run['run_id']}-{run['manifest_short']}" in run["run_logs_path"]
        assert (shop.root / run["run_logs_path"] / "status.json").is_file()
        assert (shop.root / run["aiop_path"] / "summary.json").is_file()
    assert {run["run_id"] for run in shop.runs()} == {run["run_id"] for run in runs}
    started = [event["number"] for event in shop.journal() if event["type"] == "run.started"]
    assert started == list(range(1, len(FORMATS) + 1))
    shop.run("index", "verify")


def test_the_format_comes_from_the_flag_then_the_environment_then_the_configuration(shop: Shop) -> None:
    shop.write("osiris.yaml", "ids: {run_id_format: snowflake}\n")
    env = {"OSIRIS_RUN_ID_FORMAT": "uuidv4"}
    found = [
        shop.run("run", "orders", "--json").json["run"]["run_id"],
        shop.run("run", "orders", "--json", env=env).json["run"]["run_id"],
        shop.run("run", "orders", "--json", "--run-id-format", "ulid", env=env).json["run"]["run_id"],
    ]
    for run_id, pattern in zip(found, (SNOWFLAKE, UUID, ULID), strict=True):
        assert re.fullmatch(pattern, run_id)


def test_an_empty_format_means_iso_ulid(shop: Shop) -> None:
    shop.write("osiris.yaml", 'ids: {run_id_format: ""}\n')
    assert re.fullmatch(ISO_ULID, shop.run("run", "orders", "--json").json["run"]["run_id"])


@pytest.fixture
def counting(shop: Shop) -> Shop:
    """Two pipelines whose runs are only counted, so that both have a run-000001."""
    shop.write("osiris.yaml", "ids: {run_id_format: incremental}\n")
    shop.write("pipelines/other.yaml", ORDERS.replace("by_customer", "other"))
    return shop


def test_runs_of_two_pipelines_may_have_one_id_and_each_can_be_seen(counting: Shop) -> None:
    counting.run("run", "orders")
    other = counting.run("run", "other", "--json").json["run"]
    assert (other["run_id"], other["pipeline_slug"]) == ("run-000001", "other")
    assert [run["pipeline_slug"] for run in counting.runs()] == ["other", "orders"]
    events = counting.run("events", "--run", "other/run-000001", "--json").lines
    assert [(line["event"]["type"], line["event"]["pipeline_slug"]) for line in events] == [
        ("run.started", "other"),
        ("run.finished", "other"),
    ]
    counting.run("index", "verify")


def test_runs_of_two_pipelines_with_one_id_at_the_same_time_are_not_taken_for_each_other(counting: Shop) -> None:
    counting.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(counting, "run", "orders", reached=step_started(counting, "write")) as process:
        counting.run("run", "other", check=None)
        process.kill()
    found = [(run["pipeline_slug"], run["status"]) for run in counting.runs()]
    assert sorted(found) == [("orders", "interrupted"), ("other", "success")]
