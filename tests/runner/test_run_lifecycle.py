"""What surrounds the steps of a run: folders of its own, texts that can be kept, and an end that is always recorded."""

from __future__ import annotations

from pathlib import Path

from osiris.ledger.sessions import Sessions
from osiris.runner.run_log import storable
from osiris.runner.work_folders import WorkFolders
from tests.histories import SteppingClock


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
