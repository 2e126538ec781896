"""After a restart of the machine and in a copy, the index is compared with the journal before it is believed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.ledger import home, live_index, verify
from osiris.ledger.index import verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, list_runs
from tests.histories import begin, end, make_build, make_ledger, text_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A ledger with three runs of orders, closed."""
    return with_runs(tmp_path / "one", 3)


def with_runs(root: Path, number: int, slug: str = "orders") -> Path:
    ledger = make_ledger(root)
    for _ in range(number):
        end(ledger, begin(ledger, make_build(slug)))
    ledger.close()
    return root


def edit_unnoticed(root: Path, slug: str = "orders") -> bytes:
    """Change a letter in a file of the index, which keeps its size; returns what stood there."""
    path = root / "index" / "by_pipeline" / f"{slug}.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"success"', b'"failure"', 1))
    return content


def look(root: Path) -> list[str]:
    """What any reading command does; the statuses of all runs."""
    ledger = make_ledger(root)
    try:
        return [record.status for record in list_runs(ledger, RunFilter(pipeline="orders"), 10)]
    finally:
        ledger.close()


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows by one with each comparison of an index with its journal."""
    seen: list[Path] = []
    real = verify.check

    def check(directory: Path, *args: object) -> object:
        seen.append(directory)
        return real(directory, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(live_index, "check", check)
    return seen


@pytest.fixture
def reboot(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine has been started anew since ``root`` was made."""
    assert root.exists()
    home.boot_id.cache_clear()
    monkeypatch.setattr(home, "_read_boot_id", lambda: "another boot")
    yield
    home.boot_id.cache_clear()


def test_where_it_was_written_an_index_is_believed_without_a_comparison(root: Path, comparisons: list[Path]) -> None:
    look(root)
    assert comparisons == []


@pytest.mark.usefixtures("reboot")
def test_after_a_restart_the_first_command_mends_what_differs_and_the_next_believes_it(
    root: Path, comparisons: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    right = edit_unnoticed(root)
    assert look(root) == ["success"] * 3
    assert "by_pipeline/orders.jsonl is edited" in caplog.text
    assert (root / "index/by_pipeline/orders.jsonl").read_bytes() == right
    look(root)
    assert len(comparisons) == 1


@pytest.mark.usefixtures("reboot")
def test_after_a_restart_an_index_that_is_right_keeps_its_files(root: Path, comparisons: list[Path]) -> None:
    before = {path: path.stat().st_ino for path in (root / "index").rglob("*") if path.is_file()}
    look(root)
    assert {path: path.stat().st_ino for path in (root / "index").rglob("*") if path.is_file()} == before
    look(root)
    assert len(comparisons) == 1


def test_a_copy_of_a_project_is_compared_once(root: Path, tmp_path: Path, comparisons: list[Path]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    right = edit_unnoticed(copy)
    assert look(copy) == ["success"] * 3
    assert (copy / "index/by_pipeline/orders.jsonl").read_bytes() == right
    look(copy)
    assert comparisons == [copy / "index"]


def test_an_older_index_that_was_restored_is_brought_up_and_gives_no_number_twice(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "index", tmp_path / "backup")
    with_runs(root, 2)
    wanted = text_files(root / "index")
    shutil.rmtree(root / "index")
    shutil.copytree(tmp_path / "backup", root / "index")
    ledger = make_ledger(root)
    assert len(list_runs(ledger, RunFilter(), 10)) == 5
    assert text_files(root / "index") == wanted
    assert begin(ledger).started.number == 6


def test_an_index_that_was_copied_from_another_project_is_made_anew(root: Path, tmp_path: Path) -> None:
    other = with_runs(tmp_path / "other", 7, "refunds")
    wanted = text_files(root / "index")
    shutil.rmtree(root / "index")
    shutil.copytree(other / "index", root / "index")
    ledger = make_ledger(root)
    assert verify_index(ledger).result == "drift"
    assert look(root) == ["success"] * 3
    assert text_files(root / "index") == wanted
    assert verify_index(ledger).result == "ok"


def expect_corrupt(ledger: Ledger) -> None:
    with pytest.raises(OsirisError) as caught:
        list_runs(ledger, RunFilter(), 10)
    assert caught.value.exit_code == ExitCode.CORRUPT


def test_another_projects_journal_under_an_index_that_is_at_home_is_corruption(root: Path, tmp_path: Path) -> None:
    other = with_runs(tmp_path / "other", 7, "refunds")
    shutil.rmtree(root / "journal")
    shutil.copytree(other / "journal", root / "journal")
    expect_corrupt(make_ledger(root))


def test_a_copied_index_is_still_the_witness_of_its_own_journal(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    segment = copy / "journal" / "00000000000000000001.ndjson"
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:-1]))
    expect_corrupt(make_ledger(copy))
