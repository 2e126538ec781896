"""Many processes at once."""

from __future__ import annotations

from tests.cli.shop import BY_CUSTOMER, Shop

EIGHT = range(8)


def check_eight_successes(shop: Shop, first: int) -> None:
    started = [event["number"] for event in shop.journal() if event["type"] == "run.started"]
    assert started == list(range(1, first + 8))
    runs = shop.runs()[:8]
    assert [run["status"] for run in runs] == ["success"] * 8
    assert len({run["run_id"] for run in runs}) == len({run["run_logs_path"] for run in runs}) == 8
    assert all((shop.root / run["run_logs_path"]).is_dir() and (shop.root / run["aiop_path"]).is_dir() for run in runs)
    assert shop.read("out/by_customer.csv") == BY_CUSTOMER
    assert shop.leftovers() == []
    shop.run("index", "verify")


def test_eight_first_runs_at_once_all_succeed_and_share_one_build(shop: Shop) -> None:
    results = shop.all(*[("run", "orders", "--json") for _ in EIGHT])
    assert all(result.json["run"]["status"] == "success" for result in results)
    check_eight_successes(shop, 1)
    assert shop.types().count("pipeline.compiled") == 1
    assert len(list(shop.root.glob("build/pipelines/dev/orders/*"))) == 1


def test_eight_more_runs_at_once_get_eight_numbers_in_a_row(used: Shop) -> None:
    used.all(*[("run", "orders") for _ in EIGHT])
    check_eight_successes(used, 2)


def test_those_who_look_while_others_write_see_whole_answers_and_no_false_alarm(used: Shop) -> None:
    commands = [("run", "orders", "--json"), ("runs", "list", "--json"), ("index", "verify", "--json")] * 3
    results = used.all(*commands, ("pipelines", "tag", "orders", "--add", "billing", "--json"))
    assert all(result.json for result in results)
    assert {result.json["result"] for result in results[2::3] if "result" in result.json} == {"ok"}
    used.run("index", "verify")


def test_a_rebuild_while_others_run_loses_nothing(used: Shop) -> None:
    used.all(*[("run", "orders"), ("index", "rebuild")] * 3)
    assert len(used.runs()) == 4
    used.run("index", "verify")


def test_two_pipelines_number_their_runs_on_their_own(used: Shop) -> None:
    used.write("pipelines/other.yaml", used.read("pipelines/orders.yaml").replace(b"by_customer.csv", b"other.csv"))
    used.all(("run", "orders"), ("run", "other"), ("run", "other"))
    numbers = [(e["pipeline_slug"], e["number"]) for e in used.journal() if e["type"] == "run.started"]
    assert sorted(numbers) == [("orders", 1), ("orders", 2), ("other", 1), ("other", 2)]
