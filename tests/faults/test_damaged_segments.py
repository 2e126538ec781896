"""Lines and segments that went, came twice or stand in the wrong place are corruption; an empty last segment is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from osiris.errors import ExitCode
from osiris.events.journal import Journal
from osiris.ledger import index as index_module
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, get_run, list_pipelines, list_runs
from tests.cli.shop import Shop, new_shop
from tests.faults.specimens import (
    SEGMENT_BYTES,
    WITNESSES,
    Segments,
    Specimen,
    check_corrupt,
    lines_of,
    make_specimen,
    read_segments,
    refused,
    with_ledger,
    write,
    write_segments,
)
from tests.histories import SteppingClock, tree

FIRST, SECOND, LAST = (f"{seq:020d}.ndjson" for seq in (1, 4, 7))
NEXT = f"{9:020d}.ndjson"


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return make_specimen(tmp_path_factory.mktemp("specimen"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = new_shop(tmp_path_factory.mktemp("finished") / "shop")
    shop.run("run", "orders")
    return shop.root


@pytest.fixture
def used(finished: Path, tmp_path: Path) -> Shop:
    return Shop(shutil.copytree(finished, tmp_path / "used"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify gives a writer time to bring an index up to date that is behind; here nobody will."""
    monkeypatch.setattr(index_module, "_PATIENCE_S", 0.0)


