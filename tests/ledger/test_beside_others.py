"""The ledger beside processes that write, delete and die at the same time."""

from __future__ import annotations

import queue
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from osiris.errors import OsirisError
from osiris.events.runs import RunTagged
from osiris.ledger import fresh_index
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.queries import RunFilter, list_runs
from tests.histories import begin, end, make_ledger


def test_the_index_may_be_deleted_at_any_time_while_runs_go_on(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    rounds: queue.Queue[bool] = queue.Queue()

    def delete_once_a_round() -> None:
        while rounds.get():
            shutil.rmtree(tmp_path / "index", ignore_errors=True)

    deleter = threading.Thread(target=delete_once_a_round)
    deleter.start()
    try:
        for _ in range(30):
            rounds.put(True)
            end(ledger, begin(ledger))
            list_runs(ledger, RunFilter(), 5)
    finally:
        rounds.put(False)
        deleter.join()
    ledger = make_ledger(tmp_path)
    records = list_runs(ledger, RunFilter(), 100)
    assert [record.run_id[:10] for record in records] == [f"run-{number:06d}" for number in range(30, 0, -1)]
    assert {record.status for record in records} == {"success"}
    assert verify_index(ledger).result == "ok"


def test_verify_sees_what_is_still_in_the_databases_log(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    begin(ledger)
    reader = sqlite3.connect(tmp_path / "index" / "counters.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM counters").fetchall()  # holds the log back from the main file
    begin(ledger)
    assert (tmp_path / "index" / "counters.sqlite-wal").stat().st_size > 0
    assert verify_index(make_ledger(tmp_path)).result == "ok"
    reader.close()


def test_a_revision_that_comes_during_a_rebuild_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = make_ledger(tmp_path)
    started = begin(ledger)
    end(ledger, started)
    run = started.started
    ledger.record(tagged(run.run_id, "one"))
    fold_into = fresh_index._fold_into
    folds: list[int] = []

    def fold_while_others_write(*arguments: object, **named: object) -> object:
        folded = fold_into(*arguments, **named)  # type: ignore[arg-type]  # handed on as they come
        if not folds:
            make_ledger(tmp_path).journal.append(tagged(run.run_id, "two"))
        folds.append(1)
        return folded

    monkeypatch.setattr(fresh_index, "_fold_into", fold_while_others_write)
    rebuild(ledger)
    assert list_runs(ledger, RunFilter(), 1)[0].tags == ("two",)
    assert verify_index(ledger).result == "ok"


def test_a_folder_that_is_no_index_is_never_taken_for_one(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    begin(ledger)
    shutil.rmtree(tmp_path / "index")
    shutil.copytree(tmp_path / "journal", tmp_path / "index")
    with pytest.raises(OsirisError, match="is no index"):
        rebuild(make_ledger(tmp_path))
    assert len(list((tmp_path / "index").iterdir())) == 2


def test_a_file_where_the_index_should_be_is_replaced_by_one(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    begin(ledger)
    shutil.rmtree(tmp_path / "index")
    (tmp_path / "index").write_text("not a folder")
    assert len(list_runs(make_ledger(tmp_path), RunFilter(), 5)) == 1


def tagged(run_id: str, tag: str) -> RunTagged:
    return RunTagged(run_id=run_id, pipeline_slug="orders", tags=(tag,), tagged_at="")
