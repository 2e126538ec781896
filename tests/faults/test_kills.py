"""``kill -9`` before every system call of the verbs that write: nothing acknowledged is lost, and the next one works.

``osiris run`` has its own sweep beside the tests of the command line; here are a tag, a rebuild, the begin of a new
segment, the recovery of a torn tail, and a reading verb that brings the index up to date. A command is traced once, to
learn which of its system calls reach into the project's ``.osiris``; then a copy of the project is made for each of
them, and the command is killed at its entry.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from osiris.events.runs import PipelineTagged, RunTagged
from osiris.project import open_project
from tests.cli.shop import Result, Shop, new_shop
from tests.cli.test_killed_runs import STRACE, needs_strace
from tests.faults.journal_evidence import (
    check_no_leftovers,
    check_rebuilds_agree,
    checked_entries,
    events_of,
    journal_lines,
)
from tests.histories import begin, ending, make_build

SYNCS_AND_RENAMES = ("fdatasync", "fsync", "rename", "renameat", "renameat2")
ALL_CALLS = (
    *SYNCS_AND_RENAMES,
    *("write", "pwrite64", "openat", "unlink", "unlinkat", "mkdir", "rmdir", "ftruncate", "flock", "close"),
)
# Longer than what a recovery writes over it, so that the rest has to be cut off.
TORN = b'{"seq":4,"id":"01' + b"x" * 5000
TAG = ("pipelines", "tag", "orders", "--add", "killed")
_CALL = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<arguments>.*)")


def untouched(shop: Shop) -> None:
    """As one run left it."""


def grown(shop: Shop) -> None:
    """A history with several runs, failed ones as well, and changes of old lines; the index shows all of it."""
    ledger = open_project(shop.root, {}).ledger
    for slug, status in [("orders", "success"), ("orders", "failed"), ("other", "success")]:
        run = begin(ledger, make_build(slug))
        ledger.record_end(ending(run, status))
        ledger.sessions.close(run.started.session, run.session_lock)
    ledger.record(RunTagged(run_id=run.started.run_id, pipeline_slug="other", tags=("good",), tagged_at=""))
    ledger.close()


def tiny_segments(shop: Shop) -> None:
    """Every entry begins a new segment."""
    shop.write("osiris.yaml", 'version: "2.0"\nledger: {segment_mb: 0.0001}\n')


def torn_tail(shop: Shop) -> None:
    """A writer died in the middle of its entry."""
    with last_segment(shop).open("ab") as file:
        file.write(TORN)


def index_behind(shop: Shop) -> None:
    """Writers died right after the sync of their entries: one of each kind that an index file shows."""
    ledger = open_project(shop.root, {}).ledger
    run = begin(ledger, make_build("orders"))
    slug, run_id = run.started.pipeline_slug, run.started.run_id
    ledger.journal.append(ending(run))
    ledger.journal.append(RunTagged(run_id=run_id, pipeline_slug=slug, tags=("good",), tagged_at=""))
    tags = ("late",)
    ledger.journal.append(PipelineTagged(pipeline_slug=slug, tags=tags, tagged_at="", added=tags, removed=()))
    ledger.sessions.close(run.started.session, run.session_lock)
    ledger.close()


class Scenario(NamedTuple):
    """A command that is killed, and the project in which that happens."""

    prepare: Callable[[Shop], None]
    command: tuple[str, ...]
    codes_of_verify_before: frozenset[int] = frozenset({0, 3})
    torn: bool = False


SCENARIOS = {
    "a tag": Scenario(untouched, TAG),
    "a rebuild": Scenario(grown, ("index", "rebuild")),
    "a new segment": Scenario(tiny_segments, TAG),
    "a recovery": Scenario(torn_tail, TAG, frozenset({0, 3, 4}), torn=True),
    "a catch-up": Scenario(index_behind, ("runs", "list")),
}


class Moment(NamedTuple):
    """The ``number``-th system call of its name in a command, and what strace wrote of it."""

    call: str
    number: int
    arguments: str


def last_segment(shop: Shop) -> Path:
    return max((shop.root / ".osiris" / "journal").glob("*.ndjson"))


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = new_shop(tmp_path_factory.mktemp("ran-once") / "shop")
    shop.run("run", "orders")
    return shop


def traced(shop: Shop, command: tuple[str, ...], trace: Path, *options: str) -> Result:
    strace = (STRACE or "", "-f", "-y", "-qq", "-s", "16", "-o", str(trace), *options)
    return shop.end(shop.start(*command, before=strace), None)


def moments(shop: Shop, command: tuple[str, ...], calls: tuple[str, ...], trace: Path) -> Iterator[Moment]:
    """The calls that reach into the project's ``.osiris`` when ``command`` runs to its end in ``shop``."""
    assert traced(shop, command, trace, "-e", f"trace={','.join(calls)}").code == 0
    counts: dict[str, int] = {}
    pids = set()
    for line in trace.read_text("utf-8", "replace").splitlines():
        match = _CALL.match(line)
        assert match, line
        pids.add(match["pid"])
        call = match["call"]
        counts[call] = counts.get(call, 0) + 1
        if f"{shop.root}/.osiris" in match["arguments"]:
            yield Moment(call, counts[call], match["arguments"])
    assert len(pids) == 1, "strace counts the calls of each process by themselves"


