"""``osiris index repair`` keeps all that the chain proves, copies all else, says so, and changes nothing more."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osiris import durable
from osiris.clock import parse_rfc3339
from osiris.errors import ExitCode, OsirisError
from osiris.events.entry import seal
from osiris.events.journal import Journal
from osiris.events.recovery import JournalRepaired
from osiris.ledger.index import verify_index
from osiris.ledger.repair import Repair, repair
from tests.cli.shop import new_shop
from tests.histories import begin, make_ledger, tree
from tests.ledger.damaged_journals import (
    CASES,
    FINISHED_RUNS,
    SEGMENT_BYTES,
    cut_parts,
    fence,
    flip_a_byte,
    last_event,
    lines_of,
    make_sound,
    segments,
    tear,
    torn_copies,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose journal is whole; not to be touched."""
    return make_sound(tmp_path_factory.mktemp("sound") / "project")


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """A copy of ``sound``, to be damaged."""
    return shutil.copytree(sound, tmp_path / "project")


def repaired(root: Path, *, dry_run: bool = False) -> Repair:
    """What a process that repairs says and leaves behind."""
    ledger = make_ledger(root, segment_bytes=SEGMENT_BYTES)
    try:
        return repair(ledger, dry_run=dry_run)
    finally:
        ledger.close()


def check_sound_again(root: Path, proven: list[bytes]) -> None:
    assert lines_of(root)[: len(proven)] == proven
    verified = verify_index(make_ledger(root))
    assert verified.result == "ok", verified.differences
    before = tree(root)
    again = repaired(root)
    assert (again.reason, again.bytes_cut, again.fence_removed, again.kept_as) == ("", 0, False, ())
    assert tree(root) == before


@pytest.mark.parametrize("name", CASES)
def test_a_repair_keeps_what_is_proven_and_a_copy_of_the_rest_and_says_what_it_did(root: Path, name: str) -> None:
    case = CASES[name]
    proven = lines_of(root)[: case.last_good_seq]
    case.damage(root)
    cut = cut_parts(root, proven)

    done = repaired(root)

    lines = lines_of(root)
    assert lines[:-1] == proven
    assert torn_copies(root) == cut
    assert not (root / "journal" / "FENCE").exists()
    event = last_event(root)
    assert event["type"] == "journal.repaired"
    assert event["last_good_seq"] == case.last_good_seq
    assert event["bytes_cut"] == sum(map(len, cut))
    assert event["entries_cut"] == case.entries_cut
    assert sorted((root / "journal" / kept).read_bytes() for kept in event["kept_as"]) == cut
    is_newest_run_cut = case.last_good_seq < 12
    assert event["last_run_numbers"] == ({"orders": FINISHED_RUNS} if is_newest_run_cut else {})
    assert event["fence_removed"] is case.is_fenced
    assert event["reason"]
    assert str(root) not in event["reason"]
    assert parse_rfc3339(event["repaired_at"]).year == 2026
    assert done == Repair(
        reason=done.reason,
        last_good_seq=case.last_good_seq,
        bytes_cut=sum(map(len, cut)),
        entries_cut=case.entries_cut,
        fence_removed=case.is_fenced,
        kept_as=tuple(event["kept_as"]),
        dry_run=False,
    )
    check_sound_again(root, lines)


@pytest.mark.parametrize("name", CASES)
def test_a_dry_run_says_the_same_and_writes_nothing(root: Path, name: str) -> None:
    CASES[name].damage(root)
    before = tree(root)
    planned = repaired(root, dry_run=True)
    assert tree(root) == before
    assert planned.dry_run
    done = repaired(root)
    assert (planned.reason, planned.last_good_seq, planned.bytes_cut, planned.entries_cut, planned.fence_removed) == (
        done.reason,
        done.last_good_seq,
        done.bytes_cut,
        done.entries_cut,
        done.fence_removed,
    )


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("damage", [segments, tear], ids=["a sound journal", "a torn tail alone"])
def test_what_needs_no_repair_is_left_alone(root: Path, damage: Callable[[Path], object], dry_run: bool) -> None:
    damage(root)
    before = tree(root)
    done = repaired(root, dry_run=dry_run)
    assert done == Repair(reason="", last_good_seq=13, dry_run=dry_run)
    assert tree(root) == before
    begin(make_ledger(root))
    types = [json.loads(line)["event"]["type"] for line in lines_of(root)[13:]]
    assert types == (["journal.recovered"] if damage is tear else []) + ["run.started"]


def test_a_repair_of_a_project_in_which_nothing_has_happened_has_nothing_to_do(tmp_path: Path) -> None:
    assert repaired(tmp_path, dry_run=True).reason == ""
    assert tree(tmp_path) == {}
    assert repaired(tmp_path).reason == ""
    assert segments(tmp_path) == []


REST = CASES.keys() - {"all at once", "an entry that the index has seen is gone"}
CUT_RUNS = {name: case for name, case in CASES.items() if case.last_good_seq < 12}
TOLD_BY_THE_JOURNAL = {name: case for name, case in CUT_RUNS.items() if case.entries_cut > 0}


@pytest.mark.parametrize(
    ("name", "is_index_there"), [*((name, True) for name in CUT_RUNS), *((name, False) for name in TOLD_BY_THE_JOURNAL)]
)
def test_a_run_after_a_repair_gets_a_number_above_all_that_were_cut(
    root: Path, name: str, is_index_there: bool
) -> None:
    if not is_index_there:
        shutil.rmtree(root / "index")
    CASES[name].damage(root)
    repaired(root)
    assert last_event(root)["last_run_numbers"] == {"orders": FINISHED_RUNS}
    assert begin(make_ledger(root)).started.number == FINISHED_RUNS + 1
    assert begin(make_ledger(root)).started.number == FINISHED_RUNS + 2
    assert verify_index(make_ledger(root)).result == "ok"


