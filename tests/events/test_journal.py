"""The journal on disk: appending, rolling over, torn tails and corruption."""

from __future__ import annotations

import json
from os import pwrite as real_pwrite
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris import durable
from osiris.errors import ExitCode, OsirisError
from osiris.events import reader as reader_module
from osiris.events import segment
from osiris.events.journal import Journal
from osiris.events.recovery import JournalRecovered
from osiris.events.runs import PipelineTagged
from osiris.locks import acquire
from tests.histories import SteppingClock


def make_journal(root: Path, segment_bytes: int = 1_000_000, lock_timeout_s: float = 10) -> Journal:
    return Journal(root / "journal", clock=SteppingClock(), segment_bytes=segment_bytes, lock_timeout_s=lock_timeout_s)


def fact(text: str) -> PipelineTagged:
    return PipelineTagged(pipeline_slug=text, tags=(), tagged_at="")


def texts(journal: Journal) -> list[str]:
    return [entry.event.pipeline_slug for entry in journal.read() if isinstance(entry.event, PipelineTagged)]


def the_segment(root: Path) -> Path:
    return root / "journal" / "00000000000000000001.ndjson"


def expect_corrupt(journal: Journal) -> OsirisError:
    with pytest.raises(OsirisError) as caught:
        journal.read().drain()
    assert caught.value.exit_code == ExitCode.CORRUPT
    return caught.value


def test_entries_come_back_in_order_with_an_unbroken_chain(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    written = [journal.append(fact(str(number))) for number in range(5)]
    read = list(make_journal(tmp_path).read())
    assert read == written
    assert [entry.seq for entry in read] == [1, 2, 3, 4, 5]
    assert [entry.prev for entry in read] == ["0" * 64, *(entry.hash for entry in read[:-1])]


def test_two_processes_that_append_in_turn_make_one_chain(tmp_path: Path) -> None:
    one, other = make_journal(tmp_path), make_journal(tmp_path)
    for number in range(6):
        (one, other)[number % 2].append(fact(str(number)))
    assert texts(one) == list("012345")


def test_ids_increase_also_when_the_clock_goes_back(tmp_path: Path) -> None:
    clock = SteppingClock()
    journal = Journal(tmp_path / "journal", clock=clock, segment_bytes=10_000, lock_timeout_s=1)
    journal.append(fact("now"))
    clock.moment = clock.moment.replace(year=clock.moment.year - 1)
    journal.append(fact("a year before"))
    ids = [entry.id for entry in journal.read()]
    assert ids == sorted(set(ids))


def test_a_full_segment_rolls_over_to_one_named_by_its_first_entry(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, segment_bytes=700)
    for number in range(7):
        journal.append(fact(str(number)))
    names = sorted(path.name for path in (tmp_path / "journal").glob("*.ndjson"))
    first_seqs = [json.loads((tmp_path / "journal" / name).read_bytes().splitlines()[0])["seq"] for name in names]
    assert len(names) > 2
    assert names == [f"{seq:020d}.ndjson" for seq in first_seqs]
    assert texts(make_journal(tmp_path)) == list("0123456")


def test_an_entry_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, segment_bytes=400)
    for text in ("a", "b" * 2_000, "c"):
        journal.append(fact(text))
    assert texts(make_journal(tmp_path)) == ["a", "b" * 2_000, "c"]


