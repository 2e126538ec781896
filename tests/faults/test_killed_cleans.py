"""``kill -9`` before every system call with which a clean touches the project: the next clean finishes it.

A clean is traced once, to learn its calls; then a copy of the project is made for each of them, and the clean is killed
at its entry.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.shop import Shop, new_shop
from tests.cli.test_killed_runs import needs_strace
from tests.faults.journal_evidence import check_no_leftovers, check_rebuilds_agree, checked_entries, journal_lines
from tests.faults.test_failing_prunes import named, without_ledger
from tests.faults.test_kills import _CALL, Moment, traced
from tests.retention.aged import annex, runs_days_ago

CLEAN = ("maintenance", "clean", "--apply", "--keep-runs", "1")
REMOVALS_AND_SYNCS = ("unlinkat", "rmdir", "fsync", "fdatasync")
ALL_CALLS = (
    *REMOVALS_AND_SYNCS,
    "rename",
    "write",
    "pwrite64",
    "openat",
    "unlink",
    "mkdir",
    "ftruncate",
    "flock",
    "close",
)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, set[str]]:
    """A project, and the paths that a clean of it deletes, in two batches."""
    shop = new_shop(tmp_path_factory.mktemp("old") / "shop")
    shop.write("osiris.yaml", "retention: {batch_size: 2}\n")
    *due, _ = runs_days_ago(shop.root, 20, 10, 0, now=datetime.now(UTC))
    return shop, {path for run in due for path in (run.run_logs_path, annex(run))}


def moments(shop: Shop, calls: tuple[str, ...], trace: Path) -> Iterator[Moment]:
    """The calls that reach into the project when a clean runs to its end in ``shop``."""
    assert traced(shop, CLEAN, trace, "-e", f"trace={','.join(calls)}").code == 0
    counts: dict[str, int] = {}
    for line in trace.read_text("utf-8", "replace").splitlines():
        match = _CALL.match(line)
        assert match, line
        counts[match["call"]] = counts.get(match["call"], 0) + 1
        if f"{shop.root}" in match["arguments"]:
            yield Moment(match["call"], counts[match["call"]], match["arguments"])


def check_after_a_kill(shop: Shop, due: set[str], before: set[str], lines: list[bytes], *, look_first: bool) -> None:
    """What must hold of a project in which a clean was killed, at once and after the next one."""
    assert journal_lines(shop.root)[: len(lines)] == lines
    planned, pruned = set(named(shop, "retention.planned")), set(named(shop, "retention.pruned"))
    assert pruned <= planned <= due
    assert not [path for path in pruned if (shop.root / path).exists()]
    missing = before - set(without_ledger(shop))
    assert all(any(f"{path}/".startswith(f"{one}/") for one in planned) for path in missing), "gone without a plan"
    if look_first:
        assert shop.run("index", "verify", check=None).code in {0, 3}
        shown = shop.run("maintenance", "clean", "--keep-runs", "1", "--json").json
        assert {path for plan in shown["unfinished"] for path in plan["paths"]} == planned - pruned
    shop.run(*CLEAN)
    shop.run("index", "verify")
    assert set(named(shop, "retention.pruned")) == set(named(shop, "retention.planned")) == due
    after = {path for path in before if not any(f"{path}/".startswith(f"{one}/") for one in due)}
    assert set(without_ledger(shop)) == after
    number = len(checked_entries(shop.root))
    assert shop.run(*CLEAN).out.startswith("nothing to delete")
    assert len(checked_entries(shop.root)) == number
    check_no_leftovers(shop.root)
    check_rebuilds_agree(shop.root)


@needs_strace
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("calls", "step"),
    [
        pytest.param(REMOVALS_AND_SYNCS, 4, id="every fourth removal or sync"),
        pytest.param(REMOVALS_AND_SYNCS, 1, id="every removal and sync", marks=pytest.mark.slow),
        pytest.param(ALL_CALLS, 1, id="every call", marks=pytest.mark.slow),
    ],
)
def test_a_clean_that_is_killed_at_any_system_call_is_finished_by_the_next_one(
    old: tuple[Shop, set[str]], tmp_path: Path, calls: tuple[str, ...], step: int
) -> None:
    source, due = old
    before, lines = set(without_ledger(source)), journal_lines(source.root)
    trace = tmp_path / "trace"
    whole = Shop(shutil.copytree(source.root, tmp_path / "whole"))
    found = list(moments(whole, calls, trace))
    assert {"unlinkat", "fdatasync"} <= {moment.call for moment in found}
    failures = []
    for count, moment in enumerate(found[::step]):
        shop = Shop(shutil.copytree(source.root, tmp_path / f"{count}"))
        inject = f"inject={moment.call}:signal=KILL:when={moment.number}"
        killed = traced(shop, CLEAN, trace, "-e", f"trace={moment.call}", "-e", inject)
        assert killed.code != 0, f"it came to its end, without {moment}"
        try:
            check_after_a_kill(shop, due, before, lines, look_first=count % 2 == 0)
        except AssertionError as failure:
            failures.append(f"killed at {moment.call} {moment.number} ({moment.arguments}: {failure}")
        shutil.rmtree(shop.root)
    assert not failures, "\n".join(failures)