@pytest.mark.parametrize("place", ["before the damage", "behind the damage", "in a sound journal"])
def test_events_of_a_newer_osiris_are_never_cut(root: Path, place: str) -> None:
    last = json.loads(lines_of(root)[-1])
    line, _ = seal(14, last["id"], last["at"], last["hash"], b'{"type":"run.teleported","number":7}')
    with segments(root)[-1].open("ab") as file:
        file.write(line)
    if place == "before the damage":
        fence(root)
        tear(root)
    elif place == "behind the damage":
        flip_a_byte(root)
    before = tree(root)
    for dry_run in (True, False):
        with pytest.raises(OsirisError) as caught:
            repaired(root, dry_run=dry_run)
        assert caught.value.exit_code == ExitCode.NEWER_OSIRIS
    after = tree(root)
    assert {path: after[path][2] for path in before} == {path: before[path][2] for path in before}


class Killed(BaseException):
    """The process is dead: nothing may catch this and go on."""


class DyingModule:
    """``os`` or ``shutil`` of a process that dies at its ``budget``-th change to the disk, and changes nothing more."""

    CHANGES = frozenset({"write", "replace", "unlink", "mkdir", "rmdir", "fsync", "fdatasync", "ftruncate", "rmtree"})

    def __init__(self, module: Any, budget: list[int]) -> None:
        self._module = module
        self._budget = budget

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._module, name)
        if name not in self.CHANGES:
            return call

        def change(*args: Any, **options: Any) -> Any:
            self._budget[0] -= 1
            if self._budget[0] < 0:
                raise Killed
            return call(*args, **options)

        return change


def is_killed(root: Path, after_changes: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Repair in a process that dies after so many changes; False if it had come to its end by then."""
    budget = [after_changes]
    with monkeypatch.context() as patched:
        patched.setattr(durable, "os", DyingModule(os, budget))
        patched.setattr(durable, "shutil", DyingModule(shutil, budget))
        try:
            repaired(root)
        except Killed:
            return True
    return False


@pytest.mark.parametrize(
    "name",
    [
        "all at once",
        "an entry that the index has seen is gone",
        *(pytest.param(n, marks=pytest.mark.slow) for n in sorted(REST)),
    ],
)
def test_a_repair_that_is_killed_at_any_step_can_be_run_again_and_ends_well(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = CASES[name]
    proven = lines_of(sound)[: case.last_good_seq]
    changes = 0
    while True:
        root = shutil.copytree(sound, tmp_path / str(changes))
        case.damage(root)
        cut = cut_parts(root, proven)
        if not is_killed(root, changes, monkeypatch):
            break
        repaired(root)
        look = make_ledger(root)
        look.peek()  # the index may have been left without its database: any next command makes it anew
        look.close()
        assert set(torn_copies(root)) >= set(cut), f"killed after {changes} changes"
        repairs = [json.loads(line)["event"] for line in lines_of(root)[case.last_good_seq :]]
        assert {event["type"] for event in repairs} == {"journal.repaired"}
        if case.last_good_seq < 12:
            assert max(event["last_run_numbers"].get("orders", 0) for event in repairs) == FINISHED_RUNS
        check_sound_again(root, lines_of(root)[: case.last_good_seq + len(repairs)])
        assert lines_of(root)[: case.last_good_seq] == proven
        changes += 1
    assert changes > 5


def test_a_writer_waits_for_a_repair_and_appends_behind_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fence(root)
    blocked: list[OsirisError] = []
    repair_locked = Journal.repair_locked

    def write_meanwhile(journal: Journal, *args: Any) -> Any:
        with pytest.raises(OsirisError) as caught:
            begin(make_ledger(root, lock_timeout_s=0.05))
        blocked.append(caught.value)
        return repair_locked(journal, *args)

    monkeypatch.setattr(Journal, "repair_locked", write_meanwhile)
    repaired(root)
    assert [error.exit_code for error in blocked] == [ExitCode.LOCKED]
    begin(make_ledger(root))
    assert isinstance(list(make_ledger(root).journal.read())[13].event, JournalRepaired)


def test_the_command_line_repairs_a_project_that_every_other_command_refused(tmp_path: Path) -> None:
    shop = new_shop(tmp_path / "shop")
    shop.run("run", "orders")
    segment = shop.root / ".osiris" / "journal" / "00000000000000000001.ndjson"
    segment.write_bytes(segment.read_bytes().replace(b'"run.started"', b'"run.stopped"'))
    shutil.rmtree(shop.root / ".osiris" / "index")  # which has seen these entries, so that writers read only new ones
    for refused in (("run", "orders"), ("index", "verify"), ("index", "rebuild")):
        assert str(segment) in shop.run(*refused, check=5).err
    before = segment.read_bytes()
    planned = shop.run("index", "repair", "--dry-run").out
    assert "would keep the entries up to 1" in planned
    assert segment.read_bytes() == before
    done = shop.run("index", "repair", "--json").json
    assert (done["last_good_seq"], done["entries_cut"], done["dry_run"]) == (1, 1, False)
    shop.run("index", "verify")
    assert shop.run("index", "repair").out.startswith("nothing to repair")
    shop.run("run", "orders")
    assert shop.run("events", "--type", "journal.repaired", "--json").lines[0]["event"]["entries_cut"] == 1
