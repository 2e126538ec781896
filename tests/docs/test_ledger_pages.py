"""What the pages on the journal and the index show is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from osiris.events.catalog import EVENT_TYPES
from osiris.events.entry import FIRST_PREV, MAX_ENTRY_BYTES, open_entry
from osiris.ledger import checkpoint
from osiris.projections.runs import RunRecord

DOCS = Path(__file__).parents[2] / "docs"
JOURNAL_PAGE = (DOCS / "journal-format.md").read_text(encoding="utf-8")
INDEX_PAGE = (DOCS / "index-files.md").read_text(encoding="utf-8")


def test_the_entries_on_the_journal_page_are_real_ones_and_form_a_chain() -> None:
    prev = FIRST_PREV
    lines = re.findall(r'^\{"seq":.*$', JOURNAL_PAGE, flags=re.MULTILINE)
    for seq, line in enumerate(lines, start=1):
        prev = open_entry(line.encode() + b"\n", seq, prev).hash
    assert len(lines) == 2


def test_the_grammar_names_the_longest_entry() -> None:
    assert f"at most {MAX_ENTRY_BYTES:,} bytes" in JOURNAL_PAGE


def test_the_fields_of_a_run_record_are_documented_in_their_order() -> None:
    table = INDEX_PAGE.split("| field, in this order | meaning |")[1].split("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]
    assert names == [field.name for field in msgspec.structs.fields(RunRecord)]


def test_the_tables_of_the_database_are_documented_column_by_column() -> None:
    with_schema = checkpoint.scratch()
    tables = [name for (name,) in with_schema.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in tables:
        columns = [row[1] for row in with_schema.execute(f"PRAGMA table_info({table})")]
        assert f"| `{table}` | {', '.join(f'`{column}`' for column in columns)} |" in INDEX_PAGE
    with_schema.close()


def test_every_event_that_a_page_names_exists() -> None:
    families = "|".join(sorted({tag.split(".")[0] for tag in EVENT_TYPES}))
    named = set(re.findall(rf"`((?:{families})\.[a-z_]+)`", JOURNAL_PAGE + INDEX_PAGE))
    assert named
    assert named <= set(EVENT_TYPES)
