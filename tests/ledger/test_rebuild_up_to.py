"""``osiris index rebuild --up-to SEQ`` shows what is good in a journal, and hides from nobody that the rest is not."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.ledger.index import head, rebuild, verify_index
from osiris.ledger.queries import RunFilter, list_runs
from osiris.ledger.runs import tag_pipeline
from tests.cli.shop import Shop, new_shop
from tests.histories import begin, make_ledger, text_files, tree
from tests.ledger.damaged_journals import (
    drop_last_line,
    flip_a_byte,
    lines_of,
    make_sound,
    segments,
    tear_last_line,
)

LAST_SEQ = 13


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compile and six runs; not to be touched."""
    return make_sound(tmp_path_factory.mktemp("sound") / "project")


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """A copy of ``sound``."""
    return shutil.copytree(sound, tmp_path / "project")


def runs_in_index(root: Path) -> list[str]:
    path = root / "index" / "runs.jsonl"
    return [json.loads(line)["run_id"] for line in path.read_bytes().splitlines()] if path.exists() else []


def finished_in_journal(root: Path, up_to_seq: int) -> list[str]:
    events = [json.loads(line)["event"] for line in lines_of(root)[:up_to_seq]]
    return [event["run_id"] for event in events if event["type"] == "run.finished"]


def expect(code: ExitCode, attempt: Callable[[], object]) -> OsirisError:
    with pytest.raises(OsirisError) as caught:
        attempt()
    assert caught.value.exit_code == code
    return caught.value


def shown_by_a_shorter_journal(root: Path, elsewhere: Path, up_to_seq: int) -> dict[str, bytes]:
    """The index of a journal that has only the first entries."""
    (elsewhere / "journal").mkdir(parents=True)
    (elsewhere / "journal" / "00000000000000000001.ndjson").write_bytes(b"".join(lines_of(root)[:up_to_seq]))
    rebuild(make_ledger(elsewhere))
    return text_files(elsewhere / "index")


@pytest.mark.parametrize("up_to_seq", range(1, LAST_SEQ + 1))
def test_a_sound_journal_is_shown_up_to_that_entry_and_not_one_more(root: Path, tmp_path: Path, up_to_seq: int) -> None:
    lines = lines_of(root)
    ledger = make_ledger(root)
    rebuilt = rebuild(ledger, up_to_seq)
    ledger.close()
    last = json.loads(lines[up_to_seq - 1])
    assert (rebuilt.head.seq, rebuilt.head.hash) == (up_to_seq, last["hash"])
    assert runs_in_index(root) == finished_in_journal(root, up_to_seq)
    assert text_files(root / "index") == shown_by_a_shorter_journal(root, tmp_path / "shorter", up_to_seq)
    assert lines_of(root) == lines


def test_a_sound_journal_heals_its_index_with_the_next_command(sound: Path, root: Path) -> None:
    rebuild(make_ledger(root), 4)
    found = verify_index(make_ledger(root))
    assert found.result == "drift"
    assert {difference.problem for difference in found.differences} >= {"stale"}
    assert len(list_runs(make_ledger(root), RunFilter(), 100)) == 6
    assert verify_index(make_ledger(root)).result == "ok"
    assert text_files(root / "index") == text_files(sound / "index")


def test_a_run_that_starts_behind_a_shortened_index_gets_the_next_number_all_the_same(root: Path) -> None:
    rebuild(make_ledger(root), 4)
    assert begin(make_ledger(root)).started.number == 7
    assert verify_index(make_ledger(root)).result == "ok"


def test_head_is_the_journals_whatever_the_index_shows(root: Path) -> None:
    before = head(make_ledger(root))
    rebuild(make_ledger(root), 4)
    assert head(make_ledger(root)) == before


@pytest.mark.parametrize("up_to_seq", [1, 2, 3])
def test_of_a_corrupt_journal_the_good_entries_are_shown_and_the_journal_is_not_touched(
    root: Path, tmp_path: Path, up_to_seq: int
) -> None:
    expected = shown_by_a_shorter_journal(root, tmp_path / "shorter", up_to_seq)
    flip_a_byte(root)
    before = tree(root / "journal")
    rebuilt = rebuild(make_ledger(root), up_to_seq)
    assert rebuilt.head.seq == up_to_seq
    assert text_files(root / "index") == expected
    assert tree(root / "journal") == before


