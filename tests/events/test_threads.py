"""One journal or ledger that many threads use, or a forked child: every entry once, each thread's in its order."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from osiris import durable
from osiris.errors import ExitCode, OsirisError
from osiris.events.entry import Entry
from osiris.events.journal import Journal
from osiris.events.runs import PipelineTagged
from osiris.ledger.index import verify_index
from osiris.ledger.queries import RunFilter, list_runs
from tests.events.test_journal import fact, make_journal
from tests.histories import begin, end, make_ledger

DEADLINE_S = 60
HOLD = """
import sys
from pathlib import Path
from osiris.locks import acquire
with acquire(Path(sys.argv[1]), timeout_s=10, purpose="the test"):
    print("held", flush=True)
    sys.stdin.read()
"""


class Crew:
    """Threads that append ``each`` entries through one journal, and what became of every append."""

    def __init__(self, journal: Journal, threads: int, each: int) -> None:
        self.journal = journal
        self.each = each
        self.written: list[Entry] = []
        self.failed: dict[tuple[str, str], OsirisError] = {}
        self._changed = threading.Condition()
        self._busy = 0
        self._alive = threads
        self._threads = [threading.Thread(target=self._append, args=(f"t{number}",)) for number in range(threads)]

    def run(self) -> None:
        """Let them append, and wait for all."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()

    def wait_until_all_append(self) -> None:
        """Until every thread that is not done yet is in the middle of an append."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._busy == self._alive, DEADLINE_S)

    def _append(self, name: str) -> None:
        for number in range(self.each):
            with self._changed:
                self._busy += 1
                self._changed.notify_all()
            event = PipelineTagged(pipeline_slug=name, tags=(str(number),), tagged_at="")
            try:
                self.written.append(self.journal.append(event))
            except OsirisError as error:
                self.failed[name, str(number)] = error
            with self._changed:
                self._busy -= 1
                self._alive -= number + 1 == self.each
                self._changed.notify_all()


def recorded(journal: Journal) -> list[tuple[str, str]]:
    """Thread and number of each entry, in the journal's order."""
    events = [entry.event for entry in journal.read() if isinstance(entry.event, PipelineTagged)]
    return [(event.pipeline_slug, event.tags[0]) for event in events]


def check_order(journal: Journal, threads: int, each: int) -> None:
    """All are there, once, and each thread's own in its order."""
    pairs = recorded(journal)
    assert len(pairs) == threads * each
    for number in range(threads):
        assert [text for name, text in pairs if name == f"t{number}"] == [str(number) for number in range(each)]


def test_32_threads_make_one_chain_with_far_fewer_syncs_than_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(make_journal(tmp_path, segment_bytes=100_000), threads=32, each=50)
    syncs: list[int] = []
    sync_file = durable.sync_file

    def sync_slowly(fd: int) -> None:
        syncs.append(fd)
        sync_file(fd)
        crew.wait_until_all_append()  # as if the disk were slow, so that it does not depend on how fast it is

    with monkeypatch.context() as patched:
        patched.setattr(durable, "sync_file", sync_slowly)
        crew.run()
    assert crew.failed == {}
    assert sorted(entry.seq for entry in crew.written) == list(range(1, 1_601))
    assert list(make_journal(tmp_path).read()) == sorted(crew.written)
    check_order(make_journal(tmp_path), threads=32, each=50)
    assert len(syncs) < 1_600 / 4


