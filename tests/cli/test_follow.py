"""``osiris events --follow``: every entry once and in order, whatever others do to the journal and the index."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.shop import DEADLINE_S, OSIRIS, Shop, environment
from tests.cli.test_events import append, make_tiny, opened, segments
from tests.histories import begin, end

APPEND = """
import sys
from pathlib import Path
from osiris.events.runs import PipelineTagged
from osiris.project import open_project
journal = open_project(Path(sys.argv[1]), {}).ledger.journal
for number in range(int(sys.argv[2])):
    journal.append(PipelineTagged(pipeline_slug="orders", tags=(str(number),), tagged_at="x" * 80 * (number % 5)))
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Shop:
    """A project with tiny segments in which nothing has happened yet."""
    return make_tiny(tmp_path / "shop")


class Following:
    """``osiris events --follow`` while it runs; ``seqs`` are the entries that it has shown so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seqs: list[int] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, seq: int) -> None:
        """Wait until the entry is shown."""
        deadline = time.monotonic() + DEADLINE_S
        while seq not in self.seqs:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.errors()}"
            assert time.monotonic() < deadline, f"entry {seq} did not come; the last one was {self.seqs[-1:]}"
            time.sleep(0.01)

    def ended(self) -> tuple[int, str]:
        """Wait for its end: the exit code, and all that it had to say besides."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code, self.errors()

    def errors(self) -> str:
        """What is on stderr; only for a process that has ended."""
        assert self.process.stderr is not None
        text = self.process.stderr.read()
        assert "Traceback" not in text
        return text

    def stopped(self) -> list[int]:
        """Ctrl-C; all that it had shown."""
        self.process.send_signal(signal.SIGINT)
        code, said = self.ended()
        assert (code, said.strip()) == (130, "")  # a line end goes behind the terminal's ^C
        return self.seqs

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seqs.append(int(line.split()[0]))


@contextmanager
def following(shop: Shop, *options: str) -> Iterator[Following]:
    process = shop.start("events", "--follow", *options)
    try:
        yield Following(process)
    finally:
        process.kill()
        process.wait()


def test_follow_shows_what_others_append_over_roll_overs_and_whatever_becomes_of_the_index(tiny: Shop) -> None:
    tiny.run("compile", "orders")
    index = tiny.root / ".osiris" / "index"
    with following(tiny) as follower:
        follower.wait_for(1)
        append(tiny, 12)
        follower.wait_for(13)
        assert len(segments(tiny)) >= 3
        tiny.run("index", "rebuild")
        append(tiny, 1)
        follower.wait_for(14)
        shutil.rmtree(index)
        append(tiny, 1)
        follower.wait_for(15)
        assert not index.exists(), "who follows needs no index"
        tiny.run("pipelines", "tag", "orders", "--add", "billing")
        follower.wait_for(16)
        assert follower.stopped() == list(range(1, 17))


def test_follow_waits_for_a_journal_that_does_not_exist_yet(tmp_path: Path) -> None:
    made = subprocess.run([OSIRIS, "init", "fresh"], cwd=tmp_path, env=environment(), capture_output=True, check=True)
    shop = Shop(tmp_path / "fresh")
    with (shop.root / "osiris.yaml").open("a") as file:
        file.write("\nnobody_knows_this: 1\n")  # its warning tells when the command has opened the project
    assert made.returncode == 0
    assert segments(shop) == []
    with following(shop) as follower, following(shop, "--since", "2") as later:
        for started in (follower, later):
            assert started.process.stderr is not None
            assert "nobody_knows_this" in started.process.stderr.readline()
        append(shop, 3)
        follower.wait_for(3)
        later.wait_for(3)
        assert follower.stopped() == [1, 2, 3]
        assert later.stopped() == [3]


@pytest.mark.parametrize("since", [0, 3, 4, 11, 12, 15])
def test_follow_starts_behind_any_entry_there_is_or_will_be(tiny: Shop, since: int) -> None:
    append(tiny, 12)
    with following(tiny, "--since", str(since)) as follower:
        if since < 12:
            follower.wait_for(12)
        append(tiny, 6)
        follower.wait_for(18)
        assert follower.stopped() == list(range(since + 1, 19))


def test_follow_shows_an_entry_once_it_is_whole_and_what_a_recovery_writes_over_a_torn_tail(tiny: Shop) -> None:
    append(tiny, 2)
    longer = Shop(shutil.copytree(tiny.root, tiny.root.with_name("longer")))
    append(longer, 1)
    path = segments(tiny)[0]
    good, whole = path.read_bytes(), (longer.root / path.relative_to(tiny.root)).read_bytes()
    path.write_bytes(whole[: len(good) + 100])
    with following(tiny) as follower:
        follower.wait_for(2)
        with path.open("ab") as file:
            file.write(whole[len(good) + 100 :])
        follower.wait_for(3)
        with segments(tiny)[-1].open("ab") as file:
            file.write(b"\0" * 4096)
        append(tiny, 5)
        follower.wait_for(9)
        assert tiny.types()[3] == "journal.recovered"
        assert follower.stopped() == list(range(1, 10))


def test_follow_keeps_to_the_type_and_the_run_that_it_was_asked_for(tiny: Shop) -> None:
    with opened(tiny) as ledger:
        run = begin(ledger)
        with following(tiny, "--run", "last") as of_run, following(tiny, "--type", "run.finished") as of_type:
            of_run.wait_for(1)
            append(tiny, 5)
            other = begin(ledger)
            end(ledger, run)
            end(ledger, other)
            of_run.wait_for(8)
            of_type.wait_for(9)
            assert of_run.stopped() == [1, 8]
            assert of_type.stopped() == [8, 9]


def test_follow_ends_quietly_when_nobody_reads_it_any_more(tiny: Shop) -> None:
    append(tiny, 1)
    process = tiny.start("events", "--follow", "--json")
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["seq"] == 1
        process.stdout.close()
        append(tiny, 1)
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", ["its end is cut off", "its last segment is removed", "it is another journal now"])
def test_follow_ends_with_exit_5_when_the_journal_is_rolled_back_under_it(tiny: Shop, how: str) -> None:
    append(tiny, 10)
    last = segments(tiny)[-1]
    with following(tiny) as follower:
        follower.wait_for(10)
        if how == "its end is cut off":
            with last.open("r+b") as file:
                file.truncate(last.stat().st_size - 5)
        elif how == "its last segment is removed":
            last.unlink()
        else:
            last.write_bytes(last.read_bytes().replace(b'"at":"20', b'"at":"19'))
        code, said = follower.ended()
    assert code == 5
    assert said.startswith(f"error: {last}: entry 10")
    assert "rolled back" in said
    assert "Try: Restore the journal from a backup" in said
    assert follower.seqs == list(range(1, 11))


def test_nothing_is_shown_twice_or_left_out_while_four_processes_append_and_segments_roll_over(tiny: Shop) -> None:
    append(tiny, 5)
    with following(tiny) as follower, following(tiny, "--since", "30") as later:
        writers = [subprocess.Popen([sys.executable, "-c", APPEND, tiny.root, "50"]) for _ in range(4)]
        try:
            assert [writer.wait(DEADLINE_S) for writer in writers] == [0] * 4
        finally:
            for writer in writers:
                writer.kill()
        assert len(segments(tiny)) > 30
        follower.wait_for(205)
        later.wait_for(205)
        assert follower.stopped() == list(range(1, 206))
        assert later.stopped() == list(range(31, 206))
