"""The page of a run: what changed since the last successful one, and the runs between."""

from __future__ import annotations

import msgspec

from osiris.cli.report.changes import changes_of
from osiris.cli.report.page import render
from osiris.cli.report.sources import Sources
from osiris.runner.comparison import ManifestChanges, StepComparison
from osiris.runner.summary import Delta
from tests.cli.pages import check_page
from tests.cli.run_specimens import record_of, summary_of
from tests.cli.shop import ENDLESS, ORDERS, Shop, pipeline, running, step_started
from tests.cli.test_report import page_of

BROKEN = pipeline("SELECT nope FROM df_orders")


def comparison(step_id: str, **more: object) -> StepComparison:
    """A step that did in both runs the same, but for ``more``."""
    same = {"status": ("success", "success"), "rows_in": (5, 5), "rows_out": (5, 5), "duration_ms": (2000, 2000)}
    return msgspec.convert({"id": step_id, **same, **more}, StepComparison)


def delta_with(**more: object) -> Delta:
    """A delta to another build."""
    whole = Delta(previous_run_id="run-000001", manifest_changed=True, rows_in=0, rows_out=0, duration_ms=0)
    return msgspec.structs.replace(whole, **more)


def test_steps_that_did_about_the_same_are_one_line_and_the_others_have_their_numbers() -> None:
    steps = (
        comparison("same"),
        comparison("a-tenth", duration_ms=(2000, 2200)),
        comparison("slower", duration_ms=(2000, 2201)),
        comparison("fast", duration_ms=(10, 110)),
        comparison("not-so-fast", duration_ms=(10, 111)),
        comparison("fewer", rows_out=(5, 4)),
        comparison("broke", status=("success", "failed"), rows_out=(5, None)),
        comparison("new", status=(None, "success"), rows_in=(None, 1), rows_out=(None, 1), duration_ms=(None, 1)),
    )
    found = changes_of(msgspec.structs.replace(summary_of(()), delta=delta_with(steps=steps)))
    assert found is not None
    assert found.alike == ("same", "a-tenth", "fast")
    assert {step.id: [(part.name, part.difference) for part in step.measures] for step in found.steps} == {
        "slower": [("duration", 201)],
        "not-so-fast": [("duration", 101)],
        "fewer": [("rows out", -1), ("duration", 0)],
        "broke": [],
        "new": [],
    }


def test_values_under_a_secret_name_are_masked_even_where_a_pack_has_them() -> None:
    params = {"db_password": ("hunter2-old", "hunter2-new"), "url": ("", "pg://me:hunter2-dsn@host/db")}
    delta = delta_with(manifest=ManifestChanges(params=params))
    page = render(Sources(record=record_of(lambda: "x"), summary=msgspec.structs.replace(summary_of(()), delta=delta)))
    assert "hunter2" not in page
    assert "db_password *** ***" in check_page(page).text
    assert "pg://me:***@host/db" in page


def test_a_text_and_a_number_that_look_the_same_are_told_apart() -> None:
    delta = delta_with(manifest=ManifestChanges(params={"limit": (1, "1")}))
    found = changes_of(msgspec.structs.replace(summary_of(()), delta=delta))
    assert found is not None
    assert [(param.before, param.now) for param in found.params] == [("1", '"1"')]


def test_the_runs_between_that_failed_are_told_newest_first_with_what_to_type(used: Shop) -> None:
    used.write("pipelines/orders.yaml", BROKEN)
    for _ in range(3):
        used.run("run", "orders", check=1)
    third, second, first, good = (run["run_id"] for run in used.runs())
    text = page_of(used).text
    told = text[text.index("Runs since then that did not succeed") : text.index("Rows and durations")]
    assert told.index(second) < told.index(first)
    assert third not in told
    assert told.count("transform.sql_binding in step by-customer") == 2
    for command in (
        f"osiris runs diff orders/{good} orders/{third}",
        f"osiris runs diff orders/{third}",
        f"osiris logs show orders/{third} --step by-customer",
        f"osiris aiop show orders/{third} --card",
    ):
        assert command in text, command
        used.run(*command.split()[1:])
    used.write("pipelines/orders.yaml", ORDERS)
    before = used.read("page.html")
    used.run("run", "orders")
    page_of(used, f"orders/{third}")
    assert used.read("page.html") == before


def test_where_no_run_succeeded_before_the_attempts_are_told_and_nothing_is_compared(shop: Shop) -> None:
    shop.write("pipelines/orders.yaml", BROKEN)
    shop.run("run", "orders", check=1)
    assert "this is the first run of the pipeline in profile dev" in page_of(shop).text
    shop.run("run", "orders", check=1)
    text = page_of(shop).text
    assert "no run before this one succeeded" in text
    assert f"failed {shop.runs()[1]['run_id']} transform.sql_binding in step by-customer" in text
    assert "Rows and durations" not in text


def test_a_killed_run_has_a_whole_page_once_its_pack_is_made(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        process.kill()
    assert "The next command that writes to the ledger makes the pack" in page_of(used).text
    used.run("pipelines", "tag", "orders", "--add", "billing")
    parsed = page_of(used)
    assert parsed.classes("aside") == []
    assert parsed.classes("li").count("is-interrupted") == 3
    assert "rows read 3 - not comparable" in parsed.text
    assert "at least" in parsed.text


def test_an_annex_that_retention_took_is_said_with_its_time_and_the_log_that_stays_is_not_called_gone(
    used: Shop,
) -> None:
    used.all(("run", "orders"))
    assert "annex/timeline.ndjson" in page_of(used).text
    used.run("maintenance", "clean", "--apply", "--keep-runs", "1")
    first = used.runs()[-1]
    text = page_of(used, f"orders/{first['run_id']}").text
    time = first["pruned_at"][:23].replace("T", " ")
    assert f"annex/ was removed by retention, on {time} UTC at the latest" in text
    assert "Its log was removed" not in text
    assert "osiris.log" in text
