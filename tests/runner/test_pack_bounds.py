"""However much a run had to say, its pack stays small, says what it left out, and keeps what matters."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.compiler.manifest import Manifest
from osiris.events.runs import RunError, RunFinished, RunInterrupted, RunStarted
from osiris.projections.runs import open_record
from osiris.runner.annex import HALF_LINES, Excerpt, read_log, write_annex
from osiris.runner.card import CARD_LIMIT_BYTES, render_card
from osiris.runner.card_text import code, plain, quoted
from osiris.runner.comparison import ManifestChanges, StepChange
from osiris.runner.earlier import EarlierRuns
from osiris.runner.pack import RunFacts, summarise, write_pack
from osiris.runner.summary import Artifact, StepSummary
from tests.cli.test_packs import check_citations
from tests.compiler.pipelines import ORDERS, compile_text

AT = "2026-11-21T00:40:01.123456Z"
LATER = "2026-11-21T00:40:03.123456Z"
LONGEST_ID = "s" * 58 + "{:06d}"


def begun(**changes: Any) -> RunStarted:
    fields: dict[str, Any] = {name: name for name in ("run_id", "session", "pipeline_slug", "profile", "run_logs_path")}
    fields |= dict.fromkeys(("aiop_path", "manifest_path", "manifest_hash", "manifest_short", "payload_digest"), "x")
    return RunStarted(**{**fields, "number": 1, "started_at": AT, **changes})


def event_line(number: int, event: str = "step.progress", **fields: Any) -> bytes:
    return msgspec.json.encode({"seq": number, "at": LATER, "event": event, "step": "a", **fields}) + b"\n"


def test_a_log_without_end_makes_a_small_annex_with_their_beginning_and_end_in_little_memory(tmp_path: Path) -> None:
    number = 150_000
    with (tmp_path / "metrics.jsonl").open("wb") as file:
        line = b'{"at":"%s","step":"a","metric":"n","value":%d,"unit":"rows"}\n'
        file.writelines(line % (LATER.encode(), value) for value in range(number))
    with (tmp_path / "events.jsonl").open("wb") as file:
        file.writelines(event_line(value, "step.warning", message="w" * 300) for value in range(30_000))
    tracemalloc.start()
    annex = read_log(tmp_path, AT, error=None, ended_at=LATER)
    write_annex(tmp_path, annex, tail=3)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100 << 20
    values = [int(msgspec.json.decode(one)["value"]) for one in annex.metrics]
    assert values == [*range(HALF_LINES), *range(number - HALF_LINES, number)]
    assert [(file.name, file.lines, file.cut) for file in annex.files] == [
        ("timeline.ndjson", 20_000, 10_000),
        ("metrics.ndjson", 20_000, 130_000),
        ("errors.ndjson", 20_000, 10_000),
    ]
    assert (annex.warnings, len(annex.first_warnings), annex.last_ms) == (30_000, 5, 2000)
    assert sum(path.stat().st_size for path in (tmp_path / "annex").iterdir()) < 30 << 20
    assert (tmp_path / "events-tail.ndjson").read_bytes().splitlines() == list(annex.timeline[-3:])


@given(st.lists(st.integers(0, 3 << 20), max_size=20))
def test_an_excerpt_is_the_beginning_and_the_end_and_counts_the_rest(sizes: list[int]) -> None:
    excerpt = Excerpt()
    lines = [bytes([number]) * size for number, size in enumerate(sizes)]
    for line in lines:
        excerpt.add(line)
    kept = list(excerpt.lines())
    assert len(kept) + excerpt.cut == len(lines)
    assert sum(map(len, kept)) <= 8 << 20
    ways = [lines[:head] + lines[head + excerpt.cut :] for head in range(len(lines) - excerpt.cut + 1)]
    assert kept in ways


def test_the_last_events_have_no_gap_between_them_however_many_are_wanted(tmp_path: Path) -> None:
    for name, number, expected in (("short", 15_000, 10_000), ("long", 30_000, 10_000), ("wide", 400, 39)):
        folder = tmp_path / name
        folder.mkdir()
        message = "m" * (100_000 if name == "wide" else 1)
        lines = [event_line(seq, message=message) for seq in range(1, number + 1)]
        (folder / "events.jsonl").write_bytes(b"".join(lines))
        write_annex(folder, read_log(folder, AT, error=None, ended_at=LATER), tail=1_000_000)
        tail = (folder / "events-tail.ndjson").read_bytes().splitlines()
        seqs = [msgspec.json.decode(line)["seq"] for line in tail]
        assert len(seqs) >= expected
        assert seqs == list(range(number - len(seqs) + 1, number + 1))


def test_lines_that_are_none_are_passed_over_and_one_that_was_cut_by_a_kill_as_well(tmp_path: Path) -> None:
    good, last = event_line(1), event_line(2, "step.failed", code="x.y")
    rubbish = [
        b"\0" * 100 + b"\n",
        b"{}\n",
        b"\xff\n",
        event_line(9).replace(LATER.encode(), b"today"),
        b"a" * (3 << 20) + b"\n",
    ]
    (tmp_path / "events.jsonl").write_bytes(b"".join([good, *rubbish, last, event_line(3)[:-1]]))
    annex = read_log(tmp_path, AT, error=None, ended_at=LATER)
    assert [msgspec.json.decode(line)["seq"] for line in annex.timeline] == [1, 2]
    assert [msgspec.json.decode(line)["code"] for line in annex.errors] == ["x.y"]
    assert annex.files[0].cut == 1


def many_steps(number: int, failed: int) -> tuple[StepSummary, ...]:
    return tuple(
        StepSummary(
            id=LONGEST_ID.format(place),
            component="c" * 60,
            status="failed" if place == failed else "success",
            rows_in=10**15,
            rows_out=10**15,
            duration_ms=10**9,
        )
        for place in range(number)
    )


@pytest.mark.timeout(60)
def test_the_card_of_a_huge_run_keeps_its_bound_and_what_failed(tmp_path: Path) -> None:
    manifest = compile_text(ORDERS, tmp_path).manifest
    steps = many_steps(20_000, failed=19_999)
    nasty = "ü" * 3000
    template = manifest.steps[0]
    manifest = msgspec.structs.replace(
        manifest,
        pipeline=msgspec.structs.replace(manifest.pipeline, name=nasty, intent=nasty),
        params={f"{nasty}{number}": nasty for number in range(2_000)},
        steps=tuple(msgspec.structs.replace(template, id=step.id) for step in steps),
    )
    success = open_record(begun(run_id="before"), "success")
    changes = ManifestChanges(
        params={f"p{number}": (nasty, nasty) for number in range(2_000)},
        steps_changed=tuple(StepChange(id=step.id, keys=("config.query",) * 30) for step in steps),
    )
    facts = RunFacts(
        started=begun(tags=tuple(f"{number}" + "t" * 60 for number in range(5_000)), manifest_hash="other"),
        finished=RunFinished(
            run_id="run_id",
            pipeline_slug="p",
            status="failed",
            finished_at=LATER,
            duration_ms=1,
            error=RunError(code="x.y", message=nasty * 10, step=steps[-1].id, hint=nasty),
        ),
        steps=steps,
        artifacts=tuple(Artifact(path=nasty, bytes=1, sha256="a" * 64, step="s") for _ in range(3_000)),
        manifest=manifest,
        earlier=EarlierRuns(success=success, last=success, unsuccessful_since=0, changes=changes, steps=steps),
    )
    write_pack(tmp_path / "pack", facts, tmp_path / "none")
    card = (tmp_path / "pack" / "run-card.md").read_text("utf-8")
    summary = msgspec.json.decode((tmp_path / "pack" / "summary.json").read_bytes())
    assert len(card.encode()) <= CARD_LIMIT_BYTES
    check_citations(summary["evidence"], card)
    assert f"- `{steps[-1].id}` ({'c' * 60}): failed" in card
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == [
        "## What ran",
        "## What it wrote",
        "## What changed since the last successful run",
        "## Why it failed",
        "## Look further",
    ]
    assert card.count("- (and more, all of them in `summary.json`)") == 3


@given(st.text())
def test_no_text_from_outside_can_leave_its_place_in_a_card(text: str) -> None:
    for line in (plain(text), code(text)):
        assert "\n" not in line
        assert "\x1b" not in line
        line.encode()
    assert re.search(r"(?<!\\)[\[<|]", plain(text).replace("\\\\", "")) is None
    assert code(text).count("`") == 2
    assert sum(line.startswith("```") for line in quoted(text)) == 2


def test_the_same_facts_make_the_same_pack_again(tmp_path: Path) -> None:
    facts = RunFacts(
        started=begun(),
        finished=RunInterrupted(
            run_id="run_id", pipeline_slug="p", noticed_at=LATER, error=RunError(code="x", message="y")
        ),
        steps=many_steps(3, failed=1),
        artifacts=(),
        manifest=None,
        earlier=EarlierRuns(),
    )
    for name in ("one", "other"):
        write_pack(tmp_path / name, facts, tmp_path / "none")
    for file in ("summary.json", "run-card.md", "annex/errors.ndjson"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes() != b""


def test_a_run_whose_name_and_message_look_like_evidence_cites_nothing_more(tmp_path: Path) -> None:
    manifest: Manifest = compile_text(ORDERS, tmp_path).manifest
    named = msgspec.structs.replace(manifest.pipeline, name="9 rows [run.rows_in]", intent="[run.rows_out](http://x)")
    facts = RunFacts(
        started=begun(),
        finished=RunFinished(
            run_id="run_id",
            pipeline_slug="p",
            status="success",
            finished_at=LATER,
            duration_ms=1,
            rows_in=3,
            rows_out=2,
        ),
        steps=(),
        artifacts=(),
        manifest=msgspec.structs.replace(manifest, pipeline=named),
        earlier=EarlierRuns(),
    )
    annex = read_log(tmp_path, AT, error=None, ended_at=LATER)
    summary = summarise(facts, annex)
    card = render_card(summary, annex, facts.manifest, facts.started)
    assert card.startswith("# 9 rows \\[run.rows\\_in\\]: success")
    assert "[run.rows_out](" not in card
