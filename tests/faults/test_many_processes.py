"""Many processes at one journal: killed, stopped, forked, and with the lock's file taken away from under them."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osiris.locks import is_held
from tests.cli.shop import DEADLINE_S, Shop
from tests.faults.crew import Worker, crew
from tests.faults.journal_evidence import check_no_leftovers, check_rebuilds_agree, checked_entries, events_of
from tests.histories import tree

READING = [("runs", "list"), ("runs", "show", "last"), ("events",), ("pipelines", "list"), ("index", "head")]
VERIFY = ("index", "verify")
TAG = ("pipelines", "tag", "orders", "--add", "billing")
SLUGS = ("orders", "refunds", "stock")


@pytest.fixture
def impatient(used: Shop) -> Shop:
    """Waits but a moment for a lock."""
    used.write("osiris.yaml", 'version: "2.0"\nledger: {lock_timeout_s: 0.3}\n')
    return used


def lock_of(shop: Shop) -> Path:
    return shop.root / ".osiris" / "journal" / "LOCK"


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.005)


class Slot:
    """Runs that one worker after the other has to start: each takes over where the one before was killed."""

    def __init__(self, root: Path, slug: str, starts: int) -> None:
        self._root, self._slug, self._left = root, slug, starts
        self.heard: list[dict[str, Any]] = []
        self.worker = self._next_worker()

    def listen(self) -> bool:
        """Take in what the worker says next; False once it has ended."""
        document = self.worker.hear()
        if document is not None:
            self.heard.append(document)
            self._left -= "started" in document
        return document is not None

    def replace(self) -> None:
        """Kill the worker, hear what it had still said, and put another one in its place."""
        self.worker.send(signal.SIGKILL)
        while self.listen():
            pass
        self.worker.close()
        self.worker = self._next_worker()

    def _next_worker(self) -> Worker:
        worker = Worker("starts", self._root, self._slug, str(self._left))
        worker.tell()
        return worker


def start_runs_and_kill(slots: list[Slot], moments: set[int]) -> None:
    """Let all slots come to their end; whenever as many documents were heard as ``moments`` says, one worker dies."""
    working, heard = list(slots), 0
    while working:
        for ready in select.select([slot.worker for slot in working], [], [], DEADLINE_S)[0]:
            slot = next((slot for slot in working if slot.worker is ready), None)
            if slot is None:
                continue  # it was killed and replaced since the select
            if not slot.listen():
                slot.worker.end()
                working.remove(slot)
                continue
            heard += 1
            if heard in moments:
                random.choice(working).replace()


def check_starts(root: Path, heard: list[dict[str, Any]]) -> None:
    """Numbers have no gap in any pipeline, nothing is doubled, and all that was acknowledged is there once."""
    started = events_of(root, "run.started")
    for slug in SLUGS:
        numbers = [event["number"] for event in started if event["pipeline_slug"] == slug]
        assert numbers == list(range(1, len(numbers) + 1))
    starts = Counter((event["pipeline_slug"], event["run_id"]) for event in started)
    assert set(starts.values()) == {1}
    acknowledged = [(said["slug"], said["started"]) for said in heard if "started" in said]
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= starts.keys()
    ends = Counter((event["pipeline_slug"], event["run_id"]) for event in events_of(root, "run.finished"))
    assert set(ends.values()) == {1}
    assert {(said["slug"], said["finished"]) for said in heard if "finished" in said} <= ends.keys() <= starts.keys()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("processes", "starts", "kills"), [(6, 8, 12), pytest.param(32, 200, 150, marks=pytest.mark.slow)]
)
def test_many_start_runs_and_some_are_killed_and_numbers_have_no_gap_and_no_double(
    used: Shop, processes: int, starts: int, kills: int
) -> None:
    slots = [Slot(used.root, SLUGS[place % 3], starts) for place in range(processes)]
    try:
        start_runs_and_kill(slots, set(random.sample(range(1, processes * starts), kills)))
    finally:
        for slot in slots:
            slot.worker.close()
    heard = [said for slot in slots for said in slot.heard]
    assert sum("started" in said for said in heard) == processes * starts
    check_starts(used.root, heard)

    used.run(*TAG)
    ends = Counter((e["pipeline_slug"], e["run_id"]) for e in events_of(used.root, "run.finished", "run.interrupted"))
    assert ends == Counter((e["pipeline_slug"], e["run_id"]) for e in events_of(used.root, "run.started"))
    used.run(*VERIFY)
    check_no_leftovers(used.root)
    check_rebuilds_agree(used.root)


def check_that_writers_are_turned_away_and_readers_are_not(shop: Shop) -> None:
    before = tree(shop.root / ".osiris" / "journal")
    for refused in shop.all(TAG, ("run", "orders"), check=6):
        assert str(lock_of(shop)) in refused.err
    for result in shop.all(*READING, VERIFY):
        assert (bool(result.out), result.err) == (True, "")
    assert tree(shop.root / ".osiris" / "journal") == before


def check_all_goes_on(shop: Shop) -> None:
    shop.run(*TAG)
    shop.run(*VERIFY)
    check_rebuilds_agree(shop.root)


def test_a_writer_that_is_stopped_under_the_lock_turns_others_away_but_no_reader(impatient: Shop) -> None:
    with crew(("inside", impatient.root, "orders")) as [worker]:
        assert worker.hear() == {"inside": True}
        worker.send(signal.SIGSTOP)
        check_that_writers_are_turned_away_and_readers_are_not(impatient)
        worker.send(signal.SIGCONT)
        worker.tell()
        said = worker.hear()
        worker.end()
    last = checked_entries(impatient.root)[-1]
    assert said == {"seq": last["seq"]}
    assert last["event"]["added"] == ["inside"]
    check_all_goes_on(impatient)


def test_a_forked_child_does_not_keep_the_lock_of_a_dead_holder(impatient: Shop) -> None:
    with crew(("holds", impatient.root, "fork")) as [worker]:
        child = (worker.hear() or {})["child"]
        check_that_writers_are_turned_away_and_readers_are_not(impatient)
        worker.send(signal.SIGKILL)
        wait_for(lambda: not is_held(lock_of(impatient)))
        check_all_goes_on(impatient)
        os.kill(child, 0)  # raises if it did not outlive its parent
        os.kill(child, signal.SIGKILL)


def test_a_command_that_a_dead_holder_had_started_does_not_keep_its_lock(impatient: Shop) -> None:
    with crew(("holds", impatient.root, "exec")) as [worker]:
        child = (worker.hear() or {})["child"]
        worker.send(signal.SIGKILL)
        check_all_goes_on(impatient)
        os.kill(child, 0)  # raises if it did not outlive its parent


def unlinked(lock: Path) -> None:
    lock.unlink()


def replaced_by_a_new_file(lock: Path) -> None:
    lock.with_name("NEW").touch()
    lock.with_name("NEW").replace(lock)


def replaced_by_a_link(lock: Path) -> None:
    lock.unlink()
    lock.symlink_to(lock.parents[1] / "elsewhere")


@pytest.mark.parametrize("taken_away", [unlinked, replaced_by_a_new_file, replaced_by_a_link])
def test_two_that_hold_the_lock_through_two_files_never_lose_what_either_was_told_is_recorded(
    impatient: Shop, taken_away: Callable[[Path], None]
) -> None:
    with crew(("inside", impatient.root, "orders")) as [worker]:
        assert worker.hear() == {"inside": True}
        taken_away(lock_of(impatient))
        second = impatient.run(*TAG, check=None)
        worker.tell()
        said = worker.hear()
        worker.end(0 if said else 6)
    assert second.code in (0, 6), second.err
    entries = checked_entries(impatient.root)
    added = [entry["event"]["added"] for entry in entries if entry["event"]["type"] == "pipeline.tagged"]
    assert added.count(["billing"]) == (second.code == 0)
    assert added.count(["inside"]) == (said is not None)
    check_all_goes_on(impatient)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("starts", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_a_lock_that_is_unlinked_again_and_again_while_four_write_loses_nothing(used: Shop, starts: int) -> None:
    slots = [Slot(used.root, SLUGS[place % 3], starts) for place in range(4)]
    try:
        working = list(slots)
        while working:
            for ready in select.select([slot.worker for slot in working], [], [], DEADLINE_S)[0]:
                slot = next(slot for slot in working if slot.worker is ready)
                if slot.listen():
                    lock_of(used).unlink(missing_ok=True)
                else:
                    slot.worker.end()
                    working.remove(slot)
    finally:
        for slot in slots:
            slot.worker.close()
    check_starts(used.root, [said for slot in slots for said in slot.heard])
    check_all_goes_on(used)


def test_a_folder_in_the_locks_place_is_named_and_nothing_is_recorded(impatient: Shop) -> None:
    lock_of(impatient).unlink()
    lock_of(impatient).mkdir()
    before = tree(impatient.root / ".osiris" / "journal")
    for refused in impatient.all(TAG, ("run", "orders"), check=7):
        error, hint = refused.err.splitlines()[-2:]
        assert error.startswith(f"error: could not open the lock {lock_of(impatient)}: ")
        assert hint.startswith("Try: ")
    impatient.all(*READING, VERIFY)
    assert tree(impatient.root / ".osiris" / "journal") == before
    lock_of(impatient).rmdir()
    check_all_goes_on(impatient)


def test_of_eight_that_append_as_fast_as_they_can_none_starves(used: Shop) -> None:
    with crew(*[("appends", used.root, f"worker-{place}", "3") for place in range(8)]) as workers:
        counts = {said["name"]: said["per_second"] for said in (worker.hear() for worker in workers) if said}
        for worker in workers:
            worker.end()
    total = sum(sum(seconds) for seconds in counts.values())
    starved = {name for name, seconds in counts.items() if 0 in seconds and sum(seconds) < total / 8 / 20}
    assert (len(counts), starved) == (8, set()), counts
    added = Counter(event["added"][0] for event in events_of(used.root, "pipeline.tagged"))
    assert added == {name: sum(seconds) for name, seconds in counts.items()}
    check_all_goes_on(used)
