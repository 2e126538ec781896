"""Verify finds every way in which an index can differ, and writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.events.runs import PipelineTagged
from osiris.ledger.index import JournalHead, head, rebuild, verify_index
from osiris.ledger.runs import record_compile, tag_pipeline
from tests.histories import begin, end, make_build, make_ledger, text_files, tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A ledger with three finished runs and one tag."""
    ledger = make_ledger(tmp_path)
    record_compile(ledger, make_build(), even_if_known=False)
    for status in ("success", "failed", "cancelled"):
        end(ledger, begin(ledger), status)
    tag_pipeline(ledger, "orders", add=["ml"], remove=[])
    ledger.close()
    return tmp_path


def edit_sql(statement: str) -> Callable[[Path], None]:
    def execute(index: Path) -> None:
        with sqlite3.connect(index / "counters.sqlite") as db:
            db.execute(statement)
        db.close()

    return execute


def edit(path: Path, old: bytes, new: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(old, new))


def replace_by_link(path: Path) -> None:
    copy = path.with_name("elsewhere")
    copy.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(copy)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (lambda index: (index / "runs.jsonl").unlink(), "runs.jsonl", "missing"),
    "emptied": (lambda index: (index / "runs.jsonl").write_bytes(b""), "runs.jsonl", "empty"),
    "edited": (
        lambda index: (index / "runs.jsonl").write_bytes(
            (index / "runs.jsonl").read_bytes().replace(b"failed", b"succes")
        ),
        "runs.jsonl",
        "edited",
    ),
    "cut": (
        lambda index: (index / "runs.jsonl").write_bytes(
            b"".join((index / "runs.jsonl").read_bytes().splitlines(keepends=True)[:2])
        ),
        "runs.jsonl",
        "stale",
    ),
    "newest cut": (
        lambda index: (index / "by_pipeline/orders.jsonl").write_bytes(
            b"".join((index / "by_pipeline/orders.jsonl").read_bytes().splitlines(keepends=True)[1:])
        ),
        "by_pipeline/orders.jsonl",
        "stale",
    ),
    "link": (lambda index: replace_by_link(index / "latest/orders.txt"), "latest/orders.txt", "link"),
    "folder": (lambda index: replace_by_folder(index / "pipelines.json"), "pipelines.json", "not_a_file"),
    "extra": (lambda index: (index / "latest/ghost.txt").write_text("x"), "latest/ghost.txt", "extra"),
    "pointer": (lambda index: (index / "latest/orders.txt").write_text("x"), "latest/orders.txt", "edited"),
    "counter": (edit_sql("UPDATE counters SET last_value = 9"), "counters.sqlite", "edited"),
    "no counter": (edit_sql("DROP TABLE counters"), "counters.sqlite", "edited"),
    "database": (
        lambda index: (index / "counters.sqlite").write_bytes(b"rubbish" * 99),
        "counters.sqlite",
        "unreadable",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_of_the_index_is_found_and_mended_by_a_rebuild(root: Path, name: str) -> None:
    damage, path, problem = DAMAGES[name]
    good = text_files(root / "index")
    damage(root / "index")
    before = tree(root)
    found = verify_index(make_ledger(root))
    assert found.result == "drift"
    assert (path, problem) in {(difference.path, difference.problem) for difference in found.differences}
    assert tree(root) == before, "verify writes nothing"

    ledger = make_ledger(root)
    rebuild(ledger)
    assert verify_index(ledger).result == "ok"
    assert text_files(root / "index") == good


def test_an_edited_line_is_named(root: Path) -> None:
    path = root / "index" / "runs.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"cancelled"', b'"cancellex"'))
    [difference] = [found for found in verify_index(make_ledger(root)).differences if found.path == "runs.jsonl"]
    assert difference.line == 3


def test_verify_of_a_good_index_writes_nothing(root: Path) -> None:
    before = tree(root)
    assert verify_index(make_ledger(root)).result == "ok"
    assert tree(root) == before


def test_an_index_that_is_behind_is_stale_until_a_command_catches_up(root: Path) -> None:
    ledger = make_ledger(root)
    with ledger.journal.lock():
        tail = ledger.journal.read().drain()
        ledger.journal.append_locked([PipelineTagged(pipeline_slug="orders", tags=("x",), tagged_at="")], tail)
    found = verify_index(ledger)
    assert [difference.problem for difference in found.differences] == ["stale"]
    ledger.flush()
    assert verify_index(ledger).result == "ok"


def test_a_torn_tail_is_told_from_drift_and_from_corruption(root: Path) -> None:
    segment = root / "journal" / "00000000000000000001.ndjson"
    good = segment.read_bytes()
    segment.write_bytes(good + b'{"seq":9')
    found = verify_index(make_ledger(root))
    assert found.result == "torn"
    assert found.torn is not None
    assert (found.torn.offset, found.torn.bytes) == (len(good), 8)


@pytest.mark.parametrize("how", ["cut the last entry off", "tear the last entry", "flip a byte of the last entry"])
def test_an_acknowledged_entry_that_is_gone_is_corruption_and_never_a_torn_tail(root: Path, how: str) -> None:
    segment = root / "journal" / "00000000000000000001.ndjson"
    lines = segment.read_bytes().splitlines(keepends=True)
    last = {
        "cut the last entry off": b"",
        "tear the last entry": lines[-1][:-20],
        "flip a byte of the last entry": lines[-1].replace(b'"ml"', b'"mm"'),
    }[how]
    segment.write_bytes(b"".join(lines[:-1]) + last)
    before = segment.read_bytes()
    for attempt in (lambda: verify_index(make_ledger(root)), lambda: begin(make_ledger(root))):
        with pytest.raises(OsirisError) as caught:
            attempt()
        assert caught.value.exit_code == ExitCode.CORRUPT
    assert segment.read_bytes() == before


def test_the_journal_extends_every_earlier_head_and_no_other(root: Path) -> None:
    ledger = make_ledger(root)
    earlier = head(ledger)
    end(ledger, begin(ledger))
    assert verify_index(ledger, earlier).extends == earlier
    for other in (JournalHead(seq=earlier.seq, hash="f" * 64), JournalHead(seq=99, hash=earlier.hash)):
        with pytest.raises(OsirisError) as caught:
            verify_index(ledger, other)
        assert caught.value.exit_code == ExitCode.CORRUPT


def test_head_names_the_last_entry_and_writes_nothing(root: Path) -> None:
    before = tree(root)
    found = head(make_ledger(root))
    last = list(make_ledger(root).journal.read())[-1]
    assert (found.seq, found.hash) == (last.seq, last.hash)
    assert tree(root) == before