def change_lines(segments: Segments, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> Segments:
    """Each line stays in the file that it is listed with."""
    changed: Segments = dict.fromkeys(segments, b"")
    for name, line in change([(name, line) for name, content in segments.items() for line in lines_of(content)]):
        changed[name] += line
    return changed


def check_damage(specimen: Specimen, root: Path, damaged: Segments, witness: str) -> None:
    write_segments(root, damaged)
    place = specimen.first_damage(damaged)
    if place is not None:
        check_corrupt(root, place, WITNESSES[witness])
        return
    entries = sum(content.count(b"\n") for content in damaged.values())
    if entries < WITNESSES[witness]:  # sound by itself, but the index has seen more
        assert f"entry {WITNESSES[witness]}, which the index has seen," in refused(root, verify_index)
        refused(root, write)
    else:  # nobody can know that there was more
        with_ledger(root, lambda ledger: expect_head(ledger, entries))


def expect_head(ledger: Ledger, seq: int) -> None:
    assert verify_index(ledger).head.seq == seq


@pytest.mark.parametrize(("seq", "witness"), list(product(range(1, 9), WITNESSES)))
def test_a_line_that_is_doubled_dropped_or_swapped_is_found(
    specimen: Specimen, tmp_path: Path, seq: int, witness: str
) -> None:
    for change in ("doubled", "dropped", "swapped"):
        if change == "swapped" and seq == 8:
            continue
        root = specimen.copy(tmp_path / change, witness)
        at = seq - 1

        def changed(lines: list[tuple[str, bytes]], change: str = change, at: int = at) -> list[tuple[str, bytes]]:
            if change == "swapped":
                (name, line), (other_name, other) = lines[at : at + 2]
                return [*lines[:at], (name, other), (other_name, line), *lines[at + 2 :]]
            return [*lines[:at], *([lines[at]] * 2 if change == "doubled" else []), *lines[at + 1 :]]

        check_damage(specimen, root, change_lines(read_segments(root), changed), witness)


SEGMENT_DAMAGES: dict[str, Callable[[Segments], Segments]] = {
    "first missing": lambda found: {SECOND: found[SECOND], LAST: found[LAST]},
    "middle missing": lambda found: {FIRST: found[FIRST], LAST: found[LAST]},
    "last missing": lambda found: {FIRST: found[FIRST], SECOND: found[SECOND]},
    "all missing": lambda _: dict[str, bytes](),
    "first two swapped": lambda found: {**found, FIRST: found[SECOND], SECOND: found[FIRST]},
    "last two swapped": lambda found: {**found, SECOND: found[LAST], LAST: found[SECOND]},
    "first renamed": lambda found: {f"{2:020d}.ndjson": found[FIRST], SECOND: found[SECOND], LAST: found[LAST]},
    "last renamed": lambda found: {FIRST: found[FIRST], SECOND: found[SECOND], NEXT: found[LAST]},
    "two in one": lambda found: {FIRST: found[FIRST] + found[SECOND], LAST: found[LAST]},
    "two in one and both": lambda found: {**found, FIRST: found[FIRST] + found[SECOND]},
    "one more in front": lambda found: {f"{0:020d}.ndjson": found[FIRST], **found},
    "one more in between": lambda found: {**found, f"{5:020d}.ndjson": lines_of(found[SECOND])[1]},
    "an empty one in between": lambda found: {**found, f"{5:020d}.ndjson": b""},
    "an old one next": lambda found: {**found, NEXT: found[FIRST]},
    "one far behind": lambda found: {**found, f"{99:020d}.ndjson": found[FIRST]},
    "an empty one far behind": lambda found: {**found, f"{99:020d}.ndjson": b""},
    "the last one emptied": lambda found: {**found, LAST: b""},
    "the middle one emptied": lambda found: {**found, SECOND: b""},
}


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("damage", SEGMENT_DAMAGES)
def test_a_segment_that_is_missing_or_too_many_or_in_the_wrong_place_is_found(
    specimen: Specimen, tmp_path: Path, damage: str, witness: str
) -> None:
    root = specimen.copy(tmp_path, witness)
    damaged = SEGMENT_DAMAGES[damage](read_segments(root))
    if damage == "two in one":  # the chain holds and so do the names: a longer segment is no damage
        write_segments(root, damaged)
        with_ledger(root, lambda ledger: ledger.journal.read().drain())
        return
    check_damage(specimen, root, damaged, witness)


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("name", [FIRST, SECOND, LAST])
@pytest.mark.parametrize("instead", ["a folder", "a link to nothing"])
def test_a_segment_in_whose_place_something_else_stands_is_refused(
    specimen: Specimen, tmp_path: Path, name: str, instead: str, witness: str
) -> None:
    root = specimen.copy(tmp_path / "p", witness)
    path = root / "journal" / name
    path.unlink()
    if instead == "a folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nothing")
    problem = refused(root, verify_index, exits=(ExitCode.CORRUPT, ExitCode.DISK))
    assert str(root / "journal") in problem
    if name == LAST or witness == "none":
        refused(root, write, exits=(ExitCode.CORRUPT, ExitCode.DISK))
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("witness", WITNESSES)
def test_a_new_segment_in_which_nothing_stands_yet_is_written_to_next(
    specimen: Specimen, tmp_path: Path, witness: str
) -> None:
    root = specimen.copy(tmp_path, witness)
    (root / "journal" / NEXT).touch()
    with_ledger(root, lambda ledger: expect_head(ledger, 8))
    with_ledger(root, write)
    assert b"".join(read_segments(root).values()).startswith(b"".join(specimen.lines))
    assert read_segments(root)[NEXT].count(b"\n") == 1
    with_ledger(root, lambda ledger: expect_sound(ledger, 9))


def expect_sound(ledger: Ledger, entries: int) -> None:
    found = verify_index(ledger)
    assert (found.result, found.entries) == ("ok", entries)


@pytest.mark.parametrize("cut", [1, 100, 0])
def test_an_index_made_beside_a_new_and_empty_segment_is_a_witness_like_any_other(tmp_path: Path, cut: int) -> None:
    for _ in range(3):
        with_ledger(tmp_path, write)
    (tmp_path / "journal" / f"{4:020d}.ndjson").touch()
    with_ledger(tmp_path, rebuild)
    with_ledger(tmp_path, lambda ledger: expect_sound(ledger, 3))
    path = tmp_path / "journal" / FIRST
    path.write_bytes(path.read_bytes()[: -(cut or len(lines_of(path.read_bytes())[2]))])
    refused(tmp_path, verify_index)
    refused(tmp_path, write)


