"""``osiris runs tag``: tags of one run, decided under the lock and recorded only where they change."""

from __future__ import annotations

import pytest

from tests.cli.shop import ENDLESS, Shop, pipeline, running, step_started
from tests.cli.test_events import opened
from tests.histories import begin, end


def test_tags_are_added_and_removed_and_found_again(used: Shop) -> None:
    document = used.run("runs", "tag", "last", "--add", "golden,audited", "--add", "ml", "--json").json
    [record] = used.runs()
    assert document == {"pipeline_slug": "orders", "run_id": record["run_id"], "tags": ["audited", "golden", "ml"]}
    assert record["tags"] == ["audited", "golden", "ml"]
    shown = used.run("runs", "tag", "orders/run-000001", "--remove", "ml,golden", "--add", "kept").out
    assert shown == f"orders/{record['run_id']}: audited, kept\n"
    assert len(used.run("runs", "list", "--tag", "kept", "--json").json["runs"]) == 1
    event = used.journal()[-1]
    assert (event["type"], event["added"], event["removed"]) == ("run.tagged", ["kept"], ["golden", "ml"])
    used.run("index", "verify")


def test_nothing_is_recorded_where_nothing_changes(used: Shop) -> None:
    used.run("runs", "tag", "last", "--add", "golden")
    before = used.journal()
    assert used.run("runs", "tag", "last", "--add", "golden", "--remove", "never").out.endswith(": golden\n")
    assert used.journal() == before


def test_the_tags_of_the_pipeline_and_of_other_runs_stay_as_they_are(used: Shop) -> None:
    used.run("pipelines", "tag", "orders", "--add", "billing")
    used.run("run", "orders")
    used.run("runs", "tag", "last", "--remove", "billing", "--add", "odd")
    used.run("run", "orders")
    assert [run["tags"] for run in used.runs()] == [["billing"], ["odd"], []]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("last",), "cli.usage", "nothing to change"),
        (("last", "--add", ","), "cli.usage", "nothing to change"),
        (("last", "--add", "a,b", "--remove", "b"), "cli.usage", "'b' cannot be both added and removed"),
        (("last", "--add", "two words"), "tag.invalid", "'two words' cannot be a tag"),
        (("nothing", "--add", "a"), "run.unknown", "unknown run 'nothing'"),
        (("run-", "--add", "a"), "run.ambiguous", "'run-' is the beginning of more than one run"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_records_nothing(
    used: Shop, args: tuple[str, ...], code: str, said: str
) -> None:
    used.run("run", "orders")
    before = used.journal()
    error = used.run("runs", "tag", *args, "--json", check=2).json["error"]
    assert error["code"] == code
    assert error["message"].startswith(said)
    assert error["hint"]
    assert used.journal() == before


def test_pipelines_cannot_have_a_tag_both_added_and_removed_either(used: Shop) -> None:
    error = used.run("pipelines", "tag", "orders", "--add", "a", "--remove", "a", "--json", check=2).json["error"]
    assert error["message"] == "'a' cannot be both added and removed"


def test_a_run_that_goes_on_keeps_its_tags_when_it_ends(shop: Shop) -> None:
    with opened(shop) as ledger:
        run = begin(ledger)
        shop.run("runs", "tag", "last", "--add", "watched")
        assert [(record["status"], record["tags"]) for record in shop.runs()] == [("running", ["watched"])]
        end(ledger, run)
        assert [(record["status"], record["tags"]) for record in shop.runs()] == [("success", ["watched"])]
    shop.run("index", "verify")


def test_a_run_that_was_killed_can_be_tagged_and_is_recorded_as_interrupted_with_it(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        process.kill()
    used.run("runs", "tag", "last", "--add", "odd")
    assert used.types()[-2:] == ["run.interrupted", "run.tagged"]
    assert [(run["status"], run["tags"]) for run in used.runs()] == [("interrupted", ["odd"]), ("success", [])]
    used.run("index", "verify")


def test_tags_that_several_give_at_once_are_all_kept(used: Shop) -> None:
    tags = [f"t{number}" for number in range(6)]
    used.all(*[("runs", "tag", "last", "--add", tag) for tag in tags])
    assert used.runs()[0]["tags"] == tags
    assert used.types().count("run.tagged") == 6
