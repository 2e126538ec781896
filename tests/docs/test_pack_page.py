"""``docs/pack.md`` names every field of a pack, in order, and every bound and id of evidence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from osiris.runner.annex import ANNEX_NAMES, HALF_BYTES, HALF_LINES, TAIL_NAME, ErrorLine, MetricLine, TimelineLine
from osiris.runner.card import CARD_LIMIT_BYTES
from osiris.runner.comparison import ManifestChanges, StepChange, StepComparison
from osiris.runner.summary import AnnexFile, Artifact, Delta, PreviousAttempt, RunSummary, StepSummary

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pack.md").read_text("utf-8")
TABLES: dict[str, type[msgspec.Struct]] = {
    "## summary.json": RunSummary,
    "A **step**": StepSummary,
    "An **artifact**": Artifact,
    "An **annex file**": AnnexFile,
    "### delta": Delta,
    "`manifest`:": ManifestChanges,
    "Each of `steps`": StepComparison,
    "`timeline.ndjson` and": TimelineLine,
    "`metrics.ndjson`:": MetricLine,
    "`errors.ndjson`:": ErrorLine,
}


def first_column(heading: str) -> list[str]:
    """What stands in backticks in the first column of the first table behind ``heading``."""
    table = PAGE[PAGE.index(f"\n{heading}") :].split("\n|---|---|\n")[1].split("\n\n")[0]
    return re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in table.splitlines()))


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_every_field_of_a_file_in_its_order(heading: str) -> None:
    assert first_column(heading) == list(TABLES[heading].__struct_fields__)


def test_the_page_names_what_stands_inside_of_a_field() -> None:
    assert "{" + ", ".join(PreviousAttempt.__struct_fields__) + "}" in PAGE
    assert "[{" + ", ".join(StepChange.__struct_fields__) + "}]" in PAGE


def test_the_page_names_every_file_and_every_bound() -> None:
    files = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `") and "retention" in line]
    assert files == [f"annex/{name}" for name in ANNEX_NAMES]
    assert f"`{TAIL_NAME}`" in PAGE
    assert f"at most {CARD_LIMIT_BYTES // 1024} KB" in PAGE
    assert f"the last {HALF_LINES:,} lines, or {HALF_BYTES >> 20} MiB" in PAGE


def test_every_id_of_evidence_is_one_that_the_page_describes() -> None:
    ids = [
        re.escape(one).replace("<id>", "[A-Za-z0-9_-]+").replace("<n>", "[1-9][0-9]*")
        for one in first_column("### evidence")
    ]
    grammar = re.compile("|".join(ids).replace("<name>", "(timeline|metrics|errors)"))
    kept = json.loads((ROOT / "tests" / "golden" / "aiop_orders_run" / "summary.json").read_bytes())
    evidence = [*kept["evidence"], "run.error", "run.error_line", "run.error_column", "step.by-customer.retries"]
    assert [one for one in evidence if not grammar.fullmatch(one)] == []
    assert [
        one for one in ids if not any(re.fullmatch(one.replace("<name>", "errors"), found) for found in evidence)
    ] == []
