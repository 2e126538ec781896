"""Verify compares growing files while it reads the journal: what it says of a file is what a plain comparison says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.events.retention import PrunedRun, RetentionPruned
from osiris.events.runs import RunTagged
from osiris.ledger import verify
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.line_comparison import ComparedFile, Difference
from osiris.ledger.replay import Replay
from tests.histories import begin, end, make_ledger, text_files

LINES = st.lists(st.sampled_from([b"a\n", b"ba\n", b"\n", b"c" * 700 + b"\n", b"xc\n"]), min_size=1, max_size=300)
ACTUAL = st.one_of(LINES, st.lists(st.sampled_from([b"a\n", b"ba\n", b"a", b"\n\n", b""]), max_size=6))


def plainly(actual: bytes, wanted: list[bytes], *, newest_first: bool) -> tuple[str, int]:
    """The problem and the line of a file, found with all of it in memory; ``wanted`` is as it should stand there."""
    have = actual.splitlines(keepends=True)
    if have == wanted:
        return "", 0
    if not have:
        return "empty", 0
    if wanted[-len(have) :] == have if newest_first else wanted[: len(have)] == have:
        return "stale", 0
    step = -1 if newest_first else 1
    alike = 0
    for one, other in zip(have[::step], wanted[::step], strict=False):
        if one != other:
            break
        alike += 1
    return "edited", len(have) - alike if newest_first else alike + 1


@given(wanted=LINES, other=ACTUAL, keep=st.integers(0, 300), newest_first=st.booleans(), at_once=st.integers(1, 400))
@settings(max_examples=300)
def test_lines_compared_piece_by_piece_differ_where_the_whole_file_does(
    tmp_path_factory: pytest.TempPathFactory,
    wanted: list[bytes],
    other: list[bytes],
    keep: int,
    newest_first: bool,
    at_once: int,
) -> None:
    directory = tmp_path_factory.mktemp("index")
    made = wanted[::-1] if newest_first else wanted
    for actual in (b"".join(wanted), b"".join(wanted[:keep] + other), b"".join(other + wanted[-keep:])):
        (directory / "lines").write_bytes(actual)
        file = ComparedFile("lines", newest_first=newest_first)
        for start in range(0, len(made), at_once):
            file.compare(directory, made[start : start + at_once], may_defer=False)
        found = file.finish(directory)
        assert (found.problem if found else "", found.line if found else 0) == plainly(
            actual, wanted, newest_first=newest_first
        )
        assert file.wanted_bytes == sum(map(len, wanted))


@pytest.fixture
def revised(tmp_path: Path) -> Ledger:
    """A ledger in which later entries changed the lines of three of six runs, one of them twice."""
    ledger = make_ledger(tmp_path)
    runs = []
    for _ in range(6):
        run = begin(ledger)
        end(ledger, run)
        runs.append(run.started)
    for run_of, tags in ((runs[1], ("eu",)), (runs[4], ("ml",)), (runs[1], ("eu", "ml"))):
        ledger.record(tagged(run_of.run_id, *tags))
    pruned = (PrunedRun(run_id=runs[5].run_id, pipeline_slug="orders", paths=("run_logs/x",)),)
    ledger.record(RetentionPruned(plan_id="p", pruned_at="2026-11-22T00:00:00.000000Z", runs=pruned))
    return ledger


def tagged(run_id: str, *tags: str) -> RunTagged:
    return RunTagged(run_id=run_id, pipeline_slug="orders", tags=tags, tagged_at="")


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    passes: list[int] = []
    run = Replay.run

    def counted(replay: Replay, *arguments: object) -> object:
        passes.append(1)
        return run(replay, *arguments)  # type: ignore[arg-type]  # handed on as they come

    monkeypatch.setattr(Replay, "run", counted)
    return passes


def test_lines_that_later_entries_changed_are_no_difference_and_need_no_second_pass(
    revised: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = count_passes(monkeypatch)
    assert verify_index(revised).result == "ok"
    assert len(passes) == 1


def test_more_changed_lines_than_memory_allows_take_a_second_pass(
    revised: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_DEFERRED_BYTES", 0)
    passes = count_passes(monkeypatch)
    assert verify_index(revised).result == "ok"
    assert len(passes) == 2


@pytest.mark.parametrize("deferred_bytes", [0, 64 * 1024 * 1024])
def test_a_torn_tail_is_found_however_many_passes_it_takes(
    revised: Ledger, monkeypatch: pytest.MonkeyPatch, deferred_bytes: int
) -> None:
    monkeypatch.setattr(verify, "_DEFERRED_BYTES", deferred_bytes)
    with (revised.journal.directory / "00000000000000000001.ndjson").open("ab") as segment:
        segment.write(b'{"seq":99')
    assert verify_index(revised).result == "torn"


def test_lines_behind_those_that_memory_did_not_allow_are_compared_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osiris.ledger.replay._STEP_BYTES", 1)
    monkeypatch.setattr("osiris.ledger.replay._MANY_LINES", 1)
    ledger = make_ledger(tmp_path)
    runs = [begin(ledger) for _ in range(3)]
    for run in runs:
        end(ledger, run)
    ledger.record(tagged(runs[0].started.run_id, "eu"))
    path = ledger.index.directory / "runs.jsonl"
    of_one_file = len(path.read_bytes().splitlines(keepends=True)[0])
    monkeypatch.setattr(verify, "_DEFERRED_BYTES", of_one_file)
    assert verify_index(ledger).result == "ok"
    path.write_bytes(path.read_bytes().replace(b'"seq":6,', b'"seq":7,'))
    assert [(one.path, one.line) for one in verify_index(ledger).differences] == [("runs.jsonl", 3)]


@pytest.mark.parametrize("deferred_bytes", [0, 64 * 1024 * 1024])
@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda content: content.replace(b'["eu","ml"]', b'["eu"]'), 2),
        (lambda content: content.replace(b'["eu","ml"]', b"[]"), 2),
        (lambda content: content.replace(b'"2026-11-22T00:00:00.000000Z"', b"null"), 6),
        (lambda content: content.replace(b'"seq":2,', b'"seq":3,'), 1),
        (lambda content: content + content.splitlines(keepends=True)[0], 7),
    ],
    ids=["a revision is missing", "all revisions of a line", "not pruned", "a line that nobody changed", "doubled"],
)
def test_a_changed_line_that_is_not_as_the_journal_has_it_is_named(
    revised: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes],
    line: int,
    deferred_bytes: int,
) -> None:
    monkeypatch.setattr(verify, "_DEFERRED_BYTES", deferred_bytes)
    path = revised.index.directory / "runs.jsonl"
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert path.read_bytes() != good
    found = verify_index(revised).differences
    assert [(one.path, one.problem, one.line) for one in found] == [("runs.jsonl", "edited", line)]


def test_a_rebuild_edits_changed_lines_into_files_made_of_many_pieces(
    revised: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = text_files(revised.index.directory)
    monkeypatch.setattr("osiris.ledger.replay._STEP_BYTES", 1)
    monkeypatch.setattr("osiris.ledger.replay._MANY_LINES", 1)
    rebuild(revised)
    assert text_files(revised.index.directory) == live
    assert verify_index(revised).result == "ok"


def test_a_file_that_cannot_be_read_is_a_difference(revised: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = revised.index.directory / "by_pipeline"
    (folder / "orders.jsonl").unlink()
    folder.rmdir()
    folder.symlink_to("by_pipeline")
    problems = {one.path: one for one in verify_index(revised).differences}
    assert problems["by_pipeline/orders.jsonl"].problem == "unreadable"
    assert isinstance(problems["by_pipeline"], Difference)
