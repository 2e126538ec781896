"""An event with a key of the caller's is recorded once, however often it is tried."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from osiris import durable
from osiris.errors import ExitCode, OsirisError
from osiris.events.runs import PipelineTagged
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.repair import repair
from tests.histories import make_ledger


def fact(text: str, key: str = "nightly/1") -> PipelineTagged:
    return PipelineTagged(idempotency_key=key, pipeline_slug="orders", tags=(text,), tagged_at="t")


def tags(root: Path) -> list[str]:
    events = [entry.event for entry in make_ledger(root).journal.read()]
    return [event.tags[0] for event in events if isinstance(event, PipelineTagged)]


def test_the_second_try_records_nothing_and_names_the_first_entry(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    first = ledger.record(fact("first"))
    again = ledger.record(fact("again"))
    other = ledger.record(fact("other", "nightly/2"))
    assert (first.seq, first.repeated) == (1, False)
    assert (again.seq, again.hash, again.repeated) == (first.seq, first.hash, True)
    assert (other.seq, other.repeated) == (2, False)
    assert tags(tmp_path) == ["first", "other"]


@pytest.mark.parametrize("what_happens", ["nothing", "a rebuild", "the index is deleted"])
def test_a_key_is_known_to_every_later_process(tmp_path: Path, what_happens: str) -> None:
    first = make_ledger(tmp_path).record(fact("first"))
    if what_happens == "a rebuild":
        rebuild(make_ledger(tmp_path))
    elif what_happens == "the index is deleted":
        shutil.rmtree(tmp_path / "index")
    assert make_ledger(tmp_path).record(fact("again")) == first._replace(repeated=True)
    assert verify_index(make_ledger(tmp_path)).result == "ok"


def test_a_try_that_the_disk_refused_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = make_ledger(tmp_path)
    ledger.record(fact("before", "another"))
    with monkeypatch.context() as patched:
        patched.setattr(durable, "write_at", lambda *_: 0)
        with pytest.raises(OsirisError, match="nothing was recorded"):
            ledger.record(fact("first"))
    assert not ledger.record(fact("second")).repeated
    assert tags(tmp_path) == ["before", "second"]


@pytest.mark.parametrize("reached_the_disk", [True, False])
def test_a_try_of_unknown_outcome_is_there_once_after_the_repair_and_the_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached_the_disk: bool
) -> None:
    ledger = make_ledger(tmp_path)
    ledger.record(fact("before", "another"))

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    def fail_to_cut(fd: int, size: int) -> None:
        if not reached_the_disk:
            real_cut(fd, size)
        raise OSError(5, "Input/output error")

    real_cut = durable.cut
    with monkeypatch.context() as patched:
        patched.setattr(durable, "sync_file", fail)
        patched.setattr(durable, "cut", fail_to_cut)
        with pytest.raises(OsirisError) as caught:
            ledger.record(fact("first"))
    assert (caught.value.exit_code, caught.value.code) == (ExitCode.DISK, "journal.outcome_unknown")
    fresh = make_ledger(tmp_path)
    repair(fresh, dry_run=False)
    assert fresh.record(fact("again")).repeated is reached_the_disk
    assert tags(tmp_path) == ["before", "first" if reached_the_disk else "again"]


def test_of_many_threads_with_one_key_one_records(tmp_path: Path) -> None:
    ledger: Ledger = make_ledger(tmp_path)
    repeated: list[bool] = []
    threads = [threading.Thread(target=lambda: repeated.append(ledger.record(fact("x")).repeated)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(repeated) == [False] + [True] * 15
    assert tags(tmp_path) == ["x"]
