"""A journal of 13 entries in six segments, and what can happen to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from osiris.ledger.runs import record_compile
from tests.histories import begin, end, make_build, make_ledger

SEGMENT_BYTES = 2_000
FINISHED_RUNS = 6


class Case(NamedTuple):
    """A damage, the entries that are proven all the same, and how many whole ones it takes along."""

    damage: Callable[[Path], object]
    last_good_seq: int
    entries_cut: int
    is_fenced: bool = False


def make_sound(root: Path) -> Path:
    """A compile and six runs, 13 entries, in six segments."""
    ledger = make_ledger(root, segment_bytes=SEGMENT_BYTES)
    record_compile(ledger, make_build(), even_if_known=False)
    for _ in range(FINISHED_RUNS):
        end(ledger, begin(ledger))
    ledger.close()
    assert [path.name[-8:-7] for path in segments(root)] == ["1", "3", "6", "8", "0", "2"]
    return root


def segments(root: Path) -> list[Path]:
    return sorted((root / "journal").glob("*.ndjson"))


def lines_of(root: Path) -> list[bytes]:
    return b"".join(path.read_bytes() for path in segments(root)).splitlines(keepends=True)


def flip_a_byte(root: Path) -> None:
    path = segments(root)[1]  # entries 3, 4 and 5
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"number":2', b'"number":3'))
    assert path.read_bytes() != content


def copy_as(root: Path, name: str) -> None:
    shutil.copyfile(segments(root)[0], root / "journal" / name)


def remove(root: Path, which: int) -> None:
    segments(root)[which].unlink()


def remove_all(root: Path) -> None:
    for path in segments(root):
        path.unlink()


def drop_last_line(root: Path) -> None:
    lines = segments(root)[-1].read_bytes().splitlines(keepends=True)
    segments(root)[-1].write_bytes(b"".join(lines[:-1]))


def tear_last_line(root: Path) -> None:
    segments(root)[-1].write_bytes(segments(root)[-1].read_bytes()[:-30])


def tear(root: Path) -> None:
    with segments(root)[-1].open("ab") as file:
        file.write(b'{"seq":14,"id":' + b"\0" * 500)


def fence(root: Path) -> None:
    note = {"at": "2026-11-21T00:40:01.123456Z", "segment": segments(root)[-1].name, "offset": 0, "problem": "EIO"}
    (root / "journal" / "FENCE").write_text(json.dumps(note))


def all_of(*damages: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: [damage(root) for damage in damages]


CASES = {
    "a flipped byte in the middle": Case(flip_a_byte, 3, 9),
    "a missing middle segment": Case(lambda root: remove(root, 2), 5, 6),
    "a missing first segment": Case(lambda root: remove(root, 0), 0, 11),
    "an empty middle segment": Case(lambda root: segments(root)[2].write_bytes(b""), 5, 6),
    "a stray segment far behind": Case(lambda root: copy_as(root, f"{99:020}.ndjson"), 13, 2),
    "a stray segment among the others": Case(lambda root: copy_as(root, f"{4:020}.ndjson"), 13, 2),
    "an entry that the index has seen is gone": Case(drop_last_line, 12, 0),
    "an entry that the index has seen is torn": Case(tear_last_line, 12, 0),
    "a segment that the index has seen is gone": Case(lambda root: remove(root, -1), 11, 0),
    "all segments are gone": Case(remove_all, 0, 0),
    "a fence": Case(fence, 13, 0, is_fenced=True),
    "an unreadable fence": Case(lambda root: (root / "journal" / "FENCE").touch(), 13, 0, is_fenced=True),
    "a fence and a torn tail": Case(all_of(tear, fence), 13, 0, is_fenced=True),
    "all at once": Case(
        all_of(flip_a_byte, lambda root: copy_as(root, f"{99:020}.ndjson"), tear, fence), 3, 11, is_fenced=True
    ),
}


def cut_parts(root: Path, proven: list[bytes]) -> list[bytes]:
    """What stands in a damaged journal's segments besides the lines of ``proven``, file by file, where there is any."""
    parts = []
    for path in segments(root):
        kept, content = b"", path.read_bytes()
        for line in proven:
            kept += line if content.startswith(kept + line) and line.startswith(chained(path, kept)) else b""
        parts.append(content[len(kept) :])
    return sorted(part for part in parts if part)


def chained(path: Path, kept: bytes) -> bytes:
    """How the next line of a segment begins if it stands where it belongs."""
    return b'{"seq":%d,' % (int(path.stem) + kept.count(b"\n"))


def torn_copies(root: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (root / "journal" / "torn").glob("*.bytes"))


def last_event(root: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(lines_of(root)[-1])["event"]
    return event
