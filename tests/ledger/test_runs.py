"""What is recorded of runs, decided under the lock, by one process and by many."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.events.entry import seal
from osiris.events.runs import RunInterrupted
from osiris.ledger.index import verify_index
from osiris.ledger.queries import RunFilter, get_run, latest_build, list_runs
from osiris.ledger.run_ids import RunIdGenerator
from osiris.ledger.runs import record_compile, tag_pipeline
from tests.histories import SteppingClock, begin, end, make_build, make_ledger, tree

MANY = multiprocessing.get_context("spawn")


def run_in_a_process(root: Path, times: int) -> None:
    ledger = make_ledger(root, lock_timeout_s=60)
    for _ in range(times):
        end(ledger, begin(ledger))


def die_in_a_run(root: Path) -> None:
    begin(make_ledger(root))
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(target: object, *args: object) -> None:
    process = MANY.Process(target=target, args=args)  # type: ignore[arg-type]  # any function of this module
    process.start()
    process.join()


def test_runs_of_one_pipeline_are_numbered_without_gaps_and_pipelines_apart(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    numbers = [begin(ledger, make_build(slug)).started.number for slug in ("a", "b", "a", "a", "b")]
    assert numbers == [1, 1, 2, 3, 2]


def test_many_processes_at_once_share_out_numbers_in_a_row(tmp_path: Path) -> None:
    processes = [MANY.Process(target=run_in_a_process, args=(tmp_path, 5)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    ledger = make_ledger(tmp_path)
    records = list_runs(ledger, RunFilter(), 100)
    assert sorted(record.run_id[:10] for record in records) == [f"run-{number:06d}" for number in range(1, 31)]
    assert verify_index(ledger).result == "ok"


def test_a_killed_run_is_shown_as_interrupted_at_once_and_recorded_by_the_next_writer(tmp_path: Path) -> None:
    in_a_process(die_in_a_run, tmp_path)
    ledger = make_ledger(tmp_path)
    before = tree(tmp_path / "journal")
    [record] = list_runs(ledger, RunFilter(), 10)
    assert (record.status, record.seq) == ("interrupted", 0)
    assert record.error is not None
    assert record.error.code == "runtime.interrupted"
    assert tree(tmp_path / "journal") == before, "a reader records nothing"

    assert begin(ledger).started.number == 2
    events = [entry.event for entry in ledger.journal.read()]
    assert isinstance(events[1], RunInterrupted)
    assert get_run(ledger, record.run_id).status == "interrupted"
    assert get_run(ledger, record.run_id).seq == 2
    assert verify_index(ledger).result == "ok"
    assert len(list((tmp_path / "sessions").glob("*.lock"))) == 2, "the dead session's file is gone"


def test_a_living_run_of_another_process_is_running(tmp_path: Path) -> None:
    run = begin(make_ledger(tmp_path))
    reader = make_ledger(tmp_path)
    assert [record.status for record in list_runs(reader, RunFilter(), 10)] == ["running"]
    with reader.transaction():
        pass
    assert get_run(reader, "last").run_id == run.started.run_id
    assert get_run(reader, "last").status == "running"


def test_new_runs_inherit_the_tags_of_their_pipeline(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    record_compile(ledger, make_build(), even_if_known=False)
    assert tag_pipeline(ledger, "orders", add=["b", "a"], remove=[]) == ("a", "b")
    assert begin(ledger, None, "c").started.tags == ("a", "b", "c")


def test_tags_that_change_nothing_are_no_event(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    record_compile(ledger, make_build(), even_if_known=False)
    tag_pipeline(ledger, "orders", add=["a"], remove=[])
    before = tree(tmp_path / "journal")
    tag_pipeline(ledger, "orders", add=["a"], remove=["b"])
    assert tree(tmp_path / "journal") == before


@pytest.mark.parametrize("tag", ["", "two words", "../up", "a" * 65, "new\nline"])
def test_a_tag_that_is_none_is_refused_and_nothing_is_recorded(tmp_path: Path, tag: str) -> None:
    ledger = make_ledger(tmp_path)
    record_compile(ledger, make_build(), even_if_known=False)
    with pytest.raises(OsirisError, match="cannot be a tag"):
        tag_pipeline(ledger, "orders", add=[tag], remove=[])
    assert len(list(ledger.journal.read())) == 1


def test_an_unknown_pipeline_is_an_error_that_suggests_a_known_one(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    record_compile(ledger, make_build(), even_if_known=False)
    with pytest.raises(OsirisError) as caught:
        tag_pipeline(ledger, "order", add=["x"], remove=[])
    assert "orders" in caught.value.hint


def test_a_run_is_found_by_its_id_its_beginning_and_last(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    runs = [begin(ledger, make_build(slug)) for slug in ("a", "a", "b")]
    for run in runs:
        end(ledger, run)
    second = runs[1].started.run_id
    assert get_run(ledger, second).run_id == second
    assert get_run(ledger, "run-000002").run_id == second
    assert get_run(ledger, "last").run_id == runs[2].started.run_id
    with pytest.raises(OsirisError, match="more than one run"):
        get_run(ledger, "run-000001")
    with pytest.raises(OsirisError, match="unknown run 'run-9'"):
        get_run(ledger, "run-9")


def test_runs_can_be_filtered(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for slug, profile, status in (("a", "dev", "success"), ("a", "prod", "failed"), ("b", "dev", "success")):
        end(ledger, begin(ledger, make_build(slug, profile)), status)

    def found(**wanted: str) -> list[str]:
        return [record.pipeline_slug + record.profile for record in list_runs(ledger, RunFilter(**wanted), 10)]  # type: ignore[arg-type]

    assert found(pipeline="a") == ["aprod", "adev"]
    assert found(profile="dev") == ["bdev", "adev"]
    assert found(status="failed") == ["aprod"]
    assert found(since="2999-01-01") == []
    assert len(list_runs(ledger, RunFilter(), 2)) == 2


def test_the_latest_pointer_names_the_newest_build_of_each_profile(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for profile, digit in (("dev", "a"), ("prod", "b"), ("dev", "c")):
        record_compile(ledger, make_build("orders", profile, digit), even_if_known=False)
    pointers = tmp_path / "index" / "latest"
    found = {path.relative_to(pointers).as_posix(): path.read_text() for path in pointers.rglob("*.txt")}
    hashes = {path: text.splitlines()[1][0] for path, text in found.items()}
    assert hashes == {"orders.txt": "c", "dev/orders.txt": "c", "prod/orders.txt": "b"}
    for profile in ("dev", "prod"):
        build = latest_build(ledger, "orders", profile)
        assert build is not None
        assert f"{build.manifest_path}\n{build.manifest_hash}\n{profile}\n" == found[f"{profile}/orders.txt"]


def test_a_newer_osiris_is_read_around_and_never_written_over(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    end(ledger, begin(ledger))
    tail = ledger.journal.read().drain().position
    line, _ = seal(tail.seq + 1, tail.id, "2026-11-21T00:40:01.123456Z", tail.hash, b'{"type":"snapshot.taken"}')
    with (tmp_path / "journal" / "00000000000000000001.ndjson").open("ab") as segment:
        segment.write(line)
    newer = make_ledger(tmp_path)
    assert len(list_runs(newer, RunFilter(), 10)) == 1
    assert verify_index(newer).unknown == {"snapshot.taken": 1}
    for ledger in (newer, make_ledger(tmp_path)):
        with pytest.raises(OsirisError) as caught:
            begin(ledger)
        assert caught.value.exit_code == ExitCode.NEWER_OSIRIS
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(OsirisError, match=r"snapshot\.taken"):
        begin(make_ledger(tmp_path))


def test_run_ids_are_made_of_their_tokens_and_ulids_increase() -> None:
    clock = SteppingClock()
    moment = clock.now()

    def make(*tokens: str, seq: int = 4, after: str = "") -> str:
        return RunIdGenerator(tokens).generate(number=12, seq=seq, moment=moment, after=after)

    assert make("incremental") == "run-000012"
    ulid = make("ulid")
    assert len(ulid) == 26
    assert make("ulid", after=ulid) > ulid
    assert make("iso_ulid")[:27] == f"20261121T004001Z-{ulid[:10]}"
    assert make("incremental", "ulid")[:21] == f"run-000012_{ulid[:10]}"
    assert make("uuidv4") != make("uuidv4")
    assert int(make("snowflake", seq=5)) == int(make("snowflake", seq=4)) + 1


def test_reading_a_project_in_which_nothing_happened_writes_nothing(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert list_runs(ledger, RunFilter(), 10) == []
    assert verify_index(ledger).result == "ok"
    assert tree(tmp_path) == {}


def test_runs_of_an_unknown_pipeline_are_an_error_that_suggests_one(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    begin(ledger)
    with pytest.raises(OsirisError) as caught:
        list_runs(ledger, RunFilter(pipeline="order"), 10)
    assert "orders" in caught.value.hint


def test_incremental_ids_of_two_pipelines_are_told_apart_by_the_pipeline(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for slug in ("a", "b"):
        end(ledger, begin(ledger, make_build(slug)))
    assert get_run(ledger, "b/run-000001").pipeline_slug == "b"


def test_the_file_of_a_session_that_died_before_its_run_began_is_swept(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    _, held = ledger.sessions.open()
    held.release()
    begin(ledger)
    assert len(list((tmp_path / "sessions").glob("0*.lock"))) == 1
