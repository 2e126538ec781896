"""What the journal's files say, read and checked without any code of the product."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from osiris.ledger import checkpoint
from osiris.ledger.index import rebuild
from osiris.project import open_project
from tests.histories import text_files

_LINE = re.compile(rb'(?P<sealed>\{"seq":.*),"hash":"(?P<hash>[0-9a-f]{64})"\}\n', re.DOTALL)
_SEGMENT = re.compile(r"[0-9]{20}\.ndjson")
_KEPT = re.compile(r"[0-9]{20}-[0-9]+-[0-9a-f]+\.bytes")


def journal_lines(root: Path) -> list[bytes]:
    """Every whole line of the journal of the project in ``root``; each segment is named by its first entry."""
    found: list[bytes] = []
    for segment in sorted((root / ".osiris" / "journal").glob("*.ndjson")):
        content = segment.read_bytes()
        assert not content or int(segment.stem) == len(found) + 1, f"{segment.name} follows {len(found)} entries"
        found += [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    return found


def checked_entries(root: Path) -> list[dict[str, Any]]:
    """The entries of a journal without a torn tail: numbered from 1 without a gap, each sealed upon the one before."""
    prev = "0" * 64
    entries = []
    for number, line in enumerate(journal_lines(root), 1):
        match = _LINE.fullmatch(line)
        assert match, f"entry {number} is no whole line: {line[:200]!r}"
        entry = json.loads(line)
        assert entry["seq"] == number, f"entry {entry['seq']} stands where {number} should be"
        assert entry["prev"] == prev, f"entry {number} does not follow the one before it"
        assert sha256(match["sealed"]).hexdigest() == entry["hash"], f"entry {number} has another hash"
        prev = entry["hash"]
        entries.append(entry)
    return entries


def events_of(root: Path, *types: str) -> list[dict[str, Any]]:
    """The checked events of these types, in order."""
    return [entry["event"] for entry in checked_entries(root) if entry["event"]["type"] in types]


def check_no_leftovers(root: Path) -> None:
    """No temporary file stands in the journal or the index."""
    journal, index = root / ".osiris" / "journal", root / ".osiris" / "index"
    strange = [
        *(path for path in journal.iterdir() if not (_SEGMENT.fullmatch(path.name) or path.name in ("LOCK", "torn"))),
        *(path for path in journal.glob("torn/*") if not _KEPT.fullmatch(path.name)),
        *(path for path in index.rglob("*") if "tmp" in path.name or path.name.startswith(".")),
    ]
    assert not strange, f"left behind: {', '.join(map(str, strange))}"


def check_rebuilds_agree(root: Path) -> None:
    """What the live index shows, what a rebuild gives and what a second rebuild gives are the same bytes and rows.

    Nothing that an earlier rebuild left half-made beside the index outlives the next one.
    """
    shown = [_index_content(root)]
    for _ in range(2):
        ledger = open_project(root, {}).ledger
        rebuild(ledger)
        ledger.close()
        shown.append(_index_content(root))
    assert [path.name for path in (root / ".osiris").glob("index*")] == ["index"], "left behind beside the index"
    assert shown[1] == shown[2], "a second rebuild gives other bytes than the first"
    assert shown[0] == shown[1], "a rebuild gives other bytes than what was shown"


def _index_content(root: Path) -> tuple[dict[str, bytes], dict[str, list[tuple[object, ...]]]]:
    index = root / ".osiris" / "index"
    with checkpoint.reading_a_copy(index / checkpoint.DATABASE) as database:
        return text_files(index), checkpoint.dump_rows(database)
