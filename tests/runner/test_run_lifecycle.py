"""What surrounds the steps of a run: folders of its own, texts that can be kept, and an end that is always recorded."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from osiris import durable
from osiris.errors import OsirisError
from osiris.ledger.queries import RunFilter, list_runs
from osiris.ledger.sessions import Sessions
from osiris.redaction import Redactor, remember
from osiris.runner.run_log import RunLog, storable
from osiris.runner.step_logging import logged_to
from osiris.runner.work_folders import WorkFolders
from tests.histories import SteppingClock, begin, end, make_ledger


def test_work_folders_of_dead_runs_go_and_what_else_lies_there_stays(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions", SteppingClock())
    root = tmp_path / "runs"
    dead, dead_lock = sessions.open()
    living, _held = sessions.open()
    for name in (dead, living, ".DS_Store", "notes"):
        (root / name).mkdir(parents=True)
    dead_lock.release()
    mine, _held_too = sessions.open()
    WorkFolders(root, sessions).open(mine)
    assert {path.name for path in root.iterdir()} == {living, mine, ".DS_Store", "notes"}


def test_a_text_that_is_kept_is_encodable_and_bounded() -> None:
    assert storable("größe") == "größe"
    assert storable("\ud800").encode() == b"\\ud800"
    long = storable("x" * 2_000_000)
    assert len(long) < 9_000
    assert long.endswith("more characters)")


def test_a_log_masks_what_only_another_run_of_this_process_has_resolved(tmp_path: Path) -> None:
    remember(Redactor(["another-runs-token"]))
    log = RunLog(tmp_path, SteppingClock(), Redactor())
    with logged_to(log):
        logging.getLogger("some.driver").warning("using %s", "another-runs-token")
    log.close()
    assert "using ***" in (tmp_path / "osiris.log").read_text()


def test_a_run_whose_end_cannot_be_recorded_does_not_stay_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = make_ledger(tmp_path)
    run = begin(ledger)
    with monkeypatch.context() as full:
        full.setattr(durable, "write_at", fail)
        with pytest.raises(OsirisError, match="No space left"):
            end(ledger, run)
    assert [record.status for record in list_runs(ledger, RunFilter(), 9)] == ["interrupted"]
    end(ledger, begin(ledger))
    assert [record.status for record in list_runs(ledger, RunFilter(), 9)] == ["success", "interrupted"]


def fail(*_: object) -> int:
    """A full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_only_what_osiris_left_behind_goes_when_something_is_made_beside_it(tmp_path: Path) -> None:
    left = tmp_path / ".dist.0123456789abcdef.tmp"
    for folder in (left, tmp_path / ".mine.tmp"):
        folder.mkdir()
        os.utime(folder, (1, 1))
    made = durable.make_temporary_beside(tmp_path / "dist")
    assert sorted(tmp_path.iterdir()) == sorted([made, tmp_path / ".mine.tmp"])
