"""What a run leaves for whoever reads about it first."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import msgspec

from osiris.compiler.render import parse_manifest
from osiris.events.runs import RunFinished, RunStarted
from osiris.runner.pack import RunFacts, write_pack
from osiris.runner.summary import RunSummary
from tests.cli.shop import ENDLESS, ORDERS, Shop, pipeline, running, step_started

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


def pack(shop: Shop, record: dict[str, Any]) -> tuple[dict[str, Any], str]:
    folder = shop.root / record["aiop_path"]
    return json.loads((folder / "summary.json").read_bytes()), (folder / "run-card.md").read_text("utf-8")


def test_a_successful_run_has_a_summary_in_the_order_of_the_contract_and_a_card(used: Shop) -> None:
    used.write("pipelines/orders.yaml", ORDERS + "metadata: {intent: Totals for the board.}\n")
    record = used.run("run", "orders", "--tags", "ml,billing", "--json").json["run"]
    summary, card = pack(used, record)
    assert list(summary)[: len(FIRST_FIELDS)] == FIRST_FIELDS
    assert {"error", "steps", "delta", "evidence", "artifacts"} <= summary.keys()
    assert {name: summary[name] for name in FIRST_FIELDS if name in record} == {
        name: record[name] for name in FIRST_FIELDS if name in record
    }
    assert (summary["rows_in"], summary["rows_out"], summary["tags"]) == (3, 2, ["billing", "ml"])
    [artifact] = summary["artifacts"]
    assert (artifact["path"], artifact["bytes"]) == ("out/by_customer.csv", len(used.read("out/by_customer.csv")))
    assert card.startswith("# orders: success\n")
    assert "Totals for the board." in card
    assert all(f"[{name}]" in card for name in summary["evidence"] if name.startswith("step."))


def test_the_card_of_a_failed_run_names_the_step_the_line_and_the_likely_remedy(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT\n  amont\nFROM df_orders"))
    summary, card = pack(used, used.run("run", "orders", "--json", check=1).json["run"])
    assert summary["status"] == "failed"
    assert summary["error"]["step"] == "by-customer"
    assert "`transform.sql_binding` in step `by-customer`, line 2 of its query" in card
    assert "amont" in card
    assert summary["error"]["hint"] in card
    assert summary["artifacts"] == []


def test_a_cancelled_run_has_a_pack_too_and_a_killed_one_has_none(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", "--json", reached=step_started(used, "write")) as process:
        process.send_signal(signal.SIGTERM)
        record = used.end(process, 130).json["run"]
    summary, card = pack(used, record)
    assert summary["status"] == "cancelled"
    assert card.startswith("# orders: cancelled\n")
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        process.kill()
    killed = used.runs()[0]
    assert not (used.root / killed["aiop_path"]).exists()
    assert "interrupted" in used.run("runs", "show", "last").out


def test_the_delta_is_against_the_last_successful_run_of_the_pipeline_and_profile(used: Shop) -> None:
    first = used.runs()[0]
    good = used.read("data/orders.csv")
    used.write("data/orders.csv", "broken")
    used.run("run", "orders", check=1)
    used.write("data/orders.csv", good + b"4,Linus,3.50,99999\n")
    second = used.run("run", "orders", "--json").json["run"]
    delta = pack(used, second)[0]["delta"]
    assert (delta["previous_run_id"], delta["manifest_changed"]) == (first["run_id"], False)
    assert (delta["rows_in"], delta["rows_out"]) == (1, 1)
    other = used.run("run", "orders", "-p", "prod", "--json").json["run"]
    assert pack(used, other)[0]["delta"] is None
    changed = used.run("run", "orders", "--param", "minimum=5", "--json").json["run"]
    delta = pack(used, changed)[0]["delta"]
    assert (delta["previous_run_id"], delta["manifest_changed"], delta["rows_out"]) == (second["run_id"], True, -1)


def test_the_same_facts_make_the_same_pack_again(used: Shop, tmp_path: Path) -> None:
    record = used.runs()[0]
    folder = used.root / record["aiop_path"]
    _, started, finished = used.journal()
    summary = msgspec.json.decode((folder / "summary.json").read_bytes(), type=RunSummary)
    manifest = used.read(record["build_manifest_path"])
    facts = RunFacts(
        started=msgspec.convert(started, RunStarted),
        finished=msgspec.convert(finished, RunFinished),
        steps=summary.steps,
        artifacts=summary.artifacts,
        manifest=parse_manifest(manifest, "manifest.yaml"),
        previous=None,
    )
    write_pack(tmp_path / "again", facts)
    for name in ("summary.json", "run-card.md"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


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
