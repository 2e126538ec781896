"""A journal in which bytes were changed, cut or added is torn or corrupt, never sound, and nobody makes it worse.

Torn is only what lies behind the last entry that anybody can have been told of; all other damage is corruption, which
stops every writer that meets it. A writer with an index looks at nothing before the entry that the index has seen.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from osiris.ledger import index as index_module
from osiris.ledger.index import verify_index
from tests.faults.specimens import (
    SMALL_WITNESSES,
    WITNESSES,
    Place,
    Segments,
    Specimen,
    check_corrupt,
    check_torn,
    make_small_specimen,
    make_specimen,
    read_segments,
    refused,
    with_ledger,
    write,
    write_segments,
)


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return make_specimen(tmp_path_factory.mktemp("specimen"))


@pytest.fixture(scope="module")
def small_specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return make_small_specimen(tmp_path_factory.mktemp("small"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify gives a writer time to bring an index up to date that is behind; here nobody will."""
    monkeypatch.setattr(index_module, "_PATIENCE_S", 0.0)


Flip = tuple[str, int, int]
"""A file, a byte in it, and a bit of that."""
EVERY_WRITE = 17
"""Of the flips that no writer needs to see, one in so many is followed by a write; odd, so each bit has its turn."""


def some_bits(segments: Segments, every: int) -> Iterator[Flip]:
    """One bit of every so many bytes, and always one at an entry's end."""
    dice = random.Random(7)
    for name, content in segments.items():
        for byte in range(len(content)):
            if byte % every == 0 or content[byte] == 10:
                yield name, byte, dice.randrange(8)


def check_flips(specimen: Specimen, root: Path, witness: str, flips: Iterable[Flip], write_every: int) -> None:
    """Each flip by itself is torn or corrupt as its place demands, for verify and for a writer."""
    specimen.copy(root, witness)
    sound, last, seen = read_segments(root), len(specimen.lines), specimen.seen[witness]
    missed: list[str] = []
    for name, byte, bit in flips:
        path = root / "journal" / name
        flipped = bytearray(sound[name])
        flipped[byte] ^= 1 << bit
        path.write_bytes(flipped)
        place = specimen.first_damage({**sound, name: bytes(flipped)})
        assert place is not None
        try:
            if place.seq == last > seen:
                check_torn(root, specimen.lines[:-1], bytes(flipped[place.offset :]), seen)
            else:
                check_corrupt(root, place, seen, write_before_witness=(byte * 8 + bit) % write_every == 0)
        except (AssertionError, pytest.fail.Exception) as failure:
            missed.append(f"bit {bit} of byte {byte} of {name} in entry {place.seq}: {failure}")
        if read_segments(root) != {**sound, name: bytes(flipped)}:
            specimen.copy(root, witness)
        path.write_bytes(sound[name])
    assert not missed, f"{len(missed)} flips were taken for something else, the first: {missed[0]}"


@pytest.mark.parametrize("witness", WITNESSES)
def test_a_flipped_bit_is_found_wherever_it_is(specimen: Specimen, tmp_path: Path, witness: str) -> None:
    check_flips(specimen, tmp_path / "p", witness, some_bits(read_segments(specimen.template), 19), 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("witness", SMALL_WITNESSES)
def test_every_single_bit_of_a_small_journal_is_found(
    small_specimen: Specimen, tmp_path: Path, witness: str, bit: int
) -> None:
    segments = read_segments(small_specimen.template)
    flips = [(name, byte, bit) for name, content in segments.items() for byte in range(len(content))]
    check_flips(small_specimen, tmp_path / "p", witness, flips, EVERY_WRITE)


@pytest.mark.parametrize("every", [37, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("witness", WITNESSES)
def test_a_cut_anywhere_in_the_last_two_entries_is_torn_or_shorter_or_against_the_witness(
    specimen: Specimen, tmp_path: Path, witness: str, every: int
) -> None:
    name, whole = max(read_segments(specimen.template).items())
    ends = [len(whole) - len(specimen.lines[6]) - len(specimen.lines[7]), len(whole) - len(specimen.lines[7])]
    for size in sorted({*range(ends[0], len(whole), every), *ends, ends[0] + 1, ends[1] - 1, len(whole) - 1}):
        root = specimen.copy(tmp_path / "p", witness)
        (root / "journal" / name).write_bytes(whole[:size])
        entries = 6 if size < ends[1] else 7
        if witness == "current":
            problem = refused(root, verify_index)
            assert str(root / "journal" / name) in problem
            assert f"byte {len(whole)}" in problem
            refused(root, write)
        elif size in ends:
            with_ledger(root, write)
            with_ledger(root, lambda ledger: ledger.journal.read().drain())
            assert b"".join(read_segments(root).values()).startswith(b"".join(specimen.lines[:entries]))
        else:
            check_torn(root, specimen.lines[:entries], whole[ends[entries - 6] : size], WITNESSES[witness])


FOREIGN = (
    Path(__file__).parent.parent.parent.joinpath("docs/journal-format.md").read_bytes().split(b"```json\n")[1]
).splitlines(keepends=True)[0]
GARBAGE: dict[str, bytes] = {
    "one byte": b"x",
    "random bytes": random.Random(1).randbytes(500),
    "random lines": random.Random(2).randbytes(300).replace(b"\x00", b"\n") + b"\n\n\n",
    "half of a line": FOREIGN[:150],
    "a line without its newline": FOREIGN[:-1],
    **{f"{size} NUL bytes": bytes(size) for size in (1, 100, 4096, 70_000, 1_048_581, 3_000_000)},
}
BEHIND: dict[str, bytes] = {
    "nothing": b"",
    "NUL bytes": bytes(4096),
    "more NUL bytes than an entry may have": bytes(1_048_577 + 5),
    "half of a line": FOREIGN[:150],
    "a newline": b"\n",
}


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_tail_in_which_nothing_is_whole_is_torn(
    specimen: Specimen, tmp_path: Path, garbage: str, witness: str
) -> None:
    root = specimen.copy(tmp_path, witness)
    with max((root / "journal").glob("*.ndjson")).open("ab") as file:
        file.write(GARBAGE[garbage])
    check_torn(root, specimen.lines, GARBAGE[garbage], WITNESSES[witness])


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("whole", ["its own first", "its own last", "of another journal"])
@pytest.mark.parametrize("before", BEHIND)
def test_a_tail_that_holds_a_whole_entry_is_corruption(
    specimen: Specimen, tmp_path: Path, before: str, whole: str, witness: str
) -> None:
    root = specimen.copy(tmp_path, witness)
    segments = read_segments(root)
    name = max(segments)
    line = {"its own first": specimen.lines[0], "its own last": specimen.lines[-1], "of another journal": FOREIGN}
    place = Place(name, 3, len(segments[name]), 9)
    write_segments(root, {**segments, name: segments[name] + BEHIND[before] + line[whole]})
    check_corrupt(root, place, WITNESSES[witness])