def test_an_event_that_cannot_be_an_entry_fails_its_own_thread_alone(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    texts = [*(f"good {number}" for number in range(8)), "\ud800", "x" * 1_100_000]
    errors: dict[str, OsirisError] = {}
    start = threading.Barrier(len(texts))

    def append(text: str) -> None:
        start.wait(DEADLINE_S)
        try:
            journal.append(fact(text))
        except OsirisError as error:
            errors[text] = error

    threads = [threading.Thread(target=append, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert {text: error.code for text, error in errors.items()} == {
        texts[-2]: "journal.not_utf8",
        texts[-1]: "journal.entry_too_large",
    }
    events = [entry.event for entry in make_journal(tmp_path).read()]
    assert sorted(event.pipeline_slug for event in events if isinstance(event, PipelineTagged)) == texts[:8]


@pytest.mark.parametrize("can_take_back", [True, False])
def test_a_disk_that_fails_fails_the_threads_of_that_batch_and_none_of_their_entries_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_take_back: bool
) -> None:
    crew = Crew(make_journal(tmp_path), threads=16, each=20)
    lost: list[tuple[str, str]] = []
    write_at, cut = durable.write_at, durable.cut

    def fail_one_batch(fd: int, content: bytes, offset: int) -> int:
        if not lost and content.count(b"\n") > 1:
            events = [json.loads(line)["event"] for line in content.splitlines()]
            lost.extend((event["pipeline_slug"], event["tags"][0]) for event in events)
            raise OSError(5, "Input/output error")
        if not lost:
            crew.wait_until_all_append()
        return write_at(fd, content, offset)

    def refuse_to_cut(fd: int, size: int) -> None:
        if not can_take_back:
            raise OSError(5, "Input/output error")
        cut(fd, size)

    with monkeypatch.context() as patched:
        patched.setattr(durable, "write_at", fail_one_batch)
        patched.setattr(durable, "cut", refuse_to_cut)
        crew.run()
    assert len(lost) > 1
    assert {error.exit_code for error in crew.failed.values()} == {ExitCode.DISK}
    pairs = recorded(make_journal(tmp_path))
    assert len(set(pairs)) == len(pairs) == len(crew.written)
    assert not set(pairs) & set(lost)
    of_batch = {pair for pair, error in crew.failed.items() if error.code != "journal.fenced"}
    assert of_batch == set(lost)
    if can_take_back:
        assert set(crew.failed) == set(lost)
        assert len(pairs) == 16 * 20 - len(lost)
    else:
        assert {crew.failed[pair].code for pair in lost} == {"journal.outcome_unknown"}
        assert len(pairs) + len(crew.failed) == 16 * 20


def test_every_thread_that_waits_for_a_lock_held_by_another_process_gets_exit_6(tmp_path: Path) -> None:
    make_journal(tmp_path).append(fact("before"))
    lock = tmp_path / "journal" / "LOCK"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=-1, stdout=-1, encoding="utf-8")
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        crew = Crew(make_journal(tmp_path, lock_timeout_s=0.3), threads=16, each=1)
        crew.run()
        assert len(crew.failed) == 16
        assert {(error.exit_code, error.path) for error in crew.failed.values()} == {(ExitCode.LOCKED, str(lock))}
    finally:
        holder.communicate("", timeout=DEADLINE_S)
    assert recorded_slugs(tmp_path) == ["before"]
    crew.journal.append(fact("after"))
    assert recorded_slugs(tmp_path) == ["before", "after"]


def recorded_slugs(root: Path) -> list[str]:
    events = [entry.event for entry in make_journal(root).read()]
    return [event.pipeline_slug for event in events if isinstance(event, PipelineTagged)]


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """Run ``work`` in so many threads at once; an error of any of them is the test's."""
    errors: list[BaseException] = []

    def run(which: int) -> None:
        try:
            work(which)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(which,)) for which in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_threads_that_share_a_ledger_number_their_runs_without_gaps_and_keep_its_index(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path, segment_bytes=20_000)
    numbers: list[int] = []

    def start_tag_and_finish(which: int) -> None:
        for turn in range(5):
            run = begin(ledger)
            numbers.append(run.started.number)
            ledger.record(PipelineTagged(pipeline_slug=f"t{which}", tags=(str(turn),), tagged_at=""))
            end(ledger, run)

    in_threads(8, start_tag_and_finish)
    assert sorted(numbers) == list(range(1, 41))
    assert [entry.seq for entry in make_ledger(tmp_path).journal.read()] == list(range(1, 121))
    check_order(ledger.journal, threads=8, each=5)
    ledger.close()
    assert verify_index(make_ledger(tmp_path)).result == "ok"
    runs = list_runs(make_ledger(tmp_path), RunFilter(), 100)
    assert [run.status for run in runs] == ["success"] * 40
    assert begin(make_ledger(tmp_path)).started.number == 41
