"""``kill -9`` of ``osiris run`` at any moment: the ledger knows of the run, and nothing is half done."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shop import BY_CUSTOMER, ENDLESS, ORDERS, Shop, new_shop, pipeline, running, step_started

STRACE = shutil.which("strace")
MOMENTS: dict[str, Callable[[Shop], Callable[[], bool]]] = {
    "run.started is in the journal": lambda shop: lambda: shop.types().count("run.started") == 2,
    "its folder exists": lambda shop: lambda: len(list(shop.root.glob("run_logs/dev/orders/*"))) == 2,
    "its work folder exists": lambda shop: lambda: bool(list(shop.root.glob(".osiris/cache/runs/*"))),
    "its query runs": lambda shop: step_started(shop, "write"),
    "its output is being written": lambda shop: lambda: bool(list(shop.root.glob("out/.*.osiris-tmp"))),
}


def numbers(shop: Shop) -> list[int]:
    return [event["number"] for event in shop.journal() if event["type"] == "run.started"]


def check_after_a_kill(shop: Shop, *, look_first: bool) -> None:
    """What must hold of a project in which a run was killed; ends with a successful run."""
    started = [event["run_id"] for event in shop.journal() if event["type"] == "run.started"]
    ended = {event["run_id"] for event in shop.journal() if event["type"] == "run.finished"}
    output = shop.root / "out" / "by_customer.csv"
    assert not output.exists() or output.read_bytes() == BY_CUSTOMER
    if look_first:
        shop.run("index", "verify", check=None)
    listed = {run["run_id"]: run["status"] for run in shop.runs()}
    assert listed == {run: "success" if run in ended else "interrupted" for run in started}
    shop.run("index", "verify")

    shop.write("pipelines/orders.yaml", ORDERS)
    shop.run("run", "orders")
    assert numbers(shop) == list(range(1, len(started) + 2))
    interrupted = [event["run_id"] for event in shop.journal() if event["type"] == "run.interrupted"]
    assert interrupted == [run for run in started if run not in ended]
    shop.run("index", "verify")
    for run in shop.runs():
        summary = json.loads(shop.read(run["aiop_path"] + "/summary.json"))
        assert (summary["run_id"], summary["status"]) == (run["run_id"], run["status"])
        assert (summary["completed_at"], summary["error"]) == (run["finished_at"], run["error"])
        assert (shop.root / run["aiop_path"] / "run-card.md").is_file()
    assert output.read_bytes() == BY_CUSTOMER
    work = shop.root / ".osiris" / "cache" / "runs"
    assert sorted(path.name for path in output.parent.iterdir()) == ["by_customer.csv"]
    assert not work.exists() or list(work.iterdir()) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_is_listed_as_interrupted_and_the_next_one_works(used: Shop, moment: str) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=MOMENTS[moment](used)) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    check_after_a_kill(used, look_first=False)


def test_a_run_that_lives_is_running_and_not_interrupted_by_others_that_write(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")):
        used.run("pipelines", "tag", "orders", "--add", "billing")
        newest = used.runs()[0]
        assert (newest["status"], newest["finished_at"], newest["tags"]) == ("running", None, [])
        assert used.run("runs", "show", "last", "--json").json["run"] == newest
        used.run("index", "verify")
        assert "run.interrupted" not in used.types()


def test_why_a_run_was_interrupted_is_said_before_and_after_it_is_recorded(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(used, "run", "orders", reached=step_started(used, "write")) as process:
        process.kill()
    before = used.runs()[0]
    assert before["error"]["code"] == "runtime.interrupted"
    used.run("pipelines", "tag", "orders", "--add", "billing")
    recorded = used.runs()[0]
    assert (recorded["status"], recorded["error"]) == ("interrupted", before["error"])
    assert used.types().count("run.interrupted") == 1


def killed_at(shop: Shop, call: str, number: int) -> bool:
    """Kill ``osiris run`` at the entry of its ``number``-th such system call; False if it made fewer of them."""
    trace = (STRACE or "", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}")
    process = shop.start("run", "orders", before=(*trace, "-e", f"inject={call}:signal=KILL:when={number}"))
    return shop.end(process, None).code != 0


def can_inject() -> bool:
    if STRACE is None:
        return False
    probe = [STRACE, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(not can_inject(), reason="strace is missing or may not trace here")


@needs_strace
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_a_first_run_killed_at_any_of_its_syncs_leaves_a_project_that_works(tmp_path: Path, first: int) -> None:
    number = first
    while killed_at(shop := new_shop(tmp_path / f"{number}"), "fdatasync", number):
        check_after_a_kill(shop, look_first=number % 2 == 0)
        number += 3
    assert number > 10


@needs_strace
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "call", ["fsync", "rename", "mkdir", "unlink", "rmdir", "pwrite64", "ftruncate", "flock", "write", "sendto"]
)
def test_a_run_killed_at_any_of_its_system_calls_leaves_a_project_that_works(
    finished: Shop, tmp_path: Path, call: str
) -> None:
    number = 1
    while killed_at(shop := Shop(shutil.copytree(finished.root, tmp_path / f"{number}")), call, number):
        check_after_a_kill(shop, look_first=number % 2 == 0)
        number += 1