def test_what_is_behind_the_damage_cannot_be_shown_and_the_index_stays_as_it_was(root: Path) -> None:
    flip_a_byte(root)
    before = tree(root / "index")
    for up_to_seq in (4, 5, LAST_SEQ, None):
        error = expect(ExitCode.CORRUPT, partial(rebuild, make_ledger(root), up_to_seq))
        assert str(segments(root)[1]) in error.problem
        assert tree(root / "index") == before
    assert not (root / "index.new").exists()


@pytest.mark.parametrize("up_to_seq", [1, 2, 3])
def test_after_that_every_command_goes_on_refusing_the_corrupt_journal(root: Path, up_to_seq: int) -> None:
    flip_a_byte(root)
    rebuild(make_ledger(root), up_to_seq)
    before = tree(root / "journal")
    shown = text_files(root / "index")
    for attempt in (
        lambda: list_runs(make_ledger(root), RunFilter(), 100),
        lambda: begin(make_ledger(root)),
        lambda: tag_pipeline(make_ledger(root), "orders", add=["ml"], remove=[]),
        lambda: verify_index(make_ledger(root)),
        lambda: head(make_ledger(root)),
        lambda: rebuild(make_ledger(root)),
    ):
        expect(ExitCode.CORRUPT, attempt)
    assert tree(root / "journal") == before
    assert text_files(root / "index") == shown


@pytest.mark.parametrize("damage", [drop_last_line, tear_last_line])
@pytest.mark.parametrize("up_to_seq", [None, 4])
def test_a_rebuild_does_not_make_anybody_forget_that_the_journal_was_longer(
    root: Path, damage: Callable[[Path], None], up_to_seq: int | None
) -> None:
    damage(root)
    expect(ExitCode.CORRUPT, lambda: begin(make_ledger(root)))
    with contextlib.suppress(OsirisError):
        rebuild(make_ledger(root), up_to_seq)
    expect(ExitCode.CORRUPT, lambda: begin(make_ledger(root)))
    expect(ExitCode.CORRUPT, lambda: verify_index(make_ledger(root)))


@pytest.mark.parametrize("up_to_seq", [LAST_SEQ + 1, 10**12])
def test_an_entry_that_there_is_not_is_an_error_that_says_where_the_journal_ends(
    sound: Path, root: Path, up_to_seq: int
) -> None:
    error = expect(ExitCode.USAGE, lambda: rebuild(make_ledger(root), up_to_seq))
    assert f"there is no entry {up_to_seq}: the journal ends at entry {LAST_SEQ}" in error.problem
    assert text_files(root / "index") == text_files(sound / "index")
    assert verify_index(make_ledger(root)).result == "ok"


def test_an_empty_journal_has_no_entry_to_show(tmp_path: Path) -> None:
    error = expect(ExitCode.USAGE, lambda: rebuild(make_ledger(tmp_path), 1))
    assert "there is no entry 1" in error.problem


def corrupt_shop(root: Path) -> Shop:
    """A project whose third entry of three has a flipped byte behind it: the run's start is good, its end is not."""
    shop = new_shop(root)
    shop.run("run", "orders")
    shop.run("pipelines", "tag", "orders", "--add", "billing")
    segment = shop.root / ".osiris" / "journal" / "00000000000000000001.ndjson"
    segment.write_bytes(segment.read_bytes().replace(b'"success"', b'"failed!"'))
    return shop


def test_the_command_line_shows_what_is_good_and_refuses_with_exit_5_afterwards(tmp_path: Path) -> None:
    shop = corrupt_shop(tmp_path / "shop")
    shop.run("index", "rebuild", "--up-to", "3", check=5)
    assert shop.run("index", "rebuild", "--up-to", "2", "--json").json["head"]["seq"] == 2
    refused = [("runs", "list"), ("pipelines", "list"), ("run", "orders"), ("index", "verify"), ("index", "rebuild")]
    for result in shop.all(*refused, ("events",), ("index", "head"), check=5):
        assert "error: " in result.err
        assert "line 3 (byte " in result.err
    for wrong in ("0", "-1", "x"):
        shop.run("index", "rebuild", "--up-to", wrong, check=2)