def check_after_a_kill(
    shop: Shop, before: list[bytes], killed: Result, scenario: Scenario, *, look_first: bool
) -> None:
    """What must hold of a project in which a command was killed, at once and after one ordinary writing command."""
    assert journal_lines(shop.root)[: len(before)] == before
    if look_first:
        assert shop.run("index", "verify", check=None).code in scenario.codes_of_verify_before
    else:
        shop.run("runs", "list")
    shop.run("pipelines", "tag", "orders", "--add", "next")
    shop.run("index", "verify")
    checked_entries(shop.root)
    assert journal_lines(shop.root)[: len(before)] == before
    added = [event["added"] for event in events_of(shop.root, "pipeline.tagged")][-2:]
    assert added[-1] == ["next"]
    if scenario.command == TAG:
        times = sum("killed" in event["added"] for event in events_of(shop.root, "pipeline.tagged"))
        assert times == 1 if "orders: killed" in killed.out else times <= 1
    if scenario.torn:
        check_the_torn_bytes_are_kept(shop)
    check_no_leftovers(shop.root)
    check_rebuilds_agree(shop.root)


def check_the_torn_bytes_are_kept(shop: Shop) -> None:
    recoveries = events_of(shop.root, "journal.recovered")
    kept = [shop.read(f".osiris/journal/{event['kept_as']}") for event in recoveries]
    # A recovery that was killed after its write leaves a shorter torn tail, which is recovered in its turn.
    assert TORN in kept
    assert [event["bytes_cut"] for event in recoveries] == [len(content) for content in kept]


@needs_strace
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "calls"),
    [
        *((name, SYNCS_AND_RENAMES) for name in SCENARIOS if name != "a catch-up"),
        *(pytest.param(name, ALL_CALLS, marks=pytest.mark.slow) for name in SCENARIOS),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} calls",
)
def test_killed_at_any_system_call_nothing_acknowledged_is_lost_and_the_next_command_works(
    ran_once: Shop, tmp_path: Path, name: str, calls: tuple[str, ...]
) -> None:
    scenario = SCENARIOS[name]
    prepared = Shop(shutil.copytree(ran_once.root, tmp_path / "prepared"))
    scenario.prepare(prepared)
    before = journal_lines(prepared.root)
    trace = tmp_path / "trace"
    whole = Shop(shutil.copytree(prepared.root, tmp_path / "whole"))
    found = list(moments(whole, scenario.command, calls, trace))
    assert found
    failures = []
    for count, moment in enumerate(found):
        shop = Shop(shutil.copytree(prepared.root, tmp_path / f"{count}"))
        inject = f"inject={moment.call}:signal=KILL:when={moment.number}"
        killed = traced(shop, scenario.command, trace, "-e", f"trace={moment.call}", "-e", inject)
        assert killed.code != 0, f"it came to its end, without {moment}"
        assert f"{shop.root}/.osiris" in trace.read_text("utf-8", "replace").splitlines()[-2]
        try:
            check_after_a_kill(shop, before, killed, scenario, look_first=count % 2 == 0)
        except AssertionError as failure:
            failures.append(f"killed at {moment.call} {moment.number} ({moment.arguments}: {failure}")
        shutil.rmtree(shop.root)
    assert not failures, "\n".join(failures)
