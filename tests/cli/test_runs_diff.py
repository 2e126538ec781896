"""``osiris runs diff``: what changed between two runs, and nothing else."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.cli.shop import ORDERS, Shop, pipeline
from tests.cli.test_events import opened
from tests.histories import begin, end


def diff(shop: Shop, *args: str) -> dict[str, Any]:
    document: dict[str, Any] = shop.run("runs", "diff", *args, "--json").json
    return document


def lines(shop: Shop, *args: str) -> dict[str, list[str]]:
    """The rows of the plain table by what they are of."""
    rows = [line.split("\t") for line in shop.run("runs", "diff", *args).out.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_a_param_changes_the_config_it_stands_in_and_the_rows_of_the_steps_behind(used: Shop) -> None:
    used.run("run", "orders", "--param", "minimum=5", "--tags", "ml")
    found = diff(used, "last")
    assert found["manifest"]["params"] == {"minimum": [0.0, 5.0]}
    assert found["manifest"]["steps_changed"] == [{"id": "by-customer", "keys": ["config.query"]}]
    before, after = found["step_values"]["by-customer"]["config.query"]
    assert (before.count("amount >= 0.0"), after.count("amount >= 5.0")) == (1, 1)
    assert found["record"]["tags"] == [[], ["ml"]]
    assert "status" not in found["record"]
    assert not {"run_id", "started_at", "run_logs_path", "seq"} & found["record"].keys()
    rows = lines(used, "last")
    assert rows["param minimum"] == ["0.0", "5.0", ""]
    assert rows["tags"] == ["", "ml", "+ml"]
    assert [json.loads(cell) for cell in rows["by-customer: query"][:2]] == [before, after]


def test_rows_and_durations_come_with_their_change_in_percent(used: Shop) -> None:
    used.run("run", "orders", "--param", "minimum=10")  # one order of three is left, of one customer
    rows = lines(used, "last")
    assert rows["rows out"] == ["2", "1", "-50.0 %"]
    assert rows["write: rows out"] == ["2", "1", "-50.0 %"]
    assert "rows in" not in rows, "three were read by both"
    steps = {step["id"]: step for step in diff(used, "last")["steps"]}
    assert steps["write"]["rows_out"] == [2, 1]
    assert steps["orders"]["rows_out"] == [3, 3]


def test_steps_that_come_and_go_are_named(used: Shop) -> None:
    copy = "{id: copy, component: filesystem.csv_writer, mode: write, needs: [orders], config: {path: out/copy.csv}}"
    used.write("pipelines/orders.yaml", ORDERS.replace("id: write", "id: store") + f"  - {copy}\n")
    used.run("run", "orders")
    found = diff(used, "last")["manifest"]
    assert (sorted(found["steps_added"]), found["steps_removed"]) == (["copy", "store"], ["write"])
    rows = lines(used, "last")
    assert (rows["step store"], rows["step write"]) == (["", "added", ""], ["", "removed", ""])


def test_a_failure_is_a_change_of_status_with_its_error(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT nothing FROM df_orders"))
    used.run("run", "orders", check=1)
    found = diff(used, "last")
    assert found["record"]["status"] == ["success", "failed"]
    assert found["record"]["error"][0] is None
    assert found["record"]["error"][1]["step"] == "by-customer"
    rows = lines(used, "last")
    assert rows["status"] == ["success", "failed", ""]
    assert rows["error"][1].startswith("transform.")
    assert rows["by-customer: status"] == ["success", "failed", ""]


def test_two_runs_of_one_build_differ_in_nothing_but_their_time(used: Shop) -> None:
    used.run("run", "orders")
    found = diff(used, "last")
    assert found["record"].keys() <= {"duration_ms"}
    assert found["manifest"]["steps_changed"] == []
    assert found["step_values"] == {}
    assert found["not_compared"] == []
    same = diff(used, "last", "last")
    assert same["record"] == {}


def test_one_run_is_compared_with_the_one_before_it_of_its_pipeline_and_profile(used: Shop) -> None:
    used.write("pipelines/other.yaml", ORDERS)
    used.run("run", "orders", "-p", "prod")
    used.run("run", "other")
    used.run("run", "orders")
    found = diff(used, "last")
    pair = [(found[side]["pipeline_slug"], found[side]["profile"], found[side]["run_id"][:10]) for side in SIDES]
    assert pair == [("orders", "dev", "run-000001"), ("orders", "dev", "run-000003")]
    for first in ("other/run-000001", "orders/run-000002", "orders/run-000001"):
        error = used.run("runs", "diff", first, "--json", check=2).json["error"]
        assert error["code"] == "run.first"


SIDES = ("before", "after")


def test_the_run_before_is_the_one_that_started_before_however_long_others_took(shop: Shop) -> None:
    with opened(shop) as ledger:
        started = [begin(ledger) for _ in range(4)]
        for which in (1, 0, 2):  # the first one to start ended after the second
            end(ledger, started[which])
        names = [run.started.run_id for run in started]

        def before(number: int) -> Any:
            return diff(shop, names[number])["before"]["run_id"]

        assert [before(number) for number in (1, 2, 3)] == names[:3]
        end(ledger, started[3])
        assert [before(number) for number in (1, 2, 3)] == names[:3]


def test_profiles_and_pipelines_can_be_compared_as_well(used: Shop) -> None:
    used.run("run", "orders", "-p", "prod")
    found = diff(used, "orders/run-000001", "orders/run-000002")
    assert found["record"]["profile"] == ["dev", "prod"]
    assert "payload_digest" not in found["record"], "the same but for the profile"
    assert found["manifest"]["other"] == ["profile"]


def test_what_is_gone_on_one_side_is_said_and_the_rest_is_compared(used: Shop) -> None:
    used.run("run", "orders", "--param", "minimum=5")
    newest, oldest = used.runs()
    shutil.rmtree((used.root / oldest["build_manifest_path"]).parent)
    found = diff(used, "last")
    assert found["manifest"]["steps_changed"] == [{"id": "by-customer", "keys": ["config"]}]
    assert [sentence.split(":")[0] for sentence in found["not_compared"]] == [
        f"the build of orders/{oldest['run_id']} is gone"
    ]
    shutil.rmtree(used.root / oldest["run_logs_path"])
    shutil.rmtree(used.root / newest["aiop_path"])
    found = diff(used, "last")
    assert (found["manifest"], found["step_values"], found["steps"]) == (None, {}, [])
    assert len(found["not_compared"]) == 2
    assert found["record"].keys() >= {"manifest_hash"}
    assert "not compared: " in used.run("runs", "diff", "last").out


def test_a_build_that_is_another_by_now_is_not_taken_for_the_runs(used: Shop) -> None:
    used.run("run", "orders", "--param", "minimum=5")
    newest, oldest = used.runs()
    shutil.copy(used.root / newest["build_manifest_path"], used.root / oldest["build_manifest_path"])
    shutil.copy(used.root / newest["build_manifest_path"], used.root / oldest["run_logs_path"] / "manifest.yaml")
    assert diff(used, "last")["manifest"] is None


@pytest.mark.parametrize("key", ["password", "nested"])
def test_values_under_a_secrets_name_are_masked(used: Shop, key: str) -> None:
    """Compilers refuse such a literal; a build that was written by hand may hold one."""
    used.run("run", "orders", "--param", "minimum=5")
    for number, record in enumerate(used.runs()):
        folder = (used.root / record["build_manifest_path"]).parent
        config = json.loads((folder / "cfg/by-customer.json").read_text())
        config[key] = {"api_token": [f"hunter{number}"]} if key == "nested" else f"hunter{number}"
        config["dsn_like"] = f"postgres://ada:hunter{number}@db/shop"
        (folder / "cfg/by-customer.json").write_text(json.dumps(config))
    found = used.run("runs", "diff", "last", "--json").out + used.run("runs", "diff", "last").out
    assert f"config.{key}" in found
    assert "hunter" not in found
    assert "postgres://ada:***@db/shop" in found


def test_on_a_terminal_a_long_query_is_compared_line_by_line(used: Shop) -> None:
    used.run("run", "orders", "--param", "minimum=5")
    screen = used.on_terminal("runs", "diff", "last", columns=80)
    assert "- FROM df_orders WHERE amount >= 0.0 GROUP BY ALL ORDER BY customer" in screen
    assert "+ FROM df_orders WHERE amount >= 5.0 GROUP BY ALL ORDER BY customer" in screen
    assert "SELECT customer, sum(amount) AS total" in screen
    assert "same: pipeline, profile, status" in screen
    assert max(map(len, screen.splitlines())) < 80
