"""Ctrl-C, SIGTERM, and the impatient second one."""

from __future__ import annotations

import signal

import pytest

from tests.cli.shop import BY_CUSTOMER, ENDLESS, ORDERS, Shop, pipeline, running, step_started


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
