"""``osiris runs show RUN --html FILE``: one page that says what is known of a run, and why the rest is not there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.cli.pages import ParsedPage, check_page
from tests.cli.shop import ENDLESS, ORDERS, Shop, pipeline, running, step_started


def page_of(shop: Shop, run: str = "last") -> ParsedPage:
    """The page of a run, written into the project's root and checked."""
    shop.run("runs", "show", run, "--html", "page.html")
    return check_page(shop.read("page.html").decode())


def linked_files(parsed: ParsedPage, folder: Path) -> set[Path]:
    """The files that a page in ``folder`` links to; each of them must exist."""
    files = {folder / unquote(link) for link in parsed.links}
    assert all(file.is_file() for file in files)
    return {file.resolve() for file in files}


def test_a_page_says_what_ran_and_links_to_every_file_of_the_run(used: Shop) -> None:
    parsed = page_of(used)
    [record] = used.runs()
    for said in (record["run_id"], "success", "by-customer", "duckdb.processor", record["manifest_hash"], "3 of 3"):
        assert said in parsed.text, said
    assert "There is none to compare with" in parsed.text
    expected = {used.root / "out" / "by_customer.csv"}
    expected |= {used.root / record["aiop_path"] / name for name in ("run-card.md", "summary.json")}
    expected |= {
        used.root / record["aiop_path"] / "annex" / f"{name}.ndjson" for name in ("timeline", "metrics", "errors")
    }
    expected |= {used.root / record["run_logs_path"] / name for name in ("osiris.log", "events.jsonl", "metrics.jsonl")}
    build = (used.root / record["build_manifest_path"]).parent
    expected |= {build / name for name in ("manifest.yaml", "plan.json", "fingerprints.json")}
    assert linked_files(parsed, used.root) == {path.resolve() for path in expected}
    assert parsed.classes("aside") == []


@pytest.mark.parametrize("folder", ["reports", "a b%41#?&'\"<i>", "../elsewhere:x", "ä/ö"])
def test_links_work_from_wherever_the_page_stands(used: Shop, folder: str) -> None:
    target = used.root / folder
    target.mkdir(parents=True)
    out = used.run("runs", "show", "last", "--html", target / "page.html").out
    assert out == f"{target / 'page.html'}\n"
    parsed = check_page((target / "page.html").read_text("utf-8"))
    assert len(linked_files(parsed, target)) == 12


def test_a_page_on_standard_output_links_from_the_working_folder(used: Shop) -> None:
    folder = used.root / "data"
    done = used.run("runs", "show", "last", "--html", "-", cwd=folder)
    assert done.err == ""
    assert len(linked_files(check_page(done.out), folder)) == 12


def test_the_same_run_gives_the_same_bytes_and_replaces_the_page_in_one_step(used: Shop) -> None:
    used.run("runs", "show", "last", "--html", "page.html")
    first = used.read("page.html")
    used.write("page.html", "<!DOCTYPE html>old")
    used.run("runs", "show", "last", "--html", "page.html")
    assert used.read("page.html") == first
    assert used.leftovers() == []


def test_times_are_local_with_their_zone_and_utc_for_programs(used: Shop) -> None:
    used.run("runs", "show", "last", "--html", "page.html", env={"TZ": "Asia/Kolkata"})
    parsed = check_page(used.read("page.html").decode())
    [time] = [tag for tag in parsed.tags if tag.name == "time"]
    [record] = used.runs()
    assert time.attributes["datetime"] == record["started_at"][:23] + "Z"
    assert str(time.attributes["title"]) == record["started_at"][:23].replace("T", " ") + " UTC"
    assert "UTC+05:30" in parsed.text


def test_with_json_the_page_is_written_and_the_usual_document_printed(used: Shop) -> None:
    usual = used.run("runs", "show", "last", "--json").json
    assert used.run("runs", "show", "last", "--json", "--html", "page.html").json == usual
    check_page(used.read("page.html").decode())
    refused = used.run("runs", "show", "last", "--json", "--html", "-", check=2).json
    assert refused["error"]["code"] == "cli.usage"


