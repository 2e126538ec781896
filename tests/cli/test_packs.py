"""What a run leaves for whoever reads about it first: summary, card and annex."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from tests.cli.shop import ENDLESS, ORDERS, ORDERS_CSV, Shop, pipeline, running, step_started

FIRST_FIELDS = [
    "run_id",
    "pipeline_slug",
    "profile",
    "manifest_hash",
    "manifest_short",
    "started_at",
    "completed_at",
    "status",
    "rows_in",
    "rows_out",
    "duration_ms",
    "tags",
]
THEN = ["error", "steps", "delta", "evidence", "artifacts", "annex", "resumed_from"]
# A value with the id of its evidence: `1,234 rows [run.rows_in]`, `1,234 [run.error_line]`, or a time or a code.
CITED = re.compile(r"(\S+)(?: (?:[a-z]+))? \[([a-z]+\.[A-Za-z0-9_.-]+)\]")


def pack(shop: Shop, record: dict[str, Any]) -> tuple[dict[str, Any], str]:
    folder = shop.root / record["aiop_path"]
    summary = json.loads((folder / "summary.json").read_bytes())
    card = (folder / "run-card.md").read_text("utf-8")
    check_citations(summary["evidence"], card)
    return summary, card


def check_citations(evidence: dict[str, Any], card: str) -> None:
    """Every id in the card is one of the evidence, and what stands before it is its value."""
    assert len(re.findall(r"\[[a-z]+\.", card)) == len(CITED.findall(card)) > 0
    for value, cited in CITED.findall(card):
        expected = evidence[cited]
        assert value.strip("`") == (f"{expected:,}" if isinstance(expected, int) else expected), cited


def annex(shop: Shop, record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    lines = shop.read(f"{record['aiop_path']}/annex/{name}.ndjson").splitlines()
    return [json.loads(line) for line in lines]


def test_a_successful_run_has_a_summary_in_the_order_of_the_contract_and_a_card(used: Shop) -> None:
    used.write("pipelines/orders.yaml", ORDERS + "metadata: {intent: Totals for the board.}\n")
    record = used.run("run", "orders", "--tags", "ml,billing", "--json").json["run"]
    summary, card = pack(used, record)
    assert list(summary) == [*FIRST_FIELDS, *THEN]
    assert {name: summary[name] for name in FIRST_FIELDS if name in record} == {
        name: record[name] for name in FIRST_FIELDS if name in record
    }
    assert (summary["rows_in"], summary["rows_out"], summary["tags"]) == (3, 2, ["billing", "ml"])
    [artifact] = summary["artifacts"]
    assert (artifact["path"], artifact["bytes"]) == ("out/by_customer.csv", len(used.read("out/by_customer.csv")))
    assert card.startswith("# orders: success\n\n**Intent:** Totals for the board.\n")
    assert "read 3 rows [run.rows_in], wrote 2 rows [run.rows_out]" in card
    assert "took 3 rows [step.by-customer.rows_in], gave 2 rows [step.by-customer.rows_out]" in card
    assert f"{artifact['bytes']} bytes [artifact.1.bytes]" in card


def test_the_card_of_a_failed_run_names_the_step_the_line_and_the_likely_cause(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT\n  amont\nFROM df_orders"))
    summary, card = pack(used, used.run("run", "orders", "--json", check=1).json["run"])
    assert (summary["status"], summary["error"]["step"]) == ("failed", "by-customer")
    place = "line 2 [run.error_line], column 3 [run.error_column] of its query"
    assert f"`transform.sql_binding` [run.error] in step `by-customer`, {place}" in card
    assert "amont" in card.split("```")[1]
    assert "- Step `by-customer` changed since the last successful run: its query." in card
    assert f"What to do: {summary['error']['hint']}" in card
    assert summary["artifacts"] == []
    assert summary["delta"]["last_attempt"]["status"] == "success"
    second = pack(used, used.run("run", "orders", "--json", check=1).json["run"])
    assert f"The run before this one, `{summary['run_id']}`, ended with the same `transform.sql_binding`" in second[1]
    attempt = {"run_id": summary["run_id"], "status": "failed", "error_code": "transform.sql_binding"}
    assert second[0]["delta"]["last_attempt"] == {**attempt, "error_step": "by-customer"}
    assert second[0]["delta"]["unsuccessful_since"] == 1


def test_a_source_that_came_to_nothing_is_said_and_nothing_else_is_blamed(used: Shop) -> None:
    rows = "".join(f"{number},Ada,1.00,00501\n" for number in range(1, 31))
    used.write("data/orders.csv", ORDERS_CSV.splitlines()[0] + "\n" + rows)
    query = "SELECT customer, CASE WHEN count(*) < 5 THEN error('too few') END AS n FROM df_orders GROUP BY ALL"
    two_stages = pipeline(query).replace(
        "  - id: write",
        "  - {id: copy, component: filesystem.csv_writer, mode: write,"
        " inputs: {df: '${orders.df}'}, config: {path: out/copy.csv}}\n  - id: write",
    ) + ("    inputs: {df: '${by-customer.df}'}\n")
    used.write("pipelines/orders.yaml", two_stages)
    used.run("run", "orders")
    used.write("data/orders.csv", ORDERS_CSV)
    _, card = pack(used, used.run("run", "orders", "--json", check=1).json["run"])
    causes = card.split("judging by what changed:")[1].split("What to do")[0].strip().splitlines()
    assert causes == [
        "- What step `orders` gave went from 30 [previous.step.orders.rows_out] to 3 rows [step.orders.rows_out]."
    ]


def test_a_parameter_is_blamed_only_where_it_reaches_the_step_that_failed(used: Shop) -> None:
    used.write("data/orders.csv", "a,b\n1\n2,3,4,5\n")
    arguments = ("run", "orders", "--param", "minimum=5", "--json")
    _, card = pack(used, used.run(*arguments, check=1).json["run"])
    assert "- parameter `minimum`: from `0.0` to `5.0`" in card
    assert "Parameters have other values" not in card
    used.write("data/orders.csv", ORDERS_CSV.splitlines()[0] + "\n")
    _, card = pack(used, used.run(*arguments, check=1).json["run"])
    assert "- Step `by-customer` changed since the last successful run: its query." in card
    assert "- Parameters have other values than in the last successful run: `minimum`." in card


def test_where_nothing_changed_the_card_says_so_and_a_first_failure_has_nothing_to_compare_with(used: Shop) -> None:
    used.run("run", "orders", "-p", "prod")
    (used.root / "out").rename(used.root / "old")
    used.write("out", "not a folder")
    _, card = pack(used, used.run("run", "orders", "-p", "prod", "--json", check=1).json["run"])
    assert "- Neither the failed step, nor a step that it depends on, nor a version changed" in card
    summary, card = pack(used, used.run("run", "orders", "-p", "ml", "--json", check=1).json["run"])
    assert summary["delta"] is None
    assert "Nothing to compare with: this is the first run" in card
    summary, card = pack(used, used.run("run", "orders", "-p", "ml", "--json", check=1).json["run"])
    assert (summary["delta"]["previous_run_id"], summary["delta"]["last_attempt"]["status"]) == (None, "failed")
    assert "no run before it succeeded. The run before this one" in card


def test_a_cancelled_run_has_a_pack_too(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", "--json", reached=step_started(used, "write")) as process:
        process.send_signal(signal.SIGTERM)
        record = used.end(process, 130).json["run"]
    summary, card = pack(used, record)
    assert (summary["status"], {step["status"] for step in summary["steps"]}) == ("cancelled", {"cancelled"})
    assert card.startswith("# orders: cancelled\n")
    assert "## Why it was stopped" in card


def test_the_delta_is_against_the_last_successful_run_of_the_pipeline_and_profile(used: Shop) -> None:
    first = used.runs()[0]
    good = used.read("data/orders.csv")
    used.write("data/orders.csv", "broken")
    used.run("run", "orders", check=1)
    used.write("data/orders.csv", good + b"4,Linus,3.50,99999\n")
    second = used.run("run", "orders", "--json").json["run"]
    delta = pack(used, second)[0]["delta"]
    assert (delta["previous_run_id"], delta["manifest_changed"]) == (first["run_id"], False)
    assert (delta["rows_in"], delta["rows_out"], delta["environment"]) == (1, 1, {})
    assert [(step["id"], step["rows_out"]) for step in delta["steps"]] == [
        ("orders", [3, 4]),
        ("by-customer", [2, 3]),
        ("write", [2, 3]),
    ]
    other = used.run("run", "orders", "-p", "prod", "--json").json["run"]
    assert pack(used, other)[0]["delta"] is None
    changed = used.run("run", "orders", "--param", "minimum=5", "--json").json["run"]
    summary, card = pack(used, changed)
    delta = summary["delta"]
    assert (delta["previous_run_id"], delta["manifest_changed"], delta["rows_out"]) == (second["run_id"], True, -1)
    assert delta["manifest"]["params"] == {"minimum": [0.0, 5.0]}
    assert delta["manifest"]["steps_changed"] == [{"id": "by-customer", "keys": ["config.query"]}]
    assert "- parameter `minimum`: from `0.0` to `5.0`" in card
    assert "- rows written: from 3 [previous.rows_out] to 2 rows [run.rows_out]" in card


def test_what_is_gone_of_an_earlier_run_is_null_and_said(used: Shop) -> None:
    record = used.runs()[0]
    for path in (record["aiop_path"] + "/summary.json", record["run_logs_path"] + "/manifest.yaml"):
        (used.root / path).unlink()
    (used.root / record["build_manifest_path"]).unlink()
    summary, card = pack(used, used.run("run", "orders", "--param", "minimum=5", "--json").json["run"])
    delta = summary["delta"]
    assert (delta["manifest_changed"], delta["manifest"], delta["steps"], delta["rows_in"]) == (True, None, None, 0)
    assert "what changed in it cannot be told, for a manifest is gone" in card
    assert "not comparable, for the pack of that run is gone" in card


def test_the_annex_is_the_runs_own_log_with_the_time_since_its_start(used: Shop) -> None:
    record = used.runs()[0]
    folder = used.root / record["run_logs_path"]
    for name, log in (("timeline", "events"), ("metrics", "metrics")):
        lines = annex(used, record, name)
        assert all(next(iter(line)) == "ms" and 0 <= line.pop("ms") <= record["duration_ms"] + 60_000 for line in lines)
        assert lines == [json.loads(line) for line in (folder / f"{log}.jsonl").read_bytes().splitlines()]
    assert used.read(record["aiop_path"] + "/annex/errors.ndjson") == b""
    files = {file["name"]: (file["lines"], file["cut"]) for file in pack(used, record)[0]["annex"]}
    assert files == {"timeline.ndjson": (8, 0), "metrics.ndjson": (9, 0), "errors.ndjson": (0, 0)}


def test_failures_and_retries_stand_among_the_errors_and_the_last_events_beside_the_summary(shop: Shop) -> None:
    shop.write("osiris.yaml", 'version: "2.0"\nfilesystem: {artifacts: {save_events_tail: 2}}\n')
    shop.write(
        "pipelines/orders.yaml",
        ORDERS.replace("config: {path: data", "retry: {max: 2, delay_ms: 1}\n    config: {path: data"),
    )
    shop.write("data/orders.csv", "a,b\n1\n2,3,4,5\n")
    record = shop.run("run", "orders", "--json", check=1).json["run"]
    errors = annex(shop, record, "errors")
    assert [(line["kind"], line["step"], line["attempt"]) for line in errors] == [
        ("retry", errors[0]["step"], 1),
        ("retry", errors[0]["step"], 2),
        ("failure", errors[0]["step"], None),
    ]
    assert {line["code"] for line in errors} == {record["error"]["code"]}
    assert all(line["message"] for line in errors)
    summary, card = pack(shop, record)
    assert summary["evidence"][f"step.{record['error']['step']}.retries"] == 2
    assert f"after 2 retries [step.{record['error']['step']}.retries]" in card
    tail = shop.read(record["aiop_path"] + "/events-tail.ndjson").splitlines()
    assert [json.loads(line) for line in tail] == annex(shop, record, "timeline")[-2:]


def test_the_pack_is_whole_before_the_run_has_its_end_in_the_journal(used: Shop) -> None:
    """A pack is put in place by one rename: whoever sees the run's end sees all of it."""
    before = set(used.root.glob("aiop/dev/orders/*/run-*"))
    process = used.start("run", "orders")
    while process.poll() is None:
        ended = used.types().count("run.finished") == 2
        new = set(used.root.glob("aiop/dev/orders/*/run-*")) - before
        assert new or not ended
        for folder in new:
            names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
            assert names == {
                "summary.json",
                "run-card.md",
                *(f"annex/{n}.ndjson" for n in ("timeline", "metrics", "errors")),
            }
    used.end(process)


def test_the_run_folder_tells_the_same_story(used: Shop) -> None:
    record = used.runs()[0]
    folder = used.root / record["run_logs_path"]
    status = json.loads((folder / "status.json").read_bytes())
    assert (status["run_id"], status["status"]) == (record["run_id"], "success")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["event"], events[-1]["event"]) == ("run.started", "run.finished")
    assert (folder / "manifest.yaml").read_bytes() == used.read(record["build_manifest_path"])
    assert record["run_id"] in (folder / "osiris.log").read_text()


@pytest.mark.parametrize("where", ["aiop", "run_logs"])
def test_a_run_whose_pack_cannot_be_written_has_its_end_all_the_same(used: Shop, where: str) -> None:
    folder = used.root / where / "prod"
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("not a folder")
    ran = used.run("run", "orders", "-p", "prod", check=None)
    assert used.runs()[0]["finished_at"]
    assert (ran.code, "warning: " in ran.err) == ((0, True) if where == "aiop" else (7, True))
    if where == "run_logs":
        errors = annex(used, used.runs()[0], "errors")
        assert [(line["kind"], line["step"], line["code"]) for line in errors] == [("failure", "", "disk.failed")]
