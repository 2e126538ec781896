"""``osiris logs``: which run folders there are, and what a run wrote, also while it writes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from osiris.events.retention import PrunedRun, RetentionPruned
from osiris.runner.log_lines import LineFile
from tests.cli.shop import DEADLINE_S, ENDLESS, OSIRIS, Shop, pipeline, running, step_started
from tests.cli.test_events import opened
from tests.histories import begin, end


def log_of(shop: Shop, name: str = "osiris.log") -> Path:
    """A file of the newest run."""
    return shop.root / str(shop.runs()[0]["run_logs_path"]) / name


@contextmanager
def following(shop: Shop, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = shop.start("logs", "show", "last", "--follow", *options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_the_log_is_shown_as_it_stands_and_its_end_with_tail(used: Shop) -> None:
    whole = log_of(used).read_text()
    lines = whole.splitlines()
    assert used.run("logs", "show", "last").out == whole
    assert used.run("logs", "show", "last", "--tail").out == whole
    assert used.run("logs", "show", "last", "--tail", "2").out.splitlines() == lines[-2:]
    assert used.run("logs", "show", "orders/run-000001", "--tail=1").out.splitlines() == lines[-1:]


def test_a_bare_tail_means_twenty_lines(used: Shop) -> None:
    log_of(used).write_text("".join(f"line {number}\n" for number in range(100)))
    assert used.run("logs", "show", "last", "--tail").out.splitlines() == [f"line {n}" for n in range(80, 100)]


def test_events_are_lines_for_people_and_documents_for_programs(used: Shop) -> None:
    written = [json.loads(line) for line in log_of(used, "events.jsonl").read_text().splitlines()]
    documents = used.run("logs", "show", "last", "--events", "--json").lines
    assert documents == written
    shown = used.run("logs", "show", "last", "--events").out.splitlines()
    assert [line.split()[0] for line in shown] == [str(event["seq"]) for event in written]
    assert [line.split()[3] for line in shown] == [event["event"] for event in written]
    assert any("rows_out=3" in line for line in shown)


def test_metrics_are_shown_the_same_way(used: Shop) -> None:
    written = [json.loads(line) for line in log_of(used, "metrics.jsonl").read_text().splitlines()]
    assert used.run("logs", "show", "last", "--metrics", "--json").lines == written
    assert "rows_out=2 rows" in used.run("logs", "show", "last", "--metrics", "--step", "write").out


def test_one_steps_lines_and_a_suggestion_for_one_that_does_not_exist(used: Shop) -> None:
    shown = used.run("logs", "show", "last", "--step", "by-customer").out.splitlines()
    assert shown == [line for line in log_of(used).read_text().splitlines() if "by-customer" in line]
    assert len(shown) >= 2
    events = used.run("logs", "show", "last", "--step", "by-customer", "--events", "--json", "--tail", "1").lines
    assert [(event["event"], event["step"]) for event in events] == [("step.finished", "by-customer")]
    wrong = used.run("logs", "show", "last", "--step", "by-costumer", "--json", check=2).json["error"]
    assert (wrong["code"], wrong["hint"]) == ("step.unknown", "Did you mean 'by-customer'?")


def test_a_steps_name_in_a_message_does_not_make_a_line_one_of_the_step(used: Shop) -> None:
    log_of(used).write_text("t  step.warning  orders  write\nt  run.finished  write\nt  step.started  write\n")
    assert used.run("logs", "show", "last", "--step", "write").out == "t  step.started  write\n"


def test_json_names_the_files_with_their_sizes_and_the_lines_that_were_asked_for(used: Shop) -> None:
    document = used.run("logs", "show", "last", "--json", "--tail", "1").json
    assert document["run"] == used.runs()[0]
    assert document["lines"] == log_of(used).read_text().splitlines()[-1:]
    files = {file["path"]: file["bytes"] for file in document["files"]}
    assert {path.rpartition("/")[2] for path in files} >= {"osiris.log", "events.jsonl", "manifest.yaml", "status.json"}
    assert all((used.root / path).stat().st_size == size for path, size in files.items())


def test_follow_waits_for_the_folder_shows_lines_once_they_are_whole_and_ends_with_the_run(used: Shop) -> None:
    with opened(used) as ledger:
        run = begin(ledger)
        with following(used) as process:
            folder = used.root / run.started.run_logs_path
            folder.mkdir(parents=True)
            with (folder / "osiris.log").open("ab", buffering=0) as log:
                log.write(b"first\nsecond, unfin")
                assert next_line(process) == "first"
                log.write(b"ished\n")
                assert next_line(process) == "second, unfinished"
                assert process.poll() is None
                log.write(b"last\n")
                end(ledger, run, "failed")
            assert used.end(process, 0) == (0, "last\n", "")


def test_follow_of_a_run_that_goes_on_ends_when_that_is_cancelled(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with (
        running(used, "run", "orders", reached=step_started(used, "write")) as run,
        following(used, "--events", "--json", "--step", "write") as process,
    ):
        assert json.loads(next_line(process))["event"] == "step.started"
        run.send_signal(signal.SIGINT)
        shown = [json.loads(line) for line in used.end(process, 0).out.splitlines()]
        assert shown[-1]["event"] == "step.cancelled"


def test_follow_of_a_run_that_is_killed_says_that_it_was_interrupted(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with (
        running(used, "run", "orders", reached=step_started(used, "write")) as run,
        following(used) as process,
    ):
        assert "run.started" in next_line(process)
        run.kill()
        ended = used.end(process, 0)
    assert "was interrupted: its process" in ended.err
    assert "was interrupted: its process" in used.run("logs", "show", "last").err


def test_a_run_that_is_killed_before_it_has_a_folder_is_an_error_that_says_so(used: Shop) -> None:
    with opened(used) as ledger:
        run = begin(ledger)
        with following(used) as process:
            run.session_lock.release()  # before or behind its first look: both come to the same
            ended = used.end(process, 2)
    assert "(interrupted) has no osiris.log" in ended.err


def test_a_run_that_has_just_begun_is_an_error_without_follow_which_would_wait(used: Shop) -> None:
    with opened(used) as ledger:
        run = begin(ledger)
        error = used.run("logs", "show", "last", "--json", check=2).json["error"]
        assert (error["code"], error["hint"]) == ("logs.missing", "The run has just begun; --follow waits for it.")
        end(ledger, run)


def test_the_end_of_a_torn_log_is_left_out_and_said(used: Shop) -> None:
    with log_of(used).open("ab") as log:
        log.write(b"torn")
    for options in ((), ("--tail", "3"), ("--follow",)):
        shown = used.run("logs", "show", "last", *options)
        assert "torn" not in shown.out
        assert shown.out.endswith("run.finished  success\n")
        assert "the last 4 bytes are left out" in shown.err


def test_a_log_that_was_changed_is_an_error_with_its_path_and_no_traceback(used: Shop) -> None:
    log_of(used, "events.jsonl").write_bytes(b'{"seq":1}\n\xff\n')
    error = used.run("logs", "show", "last", "--events", "--json", check=2).json["error"]
    assert error["code"] == "logs.unreadable"
    assert error["path"].endswith("events.jsonl")
    log_of(used).write_bytes(b"\xff\x1b[31mred\x1b[0m\n")
    assert used.run("logs", "show", "last").out == "\\xff [31mred [0m\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_following_with_130(used: Shop, sent: signal.Signals) -> None:
    with opened(used) as ledger:
        run = begin(ledger)
        folder = used.root / run.started.run_logs_path
        folder.mkdir(parents=True)
        (folder / "osiris.log").write_text("first\n")
        with following(used) as process:
            assert next_line(process) == "first"
            process.send_signal(sent)
            assert used.end(process, 130).err.strip() == ""
        end(ledger, run)


def test_following_ends_quietly_when_nobody_reads_any_more(used: Shop) -> None:
    with opened(used) as ledger:
        run = begin(ledger)
        folder = used.root / run.started.run_logs_path
        folder.mkdir(parents=True)
        with (folder / "osiris.log").open("ab", buffering=0) as log, following(used) as process:
            log.write(b"first\n")
            assert next_line(process) == "first"
            assert process.stdout is not None
            process.stdout.close()
            log.write(b"second\n")
            assert process.wait(DEADLINE_S) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        end(ledger, run)


def test_list_shows_the_folders_that_are_there_and_with_all_what_became_of_the_others(used: Shop) -> None:
    used.run("run", "orders", "-p", "prod")
    used.run("run", "orders")
    newest, _, oldest = used.runs()
    shutil.rmtree(used.root / newest["run_logs_path"])
    with opened(used) as ledger:
        pruned = PrunedRun(run_id=oldest["run_id"], pipeline_slug="orders", paths=(oldest["run_logs_path"],))
        shutil.rmtree(used.root / oldest["run_logs_path"])
        ledger.record(RetentionPruned(plan_id="1", pruned_at="2026-11-21T00:00:00.000000Z", runs=(pruned,)))

    def listed(*options: str) -> list[tuple[str, str]]:
        logs = used.run("logs", "list", "--json", *options).json["logs"]
        return [(entry["profile"], entry["state"]) for entry in logs]

    assert listed() == [("prod", "present")]
    assert listed("--all") == [("dev", "missing"), ("prod", "present"), ("dev", "pruned")]
    assert listed("--all", "--limit", "1") == [("dev", "missing")]
    assert listed("--limit", "1") == [("prod", "present")], "the limit counts what is shown"
    assert listed("--all", "--profile", "prod") == [("prod", "present")]
    [entry] = used.run("logs", "list", "--json").json["logs"]
    files = [path for path in (used.root / entry["path"]).rglob("*") if path.is_file()]
    assert (entry["files"], entry["bytes"]) == (len(files), sum(path.stat().st_size for path in files))
    gone = used.run("logs", "show", oldest["run_id"], check=2).err
    assert "were pruned at 2026-11-2" in gone
    assert "has no osiris.log in run_logs/" in used.run("logs", "show", newest["run_id"], check=2).err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--follow", "--json"), "--follow --json needs --events or --metrics"),
        (("--events", "--metrics"), "two files"),
        (("--tail", "0"), "'0' is no number of lines"),
        (("--tail", "many"), "'many' is no number of lines"),
    ],
)
def test_options_that_make_no_sense_are_refused(used: Shop, options: tuple[str, ...], said: str) -> None:
    shown = used.run("logs", "show", "last", *options, check=2)
    assert said in shown.out + shown.err


@pytest.mark.parametrize("reference", ["../..", "orders/", "/", "", "x" * 100_000, "orders/last/x", "*", "."])
@pytest.mark.parametrize("verb", [("logs", "show"), ("runs", "show"), ("runs", "diff"), ("runs", "tag", "--add", "x")])
def test_a_hostile_reference_is_a_short_error(finished: Shop, verb: tuple[str, ...], reference: str) -> None:
    refused = finished.run(*verb, "--", reference, check=2)
    assert refused.err.startswith("error: unknown run ")
    assert len(refused.err) < 300


def test_a_reference_that_is_not_utf_8_is_an_error(finished: Shop) -> None:
    script = f"'{OSIRIS}' logs show $'\\xff\\xfe'"
    done = subprocess.run(["bash", "-c", script], cwd=finished.root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: unknown run '\\udcff\\udcfe'")


def test_the_end_of_a_big_log_is_read_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "osiris.log"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte, of which nothing is on the disk
        file.seek(0, 2)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(50_000)) + b"torn")
    lines = LineFile(path)
    assert [next(backward) for backward in [lines.backward()] for _ in range(2)] == [b"line 49999", b"line 49998"]
    with path.open("ab") as file:
        file.write(b" no more\nnew\n")
    assert list(lines.blocks()) == [[b"torn no more", b"new"]]
    lines.close()