@pytest.mark.parametrize(
    "target", ["data", "data/orders.csv", "no/such/page.html", "fifo", "data/orders.csv/page.html", "x\ny" * 200]
)
def test_what_is_no_place_for_a_page_is_refused_and_left_alone(used: Shop, target: str) -> None:
    os.mkfifo(used.root / "fifo")
    orders = used.read("data/orders.csv")
    refused = used.run("runs", "show", "last", "--html", target, check=2)
    assert refused.err.startswith("error: the page cannot be written to ")
    assert stat.S_ISFIFO((used.root / "fifo").stat().st_mode)
    assert used.read("data/orders.csv") == orders
    assert used.leftovers() == []


def test_a_link_to_a_page_stays_a_link(used: Shop) -> None:
    used.write("real/page.html", "<!doctype html>old")
    (used.root / "page.html").symlink_to("real/page.html")
    page_of(used)
    assert (used.root / "page.html").is_symlink()
    check_page(used.read("real/page.html").decode())


def test_a_page_shows_what_changed_since_the_last_successful_run(used: Shop) -> None:
    used.run("run", "orders", "--param", "minimum=10")
    parsed = page_of(used)
    new, old = used.runs()
    assert f"Against {old['run_id']} , started" in parsed.text
    assert ": another build ." in parsed.text
    assert "minimum 0.0 10.0" in parsed.text
    assert "by-customer changed query" in parsed.text
    assert (old["rows_out"], new["rows_out"]) == (2, 1)
    assert "rows written 2 1 \N{MINUS SIGN}1 (\N{MINUS SIGN}50.0 %)" in parsed.text
    assert "rows read 3 3 no change" in parsed.text
    assert "parameter minimum 10.0" in parsed.text
    used.run("run", "orders", "--param", "minimum=10")
    assert "the same build" in page_of(used).text


