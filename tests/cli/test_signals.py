"""Ctrl-C, SIGTERM, and the impatient second one."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.write_schemas import verbs
from tests.cli.shop import BY_CUSTOMER, ENDLESS, ORDERS, Result, Shop, pipeline, running, step_started, wait_until
from tests.cli.test_schemas import EXAMPLES

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only /proc says when a process begins to listen")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_records_that_and_leaves_outputs_whole(used: Shop, sent: signal.Signals) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", "--json", reached=step_started(used, "write")) as process:
        process.send_signal(sent)
        stopped = used.end(process, 130)
    run = stopped.json["run"]
    assert run["status"] == "cancelled"
    assert {step["status"] for step in stopped.json["steps"]} <= {"cancelled", "skipped", "success"}
    assert used.runs()[0] == run
    assert used.read("out/by_customer.csv") == BY_CUSTOMER
    assert used.leftovers() == []
    used.run("index", "verify")
    assert f": {run['status']}" in (used.root / run["aiop_path"] / "run-card.md").read_text().splitlines()[0]


def test_a_cancelled_run_says_so_to_a_person(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        process.send_signal(signal.SIGINT)
        stopped = used.end(process, 130)
    assert stopped.out.splitlines()[0].endswith("  cancelled")
    assert "KeyboardInterrupt" not in stopped.err


def test_two_signals_end_the_run_at_once_and_the_next_commands_show_and_record_it(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        process.send_signal(signal.SIGSTOP)  # so that both are there when it goes on
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        used.end(process, 130)
    assert used.types()[-1] == "run.started"
    assert used.runs()[0]["status"] == "interrupted"
    used.write("pipelines/orders.yaml", ORDERS)
    used.run("run", "orders")
    assert "run.interrupted" in used.types()
    assert [run["status"] for run in used.runs()] == ["success", "interrupted", "success"]
    assert used.leftovers() == []
    used.run("index", "verify")


def test_a_signal_while_a_step_waits_for_its_next_try_does_not_wait_for_it(used: Shop) -> None:
    failing = pipeline("SELECT customer::INT AS n FROM df_orders").replace(
        "    config:\n      query", "    retry: {max: 3, backoff: none, delay_ms: 600000}\n    config:\n      query"
    )
    used.write("pipelines/orders.yaml", failing.replace("backoff: none", "backoff: fixed"))

    def waiting() -> bool:
        return any(b'"step.retried"' in log.read_bytes() for log in used.root.glob("run_logs/**/events.jsonl"))

    with running(used, "run", "orders", "--json", reached=waiting) as process:
        process.send_signal(signal.SIGINT)
        assert used.end(process, 130).json["run"]["status"] == "cancelled"


def listens_to(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    """Whether a living process has said what a signal shall do."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def stopped(shop: Shop, sent: signal.Signals, delay_s: float, *args: str) -> Result:
    """How a command ends that gets a signal ``delay_s`` after it began to listen, unless it ends before.

    The interpreter heeds Ctrl-C from its own start, and SIGTERM never: so it shows when our own first line has run.
    """
    process = shop.start(*args)
    wait_until(lambda: listens_to(process, signal.SIGTERM), process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay_s)
    process.send_signal(sent)
    return shop.end(process, None)


@on_linux
def test_every_verb_that_is_stopped_as_it_starts_ends_quietly_with_130(used: Shop) -> None:
    for number, (typed, _) in enumerate(verbs()):
        sent = (signal.SIGINT, signal.SIGTERM)[number % 2]
        ended = stopped(used, sent, 0, *EXAMPLES[typed][-1].args.split())
        assert (ended.code, ended.out, ended.err.strip()) == (130, "", ""), typed


@on_linux
@pytest.mark.parametrize("delay_ms", range(50, 450, 100))
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_writing_verb_that_is_stopped_anywhere_leaves_a_ledger_that_verifies(
    used: Shop, sent: signal.Signals, delay_ms: int
) -> None:
    before = used.types()
    for args in ("compile orders -p prod", "pipelines tag orders --add billing", "index rebuild"):
        ended = stopped(used, sent, delay_ms / 1000, *args.split())
        assert ended.code in (0, 130)
        assert "ignored" not in ended.err
    used.run("runs", "list")  # who comes next mends what is half done
    used.run("index", "verify")
    assert used.leftovers() == []
    assert used.types()[: len(before)] == before


@on_linux
def test_a_verb_that_was_started_to_ignore_ctrl_c_does_so(used: Shop) -> None:
    process = used.start("events", "--follow", before=("sh", "-c", 'trap "" INT; exec "$@"', "sh"))
    try:
        assert process.stdout is not None
        assert process.stdout.readline()  # so it has come as far as it goes
        assert listens_to(process, signal.SIGTERM)
        assert not listens_to(process, signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        used.end(process, 130)
    finally:
        process.kill()


@on_linux
def test_a_run_that_was_started_to_ignore_ctrl_c_is_cancelled_by_sigterm_alone(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    process = used.start("run", "orders", "--json", before=ignoring)
    try:
        wait_until(step_started(used, "write"), process)
        assert not listens_to(process, signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert used.end(process, 130).json["run"]["status"] == "cancelled"
    finally:
        process.kill()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_verb_that_waits_ends_with_130_and_what_it_has_printed_stays_whole(used: Shop, sent: signal.Signals) -> None:
    process = used.start("events", "--follow", "--json")
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(sent)
        ended = used.end(process, 130)
    finally:
        process.kill()
    assert [json.loads(line)["seq"] for line in (first + ended.out).splitlines()] == [1, 2, 3][: 1 + len(ended.lines)]
    assert ended.err.strip() == ""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_command_line_is_being_imported_ends_it_quietly(
    used: Shop, tmp_path: Path, sent: signal.Signals
) -> None:
    slow = tmp_path / "slow" / "click.py"
    slow.parent.mkdir()
    slow.write_text("import pathlib, signal\npathlib.Path(__file__).with_name('begun').touch()\nsignal.pause()\n")
    process = used.start("runs", "list", env={"PYTHONPATH": str(slow.parent)})
    try:
        wait_until(slow.with_name("begun").exists, process)
        process.send_signal(sent)
        ended = used.end(process, 130)
    finally:
        process.kill()
    assert (ended.out, ended.err) == ("", "")


def test_the_first_signal_lets_open_blocks_clean_up_and_the_second_ends_at_once() -> None:
    script = """
import os, sys
from osiris.cli import main
main._on_signals(main._stop)
try:
    os.kill(os.getpid(), int(sys.argv[1]))
finally:
    print("cleaned", flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
    print("never here", flush=True)
"""
    command = [sys.executable, "-c", script, str(int(signal.SIGTERM)), str(int(signal.SIGINT))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned\n", "")
