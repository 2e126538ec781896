"""``osiris pipelines show`` and ``list``: what is known of a pipeline, from the ledger and the files."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.cli.shop import ORDERS, Shop
from tests.cli.test_events import opened
from tests.histories import begin, end


def show(shop: Shop, slug: str = "orders") -> dict[str, Any]:
    document: dict[str, Any] = shop.run("pipelines", "show", slug, "--json").json
    return document


def test_the_last_compile_of_each_profile_the_tags_and_the_runs_are_shown(used: Shop) -> None:
    used.run("run", "orders", "-p", "prod")
    used.run("compile", "orders", "-p", "staging")
    used.run("pipelines", "tag", "orders", "--add", "billing")
    found = show(used)
    assert list(found["last_compile"]) == ["dev", "prod", "staging"]
    assert all((used.root / compiled["manifest_path"]).is_file() for compiled in found["last_compile"].values())
    assert (found["tags"], found["runs"], found["success_streak"]) == (["billing"], 2, 2)
    assert found["recent"] == used.runs()
    assert found["last_success"] == used.runs()[0]
    shown = used.run("pipelines", "show", "orders").out
    assert shown.splitlines()[0] == "orders"
    assert "pipelines/orders.yaml" in shown
    assert "the last 2 runs were successful" in shown


@pytest.mark.parametrize(
    ("done", "state"),
    [
        ("nothing", "unchanged"),
        ("a comment", "unchanged"),
        ("a query", "changed"),
        ("removed", "missing"),
        ("no YAML", "unreadable"),
        ("the build is gone", "unknown"),
    ],
)
def test_what_became_of_the_source_is_said_without_compiling(used: Shop, done: str, state: str) -> None:
    path = used.root / "pipelines" / "orders.yaml"
    match done:
        case "a comment":
            path.write_text("# what for\n" + ORDERS)
        case "a query":
            path.write_text(ORDERS.replace("ORDER BY customer", "ORDER BY total"))
        case "removed":
            path.unlink()
        case "no YAML":
            path.write_text("steps: [")
        case "the build is gone":
            shutil.rmtree(used.root / "build")
    assert show(used)["last_compile"]["dev"]["source"] == state


def test_a_streak_ends_with_a_run_that_failed_and_passes_over_one_that_goes_on(shop: Shop) -> None:
    shop.run("compile", "orders")
    with opened(shop) as ledger:
        for status in ("success", "failed", "success", "success"):
            end(ledger, begin(ledger), status)
        going_on = begin(ledger)
        found = show(shop)
        assert (found["runs"], found["success_streak"]) == (5, 2)
        assert [run["status"] for run in found["recent"]] == ["running", "success", "success", "failed", "success"]
        end(ledger, going_on, "failed")
        assert show(shop)["success_streak"] == 0
        assert show(shop)["last_success"]["status"] == "success"
        for _ in range(3):
            end(ledger, begin(ledger))
        found = show(shop)
        assert (found["runs"], len(found["recent"]), found["success_streak"]) == (8, 5, 3)


def test_a_pipeline_that_never_ran_has_no_runs(shop: Shop) -> None:
    shop.run("compile", "orders")
    found = show(shop)
    assert (found["runs"], found["recent"], found["last_success"], found["success_streak"]) == (0, [], None, 0)
    assert shop.run("pipelines", "list", "--json").json["pipelines"]["orders"]["last_run"] is None
    shop.run("pipelines", "show", "orders")


def test_an_unknown_pipeline_is_an_error_with_a_suggestion(used: Shop) -> None:
    error = used.run("pipelines", "show", "order", "--json", check=2).json["error"]
    assert (error["code"], error["hint"]) == ("pipeline.unknown", "Did you mean 'orders'?")


def test_the_list_has_the_newest_run_in_the_row_of_its_profile(used: Shop) -> None:
    used.run("compile", "orders", "-p", "prod")
    listed = used.run("pipelines", "list", "--json").json["pipelines"]["orders"]
    [record] = used.runs()
    assert listed["last_run"] == {name: record[name] for name in ("run_id", "profile", "status", "started_at")}
    rows = [line.split("\t") for line in used.run("pipelines", "list").out.splitlines()]
    assert rows[0] == ["pipeline", "profile", "manifest", "compiled", "tags", "last run", "started"]
    assert [(row[1], row[5], row[6] == "-") for row in rows[1:]] == [("dev", "success", False), ("prod", "-", True)]