READS: dict[str, Callable[[Ledger], object]] = {
    "list_runs": lambda ledger: list_runs(ledger, RunFilter(), 10),
    "list_runs of one": lambda ledger: list_runs(ledger, RunFilter(pipeline="orders"), 10),
    "get_run": lambda ledger: get_run(ledger, "last"),
    "list_pipelines": list_pipelines,
    "head": index_module.head,
    "rebuild": rebuild,
}


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("read", READS)
def test_whoever_only_reads_leaves_a_damaged_journal_as_it_is(
    specimen: Specimen, tmp_path: Path, read: str, witness: str
) -> None:
    for name, at in ((FIRST, 700), (SECOND, 5), (LAST, -20)):
        root = specimen.copy(tmp_path / "p", witness)
        content = bytearray(read_segments(root)[name])
        content[at] ^= 1
        (root / "journal" / name).write_bytes(content)
        before = tree(root / "journal")
        # A rebuild looks at all, and whoever has no index rebuilds; whoever has one looks at what it has seen last.
        from_first = read == "rebuild" or witness == "none"
        if (from_first and name != LAST) or (name == LAST and witness == "current"):
            refused(root, READS[read])
        else:
            with_ledger(root, READS[read])
        assert tree(root / "journal") == before


def test_a_journal_of_one_segment_size_is_read_by_a_process_of_another(specimen: Specimen, tmp_path: Path) -> None:
    root = specimen.copy(tmp_path, "current")
    other = Journal(root / "journal", clock=SteppingClock(), segment_bytes=SEGMENT_BYTES // 2, lock_timeout_s=1)
    assert other.read().drain().position.seq == 8


def test_commands_end_with_5_for_a_corrupt_journal_and_name_file_line_and_byte(used: Shop) -> None:
    path = used.root / ".osiris" / "journal" / FIRST
    lines = lines_of(path.read_bytes())
    path.write_bytes(b"".join([lines[0], lines[1].replace(b'"number":1', b'"number":2'), *lines[2:]]))
    shutil.rmtree(used.root / ".osiris" / "index")
    before = tree(used.root / ".osiris" / "journal")
    for command in (
        ("index", "verify"),
        ("index", "rebuild"),
        ("index", "head"),
        ("runs", "list"),
        ("run", "orders"),
        ("pipelines", "tag", "orders", "--add", "x"),
    ):
        assert f"{FIRST}: line 2 (byte {len(lines[0])})" in used.run(*command, check=5).err
    error = used.run("index", "verify", "--json", check=5).json["error"]
    assert (error["code"], Path(error["path"]).name) == ("journal.corrupt", FIRST)
    assert tree(used.root / ".osiris" / "journal") == before


def test_verify_ends_with_4_for_a_torn_tail_and_the_next_run_keeps_it_and_cuts_it_off(used: Shop) -> None:
    path = used.root / ".osiris" / "journal" / FIRST
    whole = path.read_bytes()
    tail = lines_of(whole)[0][:200] + bytes(100)
    path.write_bytes(whole + tail)
    found = used.run("index", "verify", "--json", check=4).json
    assert (found["torn"]["segment"], found["torn"]["offset"], found["torn"]["bytes"]) == (FIRST, len(whole), len(tail))
    assert [run["status"] for run in used.runs()] == ["success"]
    assert path.read_bytes() == whole + tail
    used.run("run", "orders")
    assert path.read_bytes().startswith(whole)
    recovered = json.loads(path.read_bytes()[len(whole) :].splitlines()[0])["event"]
    assert recovered["type"] == "journal.recovered"
    assert (path.parent / recovered["kept_as"]).read_bytes() == tail
    used.run("index", "verify")
