"""``kill -9`` of a run that keeps its outputs, or of one that resumes another: what is whole is gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.held import OLD, STEPS, TOTAL, HeldShop, environment, new_held_shop, statuses
from tests.cli.shop import ORDERS_CSV, step_started, wait_until
from tests.cli.test_killed_runs import STRACE, needs_strace

RAW = ORDERS_CSV.encode()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> HeldShop:
    """A project whose pipeline has not run yet. Not to be touched."""
    shop = new_held_shop(tmp_path_factory.mktemp("held") / "shop")
    shop.osiris("compile", "orders")
    return shop


def killed(shop: HeldShop, call: str, *args: str, number: int = 1, path: Path | None = None) -> bool:
    """Kill ``osiris run`` at the entry of its ``number``-th such call, that is about ``path``; False if it lived."""
    trace = [STRACE or "", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    trace += ["-e", f"inject={call}:signal=KILL:when={number}", *(["-P", str(path)] if path else [])]
    process = shop.start("run", *args, env=environment(shop.root), before=tuple(trace))
    return shop.end(process, None).code != 0


def go_on(shop: HeldShop) -> dict[str, str]:
    """Resume the newest run, or begin anew where that cannot be; how its steps ended. All outputs are right then."""
    for output, good in (("out/total.csv", (OLD, TOTAL)), ("out/raw.csv", (RAW,))):
        assert not (shop.root / output).exists() or shop.read(output) in good
    for data in shop.root.glob("run_logs/dev/orders/*/outputs/*.json"):
        assert data.stem in ("raw", "write") or data.with_suffix(".parquet").exists()
    newest = shop.runs()[:1]
    last = shop.kept(int(newest[0]["run_id"][-6:])) if newest else shop.root
    if (last / "orders.json").exists():
        (shop.root / "data" / "orders.csv").unlink(missing_ok=True)  # so it is not read again
    done = shop.osiris("run", "--resume", "last", "--json", check=None)
    if done.code:
        assert done.json["error"]["code"] in ("run.none", "resume.nothing_kept", "resume.succeeded")
        shop.write("data/orders.csv", RAW)
        done = shop.osiris("run", "orders", "--json")
    assert (shop.read("out/total.csv"), shop.read("out/raw.csv")) == (TOTAL, RAW)
    runs = shop.runs()
    assert [run["run_id"] for run in runs] == [f"run-{number:06}" for number in range(len(runs), 0, -1)]
    assert runs[0]["status"] == "success"
    assert shop.run("index", "verify", "--json").json["result"] == "ok"
    return statuses(done.json)


def test_a_run_that_is_killed_while_a_step_works_goes_on_with_that_step(tmp_path: Path) -> None:
    shop = new_held_shop(tmp_path / "shop")
    shop.write("gate", "wait")
    process = shop.start("run", "orders", env=environment(shop.root))
    try:
        wait_until(step_started(shop, "held"), process)
    finally:
        process.kill()
        process.communicate()
    shop.write("gate", "open")
    assert go_on(shop) == dict.fromkeys(STEPS[:3], "reused") | dict.fromkeys(STEPS[3:], "success")
    assert shop.types().count("run.interrupted") == 1


@needs_strace
@pytest.mark.parametrize(
    ("file", "reused"),
    [
        ("orders.parquet", 0),
        ("orders.json", 0),
        ("raw.json", 1),
        ("total.parquet", 2),
        ("total.json", 2),
        ("write.json", 4),
    ],
)
def test_a_run_that_is_killed_just_before_a_kept_file_has_its_name_runs_that_step_again(
    compiled: HeldShop, tmp_path: Path, file: str, reused: int
) -> None:
    shop = HeldShop(shutil.copytree(compiled.root, tmp_path / "shop"))
    path = shop.kept(1) / file
    assert killed(shop, "rename", "orders", path=path.with_name(f".{file}.tmp"))
    assert not path.exists()
    assert path.suffix == ".parquet" or path.stem in ("raw", "write") or path.with_suffix(".parquet").exists()
    assert list(go_on(shop).values()) == ["reused"] * reused + ["success"] * (len(STEPS) - reused)


@needs_strace
def test_a_resumed_run_that_is_killed_before_it_took_anything_over_stands_for_the_run_that_it_resumes(
    compiled: HeldShop, tmp_path: Path
) -> None:
    shop = HeldShop(shutil.copytree(compiled.root, tmp_path / "shop"))
    shop.fail()
    assert killed(shop, "link,linkat", "--resume", "last", path=shop.kept(1) / "orders.parquet")
    assert not shop.kept(2).exists()
    assert list(go_on(shop).values()) == ["reused"] * 3 + ["success"] * 2
    assert [run["resumed_from"] for run in shop.runs()] == ["run-000001", "run-000001", ""]


@needs_strace
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("resumed", [False, True], ids=["run", "resumed run"])
@pytest.mark.parametrize("call", ["fdatasync", "fsync", "rename", "link,linkat", "mkdir", "write"])
def test_a_run_killed_at_any_of_its_system_calls_can_be_gone_on_with(
    compiled: HeldShop, tmp_path: Path, call: str, *, resumed: bool
) -> None:
    number = 1
    while True:
        shop = HeldShop(shutil.copytree(compiled.root, tmp_path / f"{number}"))
        if resumed:
            shop.fail()
        if not killed(shop, call, *(("--resume", "last") if resumed else ("orders",)), number=number):
            return
        go_on(shop)
        number += 1
