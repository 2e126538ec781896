"""``osiris runs list``: CSV, tables that fit, short names that are understood, and the watched table."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import click
import pytest

from tests.cli.shop import DEADLINE_S, OSIRIS, Shop, environment, pipeline
from tests.cli.test_events import opened
from tests.cli.test_json_documents import record_keys
from tests.histories import begin, end, make_build

LONG = "a-pipeline-with-a-name-that-is-longer-than-anybody-would-like"


@pytest.fixture
def long_history(shop: Shop) -> Shop:
    """Thirty runs of several pipelines, with tags, failures and one that goes on."""
    with opened(shop) as ledger:
        for number in range(30):
            slug, profile = ("orders", LONG)[number % 2], ("dev", "incident_debug")[number % 3 == 0]
            tags = [f"tag-number-{tag}" for tag in range(number % 5)]
            run = begin(ledger, make_build(slug, profile), *tags)
            end(ledger, run, ("success", "failed", "cancelled")[number % 3], rows=number * 1_000_003)
    return shop


def test_csv_has_all_fields_of_all_runs_and_is_read_back_as_it_was(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline('SELECT "a, ""quoted"" name" FROM df_orders'))
    used.run("run", "orders", "--tags", "a,b", check=1)
    text = used.run("runs", "list", "--csv").out
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    records = used.runs()
    assert list(rows[0]) == [name for name in record_keys() if name != "error"] + [
        f"error_{name}" for name in ("code", "message", "step", "line", "hint", "column")
    ]
    for row, record in zip(rows, records, strict=True):
        same = [name for name in record_keys() if name not in ("error", "tags", "runtime_env")]
        assert {name: row[name] for name in same} == {
            name: "" if record[name] is None else str(record[name]) for name in same
        }
        assert row["tags"] == ",".join(record["tags"])
        assert json.loads(row["runtime_env"]) == record["runtime_env"]
        assert row["error_message"] == (record["error"] or {"message": ""})["message"]
    assert '"' in rows[0]["error_message"]


def test_csv_lines_end_as_rfc_4180_says_and_no_runs_are_a_header(used: Shop) -> None:
    command = [str(OSIRIS), "runs", "list", "--csv", "--status", "failed"]
    raw = subprocess.run(command, cwd=used.root, env=environment(), capture_output=True, check=True).stdout
    assert raw.startswith(b"run_id,pipeline_slug,profile,")
    assert raw.endswith(b"error_column\r\n")
    assert raw.count(b"\n") == 1


def test_formats_and_watching_exclude_each_other(used: Shop) -> None:
    for options in (("--csv", "--json"), ("--watch", "--json"), ("--watch", "--csv")):
        shown = used.run("runs", "list", *options, check=2)
        assert "exclude each other" in shown.out + shown.err
    shown = used.run("runs", "list", "--watch", check=2)
    assert shown.err.splitlines()[1] == "Try: For a program: osiris events --follow --json"


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
def test_the_table_is_no_wider_than_the_terminal(long_history: Shop, columns: int) -> None:
    rows = long_history.on_terminal("runs", "list", "--pipeline", "orders", columns=columns).splitlines()
    assert len(rows) == 16
    assert max(map(len, rows)) < columns
    assert rows[0].split()[0] == "run"
    assert ("profile" in rows[0], "tags" in rows[0]) == (columns >= 100, columns >= 120)


def test_a_name_that_is_too_long_for_the_terminal_is_still_whole(long_history: Shop) -> None:
    rows = long_history.on_terminal("runs", "list", columns=60).splitlines()
    assert any(row.startswith(f"{LONG}/run-000015 ") for row in rows)


def test_elsewhere_ids_and_tags_are_whole_and_nothing_is_left_out(long_history: Shop) -> None:
    rows = [line.split("\t") for line in long_history.run("runs", "list", env={"COLUMNS": "40"}).out.splitlines()]
    assert rows[0] == ["run", "pipeline", "profile", "status", "started", "duration", "rows out", "tags"]
    assert [row[0] for row in rows[1:]] == [run["run_id"] for run in long_history.runs()]
    assert any(row[7] == "tag-number-0,tag-number-1,tag-number-2,tag-number-3" for row in rows[1:])


def test_every_name_on_the_screen_is_understood_by_the_verbs_that_take_a_run(long_history: Shop) -> None:
    rows = long_history.on_terminal("runs", "list", "--limit", "4", columns=120).splitlines()[1:]
    names = [row.split()[0] for row in rows]
    assert all(name.partition("/")[2] in {"run-000015", "run-000014"} for name in names)
    shown = [long_history.run("runs", "show", name, "--json").json["run"] for name in names]
    assert shown == long_history.runs()[:4]


@pytest.mark.parametrize("run_id_format", ["ulid", "uuidv4", "iso_ulid,incremental", "incremental"])
def test_ids_of_other_formats_stay_whole(used: Shop, run_id_format: str) -> None:
    used.run("run", "orders", "--run-id-format", run_id_format)
    newest = used.runs()[0]["run_id"]
    assert f"orders/{newest} " in used.on_terminal("runs", "list", columns=120)


def test_an_unknown_profile_is_an_error_with_a_suggestion(used: Shop) -> None:
    for noun in ("runs", "logs"):
        error = used.run(noun, "list", "--profile", "prd", "--json", check=2).json["error"]
        assert (error["code"], error["hint"]) == ("profile.unknown", "Did you mean 'prod'?")
        used.run(noun, "list", "--profile", "staging")


def test_a_profile_that_only_the_ledger_knows_can_still_be_asked_for(used: Shop) -> None:
    used.run("run", "orders", "-p", "ml")
    used.write("osiris.yaml", 'version: "2.0"\nfilesystem: {profiles: {values: [dev]}}\n')
    assert len(used.run("runs", "list", "--profile", "ml", "--json").json["runs"]) == 1
    used.run("runs", "list", "--profile", "prod", check=2)


def test_since_takes_days_by_name(used: Shop) -> None:
    for since in ("yesterday", "3600s", "2w"):
        assert len(used.run("runs", "list", "--since", since, "--json").json["runs"]) == 1, since
    used.run("runs", "list", "--since", "today")
    error = used.run("runs", "list", "--since", "tomorrow", "--json", check=2).json["error"]
    assert "today" in error["hint"]


@contextmanager
def watching(shop: Shop) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """``osiris runs list --watch`` on a terminal, and the terminal's other end."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [OSIRIS, "runs", "list", "--watch"],
        cwd=shop.root,
        env=environment({"TERM": "xterm"}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    try:
        yield process, leader
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def read_until(leader: int, text: str) -> None:
    shown = ""
    while text not in click.unstyle(shown):
        shown += os.read(leader, 65536).decode()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_watch_draws_what_happens_and_ends_with_130(shop: Shop, sent: signal.Signals) -> None:
    with opened(shop) as ledger, watching(shop) as (process, leader):
        read_until(leader, "No runs match.")
        run = begin(ledger)
        read_until(leader, "running")
        end(ledger, run)
        read_until(leader, "success")
        process.send_signal(sent)
        assert process.wait(DEADLINE_S) == 130
