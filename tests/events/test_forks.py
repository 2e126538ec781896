"""A forked child and its parent are two writers like any others, at whatever moment the child was made."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osiris.events.runs import PipelineTagged
from tests.events.test_journal import fact, make_journal

DEADLINE_S = 60
PRELUDE = """
import os, signal, sys, threading, traceback
from pathlib import Path
from osiris import durable
from osiris.clock import SystemClock
from osiris.events import segment_writer
from osiris.events.journal import Journal
from osiris.events.runs import PipelineTagged
journal = Journal(Path(sys.argv[1]) / "journal", clock=SystemClock(), segment_bytes=2_000, lock_timeout_s=30)
def append(who, first, number):
    for text in range(first, first + number):
        journal.append(PipelineTagged(pipeline_slug=who, tags=(str(text),), tagged_at=""))
def fork(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child
def expect_success(child):
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
"""
BOTH_APPEND = """
append("parent", 0, 3)
children = [fork(lambda number=number: append(f"child {number}", 0, 40)) for number in range(2)]
append("parent", 3, 40)
for child in children:
    expect_success(child)
append("parent", 43, 3)
"""
THREADS_APPEND = """
append("parent", 0, 1)
threads = [threading.Thread(target=append, args=(f"thread {number}", 0, 40)) for number in range(4)]
for thread in threads:
    thread.start()
children = [fork(lambda number=number: append(f"child {number}", 0, 10)) for number in range(4)]
for child in children:
    expect_success(child)
for thread in threads:
    thread.join()
"""
# A fork in another thread can fall between any two calls; here it is made inside of one, all the same to the child.
FORK_WITHIN = """
module, name, when = sys.argv[2:]
append("parent", 0, 5)
children, forked = [], []
def fork_once():
    if not forked:
        forked.append(True)
        children.append(fork(lambda: append("child", 0, 3)))
real = getattr(sys.modules[module], name)
def within(*args):
    if module == "os" and sys._getframe(1).f_globals["__name__"] != "osiris.events.segment_writer":
        return real(*args)
    if when == "before":
        fork_once()
    result = real(*args)
    if when == "after":
        fork_once()
    return result
setattr(sys.modules[module], name, within)
append("late parent", 0, 4)
setattr(sys.modules[module], name, real)
for child in children:
    expect_success(child)
print(len(children))
"""
# The first append imports what it makes ids with. A thread that is in the middle of that does not exist in a child.
FIRST_APPEND = """
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "ulid":
            importing.set()
            forked.wait(1)
importing, forked = threading.Event(), threading.Event()
assert "ulid" not in sys.modules
sys.meta_path.insert(0, Finder())
thread = threading.Thread(target=append, args=("thread", 0, 1))
thread.start()
importing.wait()
def die_or_append():
    signal.alarm(30)
    append("child", 0, 1)
child = fork(die_or_append)
forked.set()
thread.join()
expect_success(child)
"""
DIE_WITH_THE_LOCK = """
append("parent", 0, 1)
with journal.lock():
    child = fork(lambda: (print("ready", flush=True), sys.stdin.read()))
    sys.stdin.close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
CHILD_OF_A_HOLDER = """
with journal.lock():
    def look():
        other = Journal(journal.directory, clock=SystemClock(), segment_bytes=2_000, lock_timeout_s=0.2)
        for one in (journal, other):
            one._lock_timeout_s = 0.2
            try:
                one.append(PipelineTagged(pipeline_slug="child", tags=("0",), tagged_at=""))
            except Exception as error:
                assert error.exit_code == 6, error
            else:
                raise AssertionError("it appended beside the holder of the lock")
    expect_success(fork(look))
append("parent", 0, 1)
"""


def run(script: str, root: Path, *args: str) -> str:
    """Run a script in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRELUDE + script, root, *args],
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def recorded(root: Path) -> dict[str, list[int]]:
    """What each writer recorded, in the journal's order."""
    found: dict[str, list[int]] = {}
    for entry in make_journal(root).read():
        assert isinstance(entry.event, PipelineTagged)
        found.setdefault(entry.event.pipeline_slug, []).append(int(entry.event.tags[0]))
    return found


def test_children_that_append_through_the_journal_they_inherited_make_one_chain_with_their_parent(
    tmp_path: Path,
) -> None:
    run(BOTH_APPEND, tmp_path)
    expected = {"parent": list(range(46)), "child 0": list(range(40)), "child 1": list(range(40))}
    assert recorded(tmp_path) == expected


def test_children_forked_while_threads_append_make_one_chain_with_them(tmp_path: Path) -> None:
    run(THREADS_APPEND, tmp_path)
    threads = {f"thread {number}": list(range(40)) for number in range(4)}
    assert recorded(tmp_path) == {
        "parent": [0],
        **threads,
        **{f"child {number}": list(range(10)) for number in range(4)},
    }


def test_a_child_forked_while_a_thread_makes_the_very_first_append_does_not_hang(tmp_path: Path) -> None:
    run(FIRST_APPEND, tmp_path)
    assert recorded(tmp_path) == {"thread": [0], "child": [0]}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "call",
    [
        ("osiris.durable", "open_for_writing"),
        ("osiris.durable", "write_at"),
        ("osiris.durable", "sync_file"),
        ("osiris.durable", "sync_directory"),
        ("os", "close"),
        ("os", "fstat"),
    ],
    ids=lambda call: call[1],
)
def test_a_child_forked_in_the_middle_of_an_append_that_rolls_over_can_append(
    tmp_path: Path, call: tuple[str, str], when: str
) -> None:
    assert int(run(FORK_WITHIN, tmp_path, *call, when)) == 1
    assert recorded(tmp_path) == {"parent": [0, 1, 2, 3, 4], "late parent": [0, 1, 2, 3], "child": [0, 1, 2]}


def test_a_child_forked_by_the_holder_of_the_lock_does_not_hold_it(tmp_path: Path) -> None:
    run(CHILD_OF_A_HOLDER, tmp_path)
    assert recorded(tmp_path) == {"parent": [0]}


def test_the_lock_of_a_killed_parent_is_free_although_its_child_lives(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + DIE_WITH_THE_LOCK, tmp_path], stdin=-1, stdout=-1, encoding="utf-8"
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert parent.wait(DEADLINE_S) == -signal.SIGKILL
        make_journal(tmp_path, lock_timeout_s=2).append(fact("0"))
    finally:
        parent.kill()
        parent.communicate("", timeout=DEADLINE_S)
