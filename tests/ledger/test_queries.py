"""What the index answers, also while others change it and when somebody newer wrote to the journal."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from osiris.errors import OsirisError
from osiris.events.entry import seal
from osiris.ledger import runs
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, get_run, latest_build, list_pipelines, list_runs, newest_build
from osiris.ledger.runs import record_compile, tag_run
from osiris.projections.runs import RunRecord
from tests.histories import SteppingClock, begin, end, make_build, make_ledger


def compiled(ledger: Ledger, slug: str, profile: str, digit: str) -> None:
    record_compile(ledger, make_build(slug, profile, digit), even_if_known=True)


def test_the_newest_build_is_the_last_one_in_the_journal_also_when_the_clock_was_set_back(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    compiled(ledger, "orders", "dev", "a")
    assert isinstance(ledger.clock, SteppingClock)
    ledger.clock.moment -= timedelta(days=1)
    compiled(ledger, "billing", "dev", "b")
    newest = newest_build(ledger, "dev")
    assert newest is not None
    assert newest.manifest_hash == "b" * 64
    assert [summary.last_compile["dev"].seq for summary in list_pipelines(ledger).values()] == [1, 2]


def test_a_build_of_another_profile_is_never_the_answer(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    compiled(ledger, "orders", "dev", "a")
    assert newest_build(ledger, "") is None
    assert latest_build(ledger, "orders", "") is None
    compiled(ledger, "orders", "", "b")
    compiled(ledger, "orders", "dev", "c")
    for build in (newest_build(ledger, ""), latest_build(ledger, "orders", "")):
        assert build is not None
        assert (build.manifest_hash, build.profile) == ("b" * 64, "")


def test_the_newest_build_does_not_depend_on_the_pointer_files(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    compiled(ledger, "orders", "dev", "a")
    pointer = tmp_path / "index" / "latest" / "dev" / "orders.txt"
    pointer.write_text(pointer.read_text().replace("a", "f"))
    newest = newest_build(ledger, "dev")
    assert newest is not None
    assert newest.manifest_hash == "a" * 64


@pytest.mark.parametrize("times", [1, 9])
def test_an_index_that_is_taken_away_just_before_it_is_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    ledger = make_ledger(tmp_path)
    end(ledger, begin(ledger))
    find, left = ledger.index.lines_file, [times]

    def find_and_lose(*args: object) -> Path:
        path = find(*args)  # type: ignore[arg-type]  # handed through
        if left[0]:
            left[0] -= 1
            shutil.rmtree(tmp_path / "index")
        return path

    monkeypatch.setattr(ledger.index, "lines_file", find_and_lose)
    expected = 1 if times == 1 else 0
    assert len(list_runs(ledger, RunFilter(), 10)) == expected
    left[0] = times
    assert len(list_runs(ledger, RunFilter(pipeline="orders"), 10)) == expected
    left[0] = times
    if expected:
        assert get_run(ledger, "run-000001").pipeline_slug == "orders"
    else:
        with pytest.raises(OsirisError, match="unknown run"):
            get_run(ledger, "run-000001")


def test_a_run_that_ends_while_runs_are_listed_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = make_ledger(tmp_path)
    run = begin(ledger)
    find = ledger.index.lines_file

    def end_it_first(*args: object) -> Path:
        end(ledger, run)
        return find(*args)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(ledger.index, "lines_file", end_it_first)
    assert [record.run_id for record in list_runs(ledger, RunFilter(), 10)] == [run.started.run_id]


def test_events_of_a_newer_osiris_that_are_passed_over_are_spoken_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = make_ledger(tmp_path)
    end(ledger, begin(ledger))
    tail = ledger.journal.read().drain().position
    line, _ = seal(tail.seq + 1, tail.id, "2026-11-21T00:40:01.123456Z", tail.hash, b'{"type":"snapshot.taken"}')
    with (tmp_path / "journal" / "00000000000000000001.ndjson").open("ab") as segment:
        segment.write(line)
    newer = make_ledger(tmp_path)
    list_runs(newer, RunFilter(pipeline="orders"), 10)
    list_pipelines(newer)
    get_run(newer, "last")
    [message] = [record.getMessage() for record in caplog.records if "newer Osiris" in record.getMessage()]
    assert "1 events" in message
    assert "snapshot.taken" in message


def test_an_ambiguous_run_is_named_so_that_each_name_finds_its_run(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for slug in ("a", "b"):
        end(ledger, begin(ledger, make_build(slug)))
    with pytest.raises(OsirisError) as caught:
        get_run(ledger, "run-000001")
    names = caught.value.problem.split(": ")[1].split(", ")
    assert [get_run(ledger, name).pipeline_slug for name in names] == ["b", "a"]


def test_a_run_is_tagged_without_waiting_for_oneself_where_others_wrote_and_the_index_was_damaged_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other = make_ledger(tmp_path, lock_timeout_s=2), make_ledger(tmp_path)
    end(ledger, begin(ledger))

    def found(asked: Ledger, reference: str) -> RunRecord:
        record = get_run(asked, reference)
        if asked is ledger and not record.tags:
            tag_run(other, reference, add=["others"], remove=[])
            lines = tmp_path / "index" / "runs.jsonl"
            lines.write_bytes(lines.read_bytes()[:-1])
        return record

    monkeypatch.setattr(runs, "get_run", found)
    assert tag_run(ledger, "last", add=["mine"], remove=[]).tags == ("mine", "others")
