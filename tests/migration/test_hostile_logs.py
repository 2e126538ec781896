"""Old logs of any content, in any number, migrated by several at once: nothing is lost, nothing is recorded twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.migration.migrate import migrate as migrate_here
from osiris.migration.plan import Wishes, make_plan
from osiris.project import open_project
from osiris.runner.log_reader import read_events
from tests.cli.shop import Shop, environment
from tests.migration.old_logs import SCRIPT, event, failed, files, migrate, successful, write_session

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "migrating_from_logs.md"
NAMES = st.sampled_from([
    "ts", "event", "session", "step_id", "duration", "duration_ms", "rows_processed", "rows_in", "status", "error",
    "pipeline", "profile", "tags", "user", "password", "metric", "value", "x",
])  # fmt: skip
TEXTS = st.sampled_from([
    "2025-02-11T18:42:33Z", "2025-02-11 18:42:33", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "run_start", "run_complete", "run_error", "step_error", "failed", "orders.yaml", "postgres://a:b@c/d",
])  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), TEXTS)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6).map(lambda line: json.dumps(line).encode())
LINES = st.lists(OBJECTS | st.binary(max_size=30) | st.just(b"[" * 100_000), max_size=8)


@given(events=LINES, metrics=LINES, ending=st.sampled_from([b"\n", b""]))
@settings(max_examples=60)
def test_whatever_stands_in_an_old_log_it_is_moved_whole_and_readable_afterwards(
    tmp_path_factory: pytest.TempPathFactory, events: list[bytes], metrics: list[bytes], ending: bytes
) -> None:
    root = tmp_path_factory.mktemp("hostile")
    (root / "osiris.yaml").write_text('version: "2.0"\n')
    old = write_session(root / "logs", "run_1", [b"\n".join(events) + ending])
    (old / "metrics.jsonl").write_bytes(b"\n".join(metrics) + ending)
    kept = files(old)
    project = open_project(root, {})
    done = migrate_here(project, root / "logs", Wishes(slugs={"": "orders"}))
    project.ledger.close()
    if not done.runs:
        assert [left.is_refused for left in done.left_alone] == [True], "only one that may be alive stays"
        assert files(old) == kept
        return
    folder = root / done.runs[0].run_logs_path
    assert files(folder / "legacy") == kept
    lines = [line for line in kept["events.jsonl"].split(b"\n") if line.strip()]
    assert len(list(read_events(folder))) == len(lines)
    assert b"postgres://a:b@" not in b"".join(
        content for name, content in files(folder).items() if "legacy" not in name
    )


@pytest.mark.slow
def test_a_thousand_sessions_are_moved_and_listed_by_their_end(shop: Shop) -> None:
    logs = shop.root / "logs"
    for number in range(1000):
        second = f"{number // 20:02}.{number % 20:02}Z"
        lines = [event(second, "run_start", pipeline="orders"), event(second, "run_complete")]
        write_session(logs, f"run_{1_739_000_000_000 + (number * 7919) % 1000}", lines)
    done = migrate(shop, "--apply", "--json").json
    assert (len(done["runs"]), done["left_alone"], done["removed_logs"]) == (1000, [], True)
    runs = shop.run("runs", "list", "--limit", "2000", "--json").json["runs"]
    ends = [str(run["finished_at"]) for run in runs]
    assert ends == sorted(ends, reverse=True)
    places = {run["run_logs_path"] for run in runs}
    assert {path.parent.relative_to(shop.root).as_posix() for path in shop.root.glob("run_logs/**/legacy")} == places
    assert len(places) == 1000
    shop.run("index", "verify")


def test_two_migrations_at_once_move_each_session_once(shop: Shop) -> None:
    logs = shop.root / "logs"
    for number in range(20):
        successful(logs, f"run_{number}")
    command = [sys.executable, str(SCRIPT), "-C", str(shop.root), "--apply", "--json"]
    both = [subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(len(one["runs"]) for one in told) == [0, 20]
    assert shop.types() == ["run.imported"] * 20


def test_a_tree_that_cannot_be_written_is_an_error_and_stays_whole(shop: Shop) -> None:
    logs = shop.root / "logs"
    failed(logs)
    kept = files(logs)
    shop.write("run_logs", "a file where the folder should be")
    refused = migrate(shop, "--apply", check=7)
    assert refused.err.splitlines()[-1].startswith("Try: ")
    assert files(logs) == kept
    (shop.root / "run_logs").unlink()
    assert migrate(shop, "--apply", "--json").json["removed_logs"] is True
    assert shop.types() == ["run.imported"]


def test_errors_are_documents_with_json_as_everywhere(shop: Shop) -> None:
    assert migrate(shop, "--json", "--logs", "osiris.yaml", "--profile", "qa", check=2).json["error"]["code"]
    assert migrate(shop, "--nonsense", "--json", check=2).json["error"]["code"] == "cli.usage"


def test_the_guide_names_every_option_and_every_field(shop: Shop) -> None:
    page = GUIDE.read_text("utf-8")
    options = set(re.findall(r"--[a-z]+", migrate(shop, "--help").out))
    assert options - set(re.findall(r"--[a-z]+", page)) == {"--project", "--no", "--verbose", "--help"}
    successful(shop.root / "logs")
    write_session(shop.root / "logs", "compile_1", [])
    document = migrate(shop, "--json").json
    listed = ", ".join
    runs, left = listed(document["runs"][0]), listed(document["left_alone"][0])
    assert f"{{logs, applied, runs: [{{{runs}}}], left_alone: [{{{left}}}], removed_logs}}" in page
    assert list(document) == ["logs", "applied", "runs", "left_alone", "removed_logs"]


def test_the_script_has_help_with_examples_and_exit_status(shop: Shop) -> None:
    text = click.unstyle(migrate(shop, "--help").out)
    assert "EXIT STATUS" in text
    assert "migrate_logs_to_contract.py --profile prod --apply" in text


def test_a_place_that_the_journal_names_outside_of_the_run_folders_is_not_written_to(shop: Shop) -> None:
    successful(shop.root / "logs")
    project = open_project(shop.root, {})
    [planned] = make_plan(project, shop.root / "logs", Wishes()).runs
    project.ledger.record(msgspec.structs.replace(planned.event, run_logs_path="pipelines"))
    project.ledger.close()
    before = {path for path in shop.root.rglob("*") if ".osiris" not in path.parts}
    assert "not below run_logs/" in migrate(shop, "--apply", check=2).out
    assert {path for path in shop.root.rglob("*") if ".osiris" not in path.parts} == before