def test_a_page_of_a_failed_run_shows_the_error_and_the_line_of_the_query(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT\n  '<b>' AS b,\n  amont\nFROM df_orders"))
    used.run("run", "orders", check=1)
    parsed = page_of(used)
    error = used.runs()[0]["error"]
    for said in (
        "Why it failed",
        "transform.sql_binding",
        "line 3, column 3 of its query",
        error["hint"],
        "'<b>' AS b,",
    ):
        assert said in parsed.text, said
    assert " ".join(error["message"].split()) in parsed.text
    assert "3 error here: amont" in parsed.text
    assert parsed.classes("li").count("is-failed") == 1
    assert parsed.classes("li").count("is-cancelled") == 1
    assert parsed.classes("li").count("is-not-run") == 1
    [config] = used.root.glob(f"{Path(used.runs()[0]['build_manifest_path']).parent}/cfg/by-customer.json")
    config.write_text('{"query": "forged"}')
    assert "forged" not in page_of(used).text


def test_a_page_marks_every_try_that_failed(used: Shop) -> None:
    text = pipeline("SELECT customer::INT AS n FROM df_orders")
    used.write(
        "pipelines/orders.yaml",
        text.replace(
            "    config:\n      query", "    retry: {max: 2, backoff: fixed, delay_ms: 1}\n    config:\n      query"
        ),
    )
    used.run("run", "orders", check=1)
    parsed = page_of(used)
    assert parsed.classes("span").count("retry") == 2
    assert "2 retries" in parsed.text
    assert "try 1 failed in by-customer" in parsed.text
    assert "The query of that step" in parsed.text


def test_a_page_of_a_cancelled_run_shows_what_was_stopped(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        process.send_signal(signal.SIGINT)
        used.end(process, 130)
    parsed = page_of(used)
    assert parsed.classes("body") == ["is-cancelled"]
    assert "is-cancelled" in parsed.classes("li")


def test_a_page_of_a_run_that_lives_and_of_one_that_was_killed_says_what_is_not_known(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        parsed = page_of(used)
        assert parsed.classes("body") == ["is-running"]
        assert "The run was still going on when this page was written." in parsed.text
        assert "is-running" in parsed.classes("li")
        process.kill()
    parsed = page_of(used)
    assert parsed.classes("body") == ["is-interrupted"]
    assert "Its process was killed before it could write its pack" in parsed.text
    assert "runtime.interrupted" in parsed.text
    assert "is-interrupted" in parsed.classes("li")
    assert "at least" in parsed.text


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        (("aiop",), "Its pack is not there or cannot be read"),
        (("run_logs",), "It has no log, or its log was removed"),
        (("run_logs", "build"), "Its build is not there or was changed"),
        (("aiop", "run_logs", "build", "out"), "None of its files is there any more."),
    ],
    ids=" ".join,
)
def test_a_page_says_what_is_gone_and_still_shows_the_rest(used: Shop, gone: tuple[str, ...], says: str) -> None:
    whole = page_of(used)
    for folder in gone:
        shutil.rmtree(used.root / folder)
    parsed = page_of(used)
    assert says in parsed.text
    assert used.runs()[0]["run_id"] in parsed.text
    assert len(parsed.links) < len(whole.links)
    linked_files(parsed, used.root)
    if len(gone) < 4:
        assert parsed.classes("li").count("is-success") == 3


def test_without_its_pack_a_run_has_the_same_steps_from_its_log(used: Shop) -> None:
    before = page_of(used)
    shutil.rmtree(used.root / "aiop")
    after = page_of(used)
    rows = [text[text.index("rows/s") : text.index("Files")] for text in (before.text, after.text)]
    assert rows[0] == rows[1]


def test_a_log_and_a_build_that_were_edited_are_told_and_not_believed(used: Shop) -> None:
    [record] = used.runs()
    log = used.root / record["run_logs_path"] / "events.jsonl"
    log.write_bytes(log.read_bytes() + b"no event\n")
    (used.root / record["build_manifest_path"]).write_text("no: manifest\n")
    (used.root / record["run_logs_path"] / "manifest.yaml").write_text("no: manifest\n")
    (used.root / record["aiop_path"] / "summary.json").write_text("[]")
    text = page_of(used).text
    assert "events.jsonl:9 is no event of a run" in text
    assert "Its build is not there or was changed" in text
    assert "Its pack is not there or cannot be read" in text


def test_the_manifest_of_another_build_is_not_believed(used: Shop) -> None:
    used.run("compile", "orders", "--param", "minimum=10")
    [first] = used.runs()
    [other] = [path for path in used.root.glob("build/**/manifest.yaml") if first["manifest_hash"] not in str(path)]
    shutil.copy(other, used.root / first["build_manifest_path"])
    assert "parameter minimum 0.0" in page_of(used).text
    shutil.rmtree(used.root / "run_logs")
    text = page_of(used).text
    assert "Its build is not there or was changed" in text
    assert "parameter minimum" not in text


def test_an_output_is_checked_and_one_outside_of_the_project_is_no_link(used: Shop, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    used.write("pipelines/orders.yaml", ORDERS.replace("out/by_customer.csv", str(outside)))
    used.run("run", "orders")
    parsed = page_of(used)
    assert str(outside) in parsed.text
    assert not any("outside.csv" in link for link in parsed.links)
    first = used.runs()[-1]["run_id"]
    used.write("out/by_customer.csv", "more than before " * 9)
    assert "written again since: 153 bytes now" in page_of(used, f"orders/{first}").text
    (used.root / "out" / "by_customer.csv").unlink()
    assert "no longer there" in page_of(used, f"orders/{first}").text


def test_a_page_of_a_pipeline_with_a_hostile_name_and_hostile_files_is_still_one_page(shop: Shop) -> None:
    name = "</title><script>alert(1)</script>\u202e"
    query = "SELECT '</pre><img src=x onerror=alert(1)>' AS \"a<b>\", nothing_there FROM df_orders"
    text = pipeline(query, write='out/"><i>&.csv').replace("name: orders", "name: " + json.dumps(name))
    shop.write("pipelines/orders.yaml", text.replace("write: out", "write: 'out"))
    shop.run("run", "orders", "--tags", "x", check=1)
    parsed = page_of(shop)
    assert "</title><script>alert(1)</script>\\u202e" in parsed.text
    assert "</pre><img src=x onerror=alert(1)>" in parsed.text
    shop.write("pipelines/orders.yaml", text.replace("nothing_there", "1 AS y"))
    shop.run("run", "orders")
    parsed = page_of(shop)
    assert shop.root / 'out/"><i>&.csv' in linked_files(parsed, shop.root)


def test_writing_a_page_changes_nothing_in_the_project(used: Shop, tmp_path: Path) -> None:
    def files() -> dict[Path, int]:
        """All but what the index's catching up touches."""
        paths = (path for path in used.root.rglob("*") if ".osiris/index" not in str(path))
        return {path: path.stat().st_mtime_ns for path in paths if path.name != "index.lock"}

    before = files()
    used.run("runs", "show", "last", "--html", tmp_path / "page.html")
    assert files() == before
