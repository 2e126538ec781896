"""A small sound journal to damage, and what must hold of every journal that was damaged."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.events.recovery import JournalRecovered
from osiris.events.retention import PrunedRun, RetentionPlanned
from osiris.events.runs import PipelineTagged, RunTagged
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.runs import record_compile, tag_pipeline
from tests.histories import at_home, begin, end, make_build, make_ledger, text_files, tree

SEGMENT_BYTES = 2_200
WITNESSES = {"current": 8, "older": 6, "none": 0}
SMALL_SEGMENT_BYTES = 1_000
SMALL_WITNESSES = {"current": 4, "older": 2, "none": 0}
Segments = dict[str, bytes]


class Place(NamedTuple):
    """Where the first entry stands that is not as it was; ``seq`` is the entry that belongs there."""

    file: str
    line: int
    offset: int
    seq: int


class Specimen(NamedTuple):
    """A sound journal, and the indexes that have seen all of its entries, all but two, and none, as ``seen`` counts."""

    template: Path
    lines: list[bytes]
    seen: dict[str, int]

    def copy(self, root: Path, witness: str) -> Path:
        """A project in ``root`` with the journal and one of the indexes."""
        shutil.rmtree(root, ignore_errors=True)
        for name, source in {"journal": "journal", "sessions": "sessions", "index": witness}.items():
            if source != "none":
                shutil.copytree(self.template / source, root / name)
        if witness != "none":
            at_home(root / "index")
        return root

    def first_damage(self, segments: Segments) -> Place | None:
        """Found by comparing with what was there; None where the journal is sound, and perhaps shorter."""
        name, seq, unvisited = f"{1:020d}.ndjson", 1, set(segments)
        while name in unvisited:
            unvisited.remove(name)
            offset = 0
            for number, line in enumerate(lines_of(segments[name]), 1):
                if line != (self.lines[seq - 1] if seq <= len(self.lines) else b""):
                    return Place(name, number, offset, seq)
                seq, offset = seq + 1, offset + len(line)
            name = f"{seq:020d}.ndjson"
        return Place(min(unvisited), 1, 0, seq if min(unvisited) > name else 0) if unvisited else None


def make_specimen(root: Path) -> Specimen:
    """Eight entries and their indexes, made by the product itself; each entry but two is of another type."""
    ledger = make_ledger(root, segment_bytes=SEGMENT_BYTES)
    record_compile(ledger, make_build(), even_if_known=False)
    end(ledger, begin(ledger))
    tag_pipeline(ledger, "orders", add=["ml"], remove=[])
    run = begin(ledger)
    end(ledger, run, "failed")
    ledger.close()
    shutil.copytree(root / "index", root / "older")
    run_id = run.started.run_id
    ledger.record(RunTagged(run_id=run_id, pipeline_slug="orders", tags=("kept",), tagged_at="t"))
    pruned = PrunedRun(run_id=run_id, pipeline_slug="orders", paths=("run_logs/x",))
    ledger.record(RetentionPlanned(plan_id="p", planned_at="t", runs=(pruned,)))
    ledger.close()
    return _specimen(root, [3, 3, 2], WITNESSES)


def make_small_specimen(root: Path) -> Specimen:
    """Four short entries of three types in two segments, so that there is time for each bit of them."""
    ledger = make_ledger(root, segment_bytes=SMALL_SEGMENT_BYTES)
    record_compile(ledger, make_build(), even_if_known=False)
    ledger.record(PipelineTagged(pipeline_slug="orders", tags=("a",), tagged_at="t"))
    ledger.close()
    shutil.copytree(root / "index", root / "older")
    ledger.record(RetentionPlanned(plan_id="p", planned_at="t", runs=()))
    ledger.record(PipelineTagged(pipeline_slug="orders", tags=("b",), tagged_at="t"))
    ledger.close()
    return _specimen(root, [2, 2], SMALL_WITNESSES)


def _specimen(root: Path, entries: list[int], seen: dict[str, int]) -> Specimen:
    (root / "index").rename(root / "current")
    segments = read_segments(root)
    assert [content.count(b"\n") for content in segments.values()] == entries
    return Specimen(root, [line for content in segments.values() for line in lines_of(content)], seen)


def lines_of(content: bytes) -> list[bytes]:
    """Lines as a journal has them: nothing but LF ends one."""
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def read_segments(root: Path) -> Segments:
    """All segments, in order."""
    return {path.name: path.read_bytes() for path in sorted((root / "journal").glob("*.ndjson"))}


def write_segments(root: Path, segments: Segments) -> None:
    """These segments and no others."""
    for path in (root / "journal").glob("*.ndjson"):
        path.unlink()
    for name, content in segments.items():
        (root / "journal" / name).write_bytes(content)


def with_ledger(root: Path, act: Callable[[Ledger], object]) -> None:
    """Do as one process would."""
    ledger = make_ledger(root, segment_bytes=SEGMENT_BYTES)
    try:
        act(ledger)
    finally:
        ledger.close()


def write(ledger: Ledger) -> None:
    """Any command that records something."""
    ledger.record(PipelineTagged(pipeline_slug="orders", tags=("next",), tagged_at="t"))


def refused(root: Path, act: Callable[[Ledger], object], *, exits: tuple[int, ...] = (ExitCode.CORRUPT,)) -> str:
    """The problem that ``act`` names when it refuses and leaves every byte of the journal as it was."""
    before = tree(root / "journal")
    with pytest.raises(OsirisError) as caught:
        with_ledger(root, act)
    assert caught.value.exit_code in exits
    assert tree(root / "journal") == before
    return caught.value.problem


def check_corrupt(root: Path, place: Place, witness: int, *, write_before_witness: bool = True) -> None:
    """Verify names the place, a write refuses if it gets to see it, and reading changes nothing."""
    problem = refused(root, verify_index)
    path = root / "journal" / place.file
    known = f"{path}: line {place.line} (byte {place.offset}): "
    assert problem.startswith(known) or (witness and f"entry {witness}, which the index has seen," in problem), problem
    assert len(problem) > len(known), "it says what differs, too"
    if place.seq >= witness:
        refused(root, write)
        return
    if not write_before_witness:
        return
    before = read_segments(root)
    try:
        with_ledger(root, write)  # what is before the witness costs no writer a look, but the witness may have moved
    except OsirisError as error:
        if error.exit_code != ExitCode.CORRUPT:
            raise
    after = read_segments(root)
    assert all(after[name].startswith(content) for name, content in before.items()), "nothing was changed, only added"
    refused(root, verify_index)


def check_torn(root: Path, good: list[bytes], tail: bytes, witness: int) -> None:
    """Verify says torn, the next write keeps ``tail`` and cuts it off, and all that was good before is still there."""
    before = tree(root)
    with_ledger(root, lambda ledger: expect_torn(ledger, len(good), len(tail), witness))
    assert tree(root) == before
    with_ledger(root, write)
    lines = [line for content in read_segments(root).values() for line in lines_of(content)]
    assert lines[: len(good)] == good
    with_ledger(root, lambda ledger: expect_recovered(ledger, root, len(good), tail))


def expect_torn(ledger: Ledger, entries: int, size: int, witness: int) -> None:
    """An index that is behind or gone is said as well, and comes first."""
    found = verify_index(ledger)
    assert found.torn is not None, f"{size} bytes behind entry {entries} and verify says {found.result}"
    assert (found.entries, found.torn.bytes) == (entries, size)
    assert found.result == ("torn" if witness == entries else "drift")
    problems = [] if witness == entries else ["stale" if witness else "missing"]
    assert [found.problem for found in found.differences] == problems


def expect_recovered(ledger: Ledger, root: Path, entries: int, tail: bytes) -> None:
    """The journal goes on behind what was good, the index shows it, and a rebuild gives the same bytes twice."""
    recovered, written = [entry.event for entry in ledger.journal.read()][entries:]
    assert isinstance(recovered, JournalRecovered)
    assert isinstance(written, PipelineTagged)
    assert (root / "journal" / recovered.kept_as).read_bytes() == tail
    assert (recovered.bytes_cut, recovered.sha256) == (len(tail), hashlib.sha256(tail).hexdigest())
    assert verify_index(ledger).result == "ok"
    live = text_files(root / "index")
    for _ in range(2):
        rebuild(ledger)
        assert text_files(root / "index") == live