def test_an_entry_of_more_than_a_mebibyte_is_refused_and_nothing_is_recorded(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    with pytest.raises(OsirisError, match="1,048,576"):
        journal.append(fact("x" * 1_048_576))
    assert texts(journal) == []


def test_a_lone_surrogate_is_refused_and_nothing_is_recorded(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    with pytest.raises(OsirisError, match="UTF-8"):
        journal.append(fact("\ud800"))
    assert texts(journal) == []


@given(cut=st.integers(min_value=1, max_value=400), garbage=st.binary(max_size=200))
@settings(max_examples=60)
def test_a_torn_tail_is_passed_over_by_readers_and_kept_and_cut_by_the_next_writer(
    tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes
) -> None:
    root = tmp_path_factory.mktemp("torn")
    journal = make_journal(root)
    journal.append(fact("good"))
    good = the_segment(root).read_bytes()
    journal.append(fact("lost"))
    whole = the_segment(root).read_bytes()
    tail = whole[len(good) : max(len(good) + 1, len(whole) - cut)] + garbage.replace(b"\n", b"\0")
    the_segment(root).write_bytes(good + tail)

    reader = make_journal(root).read().drain()
    assert reader.torn is not None
    assert the_segment(root).read_bytes() == good + tail, "a reader never cuts"

    make_journal(root).append(fact("next"))
    entries = list(make_journal(root).read())
    recovered = entries[1].event
    assert isinstance(recovered, JournalRecovered)
    assert (root / "journal" / recovered.kept_as).read_bytes() == tail
    assert recovered.bytes_cut == len(tail)
    assert texts(make_journal(root)) == ["good", "next"]


def test_a_tail_of_nul_bytes_is_a_torn_tail(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    journal.append(fact("good"))
    with the_segment(tmp_path).open("ab") as file:
        file.write(b"\0" * 4096)
    reader = make_journal(tmp_path).read().drain()
    assert reader.torn is not None
    assert reader.torn.size == 4096


@pytest.mark.parametrize("damage", ["flip", "drop", "double", "swap"])
def test_a_bad_middle_is_corruption_that_names_file_line_and_byte(tmp_path: Path, damage: str) -> None:
    journal = make_journal(tmp_path)
    for number in range(5):
        journal.append(fact(str(number)))
    lines = the_segment(tmp_path).read_bytes().splitlines(keepends=True)
    damaged = {
        "flip": [lines[0], lines[1].replace(b'"1"', b'"9"'), *lines[2:]],
        "drop": [lines[0], *lines[2:]],
        "double": [lines[0], lines[1], lines[1], *lines[2:]],
        "swap": [lines[0], lines[2], lines[1], *lines[3:]],
    }[damage]
    the_segment(tmp_path).write_bytes(b"".join(damaged))
    error = expect_corrupt(make_journal(tmp_path))
    line = 3 if damage == "double" else 2
    assert f"{the_segment(tmp_path)}: line {line} (byte {sum(map(len, damaged[: line - 1]))})" in error.problem
    before = the_segment(tmp_path).read_bytes()
    with pytest.raises(OsirisError):
        make_journal(tmp_path).append(fact("refused"))
    assert the_segment(tmp_path).read_bytes() == before


def test_a_doubled_last_entry_is_corruption_and_no_torn_tail(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    journal.append(fact("only"))
    the_segment(tmp_path).write_bytes(the_segment(tmp_path).read_bytes() * 2)
    expect_corrupt(make_journal(tmp_path))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_missing_segment_is_corruption(tmp_path: Path, which: int) -> None:
    journal = make_journal(tmp_path, segment_bytes=400)
    for number in range(4):
        journal.append(fact(str(number)))
    segments = sorted((tmp_path / "journal").glob("*.ndjson"))
    assert len(segments) == 4
    segments[which].unlink()
    expect_corrupt(make_journal(tmp_path))


def test_a_torn_segment_with_another_behind_it_is_corruption(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, segment_bytes=700)
    for number in range(5):
        journal.append(fact(str(number)))
    first = the_segment(tmp_path)
    first.write_bytes(first.read_bytes()[:-10])
    expect_corrupt(make_journal(tmp_path))


def test_a_failed_sync_leaves_nothing_recorded_and_the_next_append_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make_journal(tmp_path)
    journal.append(fact("before"))
    calls: list[int] = []

    def fail_once(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(durable, "sync_file", fail_once)
        with pytest.raises(OsirisError) as caught:
            journal.append(fact("lost"))
    assert caught.value.exit_code == ExitCode.DISK
    assert texts(make_journal(tmp_path)) == ["before"]
    journal.append(fact("after"))
    assert texts(make_journal(tmp_path)) == ["before", "after"]


def test_a_full_disk_leaves_nothing_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make_journal(tmp_path)
    journal.append(fact("before"))
    size = the_segment(tmp_path).stat().st_size
    with monkeypatch.context() as patched:
        patched.setattr("os.pwrite", lambda fd, content, offset: real_pwrite(fd, content[:10], offset))
        with pytest.raises(OsirisError, match="No space left"):
            journal.append(fact("lost"))
    assert the_segment(tmp_path).stat().st_size == size
    assert texts(make_journal(tmp_path)) == ["before"]


def test_a_lock_that_others_hold_is_exit_6_and_names_the_file(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, lock_timeout_s=0.05)
    journal.append(fact("first"))
    lock = tmp_path / "journal" / "LOCK"
    with acquire(lock, timeout_s=1, purpose="the test"), pytest.raises(OsirisError) as caught:
        journal.append(fact("second"))
    assert caught.value.exit_code == ExitCode.LOCKED
    assert str(lock) in caught.value.problem
    journal.append(fact("second"))
    assert texts(journal) == ["first", "second"]


def test_a_line_that_a_writer_completes_while_it_is_judged_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make_journal(tmp_path)
    for text in "abc":
        journal.append(fact(text))
    whole = the_segment(tmp_path).read_bytes()
    the_segment(tmp_path).write_bytes(whole[:-300])
    judge = segment.judge

    def judge_meanwhile(path: Path, offset: int, reason: str) -> object:
        the_segment(tmp_path).write_bytes(whole)
        return judge(path, offset, reason)

    monkeypatch.setattr(reader_module, "judge", judge_meanwhile)
    assert texts(make_journal(tmp_path)) == ["a", "b", "c"]


def test_a_roll_over_while_the_segments_are_listed_is_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make_journal(tmp_path, segment_bytes=700)
    journal.append(fact("0"))
    later = iter("123456")

    def list_after_more_came(directory: Path) -> list[int]:
        for text in later:
            journal.append(fact(text))
        return segment.list_segments(directory)

    monkeypatch.setattr(reader_module, "list_segments", list_after_more_came)
    assert texts(make_journal(tmp_path)) == list("0123456")


def test_two_torn_tails_at_one_place_are_both_kept(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    journal.append(fact("good"))
    good = the_segment(tmp_path).read_bytes()
    for tail in (b"first torn tail" * 100, b"second"):
        the_segment(tmp_path).write_bytes(good + tail)
        make_journal(tmp_path).append(fact("next"))
    kept = {path.read_bytes() for path in (tmp_path / "journal" / "torn").iterdir()}
    assert kept == {b"first torn tail" * 100, b"second"}


def test_a_torn_tail_in_a_full_segment_is_written_over_before_the_roll_over(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, segment_bytes=500)
    journal.append(fact("good"))
    with the_segment(tmp_path).open("ab") as file:
        file.write(b"torn" * 1000)
    for text in ("next", "and next"):
        make_journal(tmp_path, segment_bytes=500).append(fact(text))
    reader = make_journal(tmp_path).read().drain()
    assert reader.torn is None
    assert texts(make_journal(tmp_path)) == ["good", "next", "and next"]


def test_a_journal_that_cannot_be_read_is_exit_7(tmp_path: Path) -> None:
    the_segment(tmp_path).mkdir(parents=True)
    with pytest.raises(OsirisError) as caught:
        make_journal(tmp_path).read().drain()
    assert caught.value.exit_code == ExitCode.DISK
