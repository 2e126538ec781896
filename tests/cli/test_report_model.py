"""The page of a run as a function of what is known: its axis, its steps, and texts that would like to be tags."""

from __future__ import annotations

import os
import re
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.cli.report.axis import axis_of, tick_label
from osiris.cli.report.markup import visible
from osiris.cli.report.model import page_of
from osiris.cli.report.page import render, style
from osiris.cli.report.sources import Sources, href
from osiris.cli.report.steps import steps_of
from osiris.cli.report.unnamed import further
from osiris.cli.report.wording import length, share, size
from osiris.events.runs import RunError
from osiris.runner.run_log import LoggedEvent
from osiris.runner.summary import StepSummary
from tests.cli.pages import check_page
from tests.cli.run_specimens import at, record_of, sources_of, summary_of

FRAGMENTS = (
    *("<script>", "</style>", "</title>", "</pre>", "<!--", "-->", "]]>", "<![CDATA[", '"', "'", " onload=x ", "&lt;"),
    *("\0", "\x1b[31m", "\x85", "\u202e", "\u2066", "\ufeff", "\ufffe", "\ud800", "javascript:", "//x", "a:b", "%00"),
)
PIECE = st.sampled_from(FRAGMENTS) | st.text(st.characters(exclude_characters="\r\n"), min_size=1, max_size=5)
HOSTILE = st.lists(PIECE, min_size=1, max_size=4).map("".join)


@given(st.lists(HOSTILE, min_size=1, max_size=5))
def test_no_text_from_outside_becomes_a_tag_or_an_attribute(words: list[str]) -> None:
    hostile = check_page(render(sources_of(partial(next, cycle(words)))))
    assert hostile.structure == check_page(render(sources_of(lambda: "x"))).structure


@given(HOSTILE)
def test_every_text_is_on_the_page_with_what_cannot_be_seen_as_an_escape(word: str) -> None:
    parsed = check_page(render(sources_of(lambda: word)))
    shown = parsed.texts.count(visible(word))
    assert shown >= 5  # the name, the error's message, the tag, a note, the commit
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", parsed.text)


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name and b"/" not in name and name not in (b".", b"..")))
def test_a_link_leads_to_its_file_whatever_the_file_is_called(name: bytes) -> None:
    target = Path("/project/out") / os.fsdecode(name)
    link = href(target, Path("/project/reports/of today"))
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    found = os.path.normpath(b"/project/reports/of today/" + unquote_to_bytes(parts.path))
    assert found == os.fsencode(target)


@given(st.builds(lambda digits, power: digits * 10.0**power, st.floats(0, 10), st.integers(0, 11)))
def test_the_axis_holds_all_and_has_two_to_eight_ticks_at_even_distances(longest_ms: float) -> None:
    axis = axis_of(longest_ms)
    assert axis.span_ms >= longest_ms
    assert axis.span_ms <= max(1, longest_ms + 1)
    ticks = list(axis.ticks)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 8
    assert {later - earlier for earlier, later in pairwise(ticks)} == {axis.step_ms}
    labels = [tick_label(tick, axis) for tick in ticks]
    assert len(set(labels)) == len(labels)
    assert all(0 <= axis.percent(tick) <= 100 for tick in ticks)


@pytest.mark.parametrize(
    ("span_ms", "labels"),
    [
        (0, ["0", "1 ms"]),
        (3, ["0", "1 ms", "2 ms", "3 ms"]),
        (1500, ["0", "0.5 s", "1.0 s", "1.5 s"]),
        (95_000, ["0", "15 s", "30 s", "45 s", "1 min", "1 min 15 s", "1 min 30 s"]),
        (18_000_000, ["0", "1 h", "2 h", "3 h", "4 h", "5 h"]),
    ],
)
def test_ticks_are_round(span_ms: int, labels: list[str]) -> None:
    axis = axis_of(span_ms)
    assert [tick_label(tick, axis) for tick in axis.ticks] == labels


@pytest.mark.parametrize(("count", "length_ms"), [(1, 3), (1, 0), (200, 18_000_000), (200, 0)])
def test_one_step_or_two_hundred_of_3_ms_or_5_hours_have_a_bar_each_on_the_page(count: int, length_ms: int) -> None:
    steps = tuple(
        StepSummary(
            id=f"step-{n}",
            component="c",
            status="success",
            rows_in=None,
            rows_out=1,
            duration_ms=length_ms,
            started_at=at(n * 10),
        )
        for n in range(count)
    )
    record = record_of(lambda: "x", duration_ms=length_ms, error=None, status="success")
    parsed = check_page(render(Sources(record=record, summary=summary_of(steps))))
    places = [str(tag.attributes["style"]) for tag in parsed.tags if tag.attributes.get("class") == "bar"]
    assert len(places) == count
    for place in places:
        left, width = (float(part) for part in re.findall(r"[\d.]+", place))
        assert 0 <= left <= 100
        assert left + width <= 100.001
    assert (
        ".track .bar { position: absolute; top: 50%; height: 1.05rem; margin-top: -0.525rem; min-width: 4px" in style()
    )


def test_a_step_without_an_end_is_what_became_of_its_run() -> None:
    events = (
        LoggedEvent(seq=1, at=at(0), event="run.started"),
        LoggedEvent(seq=2, at=at(5), event="step.started", step="read"),
        LoggedEvent(seq=3, at=at(9), event="step.finished", step="read", status="success", rows_out=7, duration_ms=4),
        LoggedEvent(seq=4, at=at(10), event="step.started", step="write"),
        LoggedEvent(seq=5, at=at(90), event="step.progress", step="write", percent=40.0),
    )
    manifest = sources_of(lambda: "x").manifest
    assert manifest is not None
    planned = [msgspec.structs.replace(manifest.steps[0], id=id_, needs=()) for id_ in ("read", "write", "last")]
    manifest = msgspec.structs.replace(manifest, steps=tuple(planned))
    states = {}
    for status in ("running", "interrupted"):
        record = record_of(lambda: "x", status=status, duration_ms=None, error=None)
        sources = Sources(record=record, events=events, manifest=manifest)
        steps = steps_of(sources)
        states[status] = [step.state for step in steps]
        assert [(step.at_ms, step.duration_ms) for step in steps] == [(5, 4), (10, None), (None, None)]
        assert (steps[0].rows_per_second, steps[1].percent) == (1750, 40.0)
        page = page_of(sources)
        assert page.last_sign_ms == 90
        assert page.axis.span_ms > 90
    assert states == {
        "running": ["success", "running", "waiting"],
        "interrupted": ["success", "interrupted", "not run"],
    }


def test_a_clock_that_was_set_back_puts_no_bar_before_the_start() -> None:
    event = LoggedEvent(seq=1, at="2026-11-20T00:00:00.000000Z", event="step.started", step="read")
    [step] = steps_of(Sources(record=record_of(lambda: "x"), events=(event,)))
    assert step.at_ms == 0


def test_a_run_whose_log_was_pruned_says_when() -> None:
    record = record_of(lambda: "x", error=None, pruned_at=at(60_000))
    assert (
        "Its log was removed by retention on 2026-11-21 00:41:00.000 UTC"
        in check_page(render(Sources(record=record))).text
    )


def test_the_lines_around_an_error_are_those_of_the_query() -> None:
    query = "\n".join(f"line {n}" for n in range(1, 31)) + "\n"

    def shown(line: int) -> list[tuple[int, str, bool]]:
        error = RunError(code="c", message="m", step="s", line=line)
        page = page_of(Sources(record=record_of(lambda: "x", error=error), query=query))
        return [(code.number, code.text, code.wrong) for code in page.code]

    assert shown(10) == [(n, f"line {n}", n == 10) for n in range(6, 15)]
    assert shown(1) == [(n, f"line {n}", n == 1) for n in range(1, 6)]
    assert shown(30) == [(n, f"line {n}", n == 30) for n in range(26, 31)]
    assert shown(0) == shown(31) == [(n, f"line {n}", False) for n in range(1, 31)]


def test_a_delta_may_grow_and_every_new_field_is_shown() -> None:
    facts, tables = further(
        {
            "params_changed": True,
            "steps_added": ["a", "b"],
            "empty": [],
            "nothing": None,
            "steps": [{"id": "a", "rows_out": 1200}, {"id": "b", "config_changed": False}],
            "row_counts": {"a": {"before": 1, "now": None}, "b": {"before": 2, "now": 3}},
        }
    )
    assert facts == (("params changed", "yes"), ("steps added", "a, b"))
    assert [(table.title, table.header, table.rows) for table in tables] == [
        ("steps", ("id", "rows out", "config changed"), (("a", "1,200", "-"), ("b", "-", "no"))),
        ("row counts", ("", "before", "now"), (("a", "1", "-"), ("b", "2", "3"))),
    ]


def test_numbers_are_said_as_people_say_them() -> None:
    assert [length(ms) for ms in (None, 0, 999.4, 61_000, 18_420_000)] == [
        "-",
        "0 ms",
        "999 ms",
        "1 min 01 s",
        "5 h 07 min",
    ]
    assert [size(count) for count in (0, 1, 999, 1000, 999_949, 999_950, 10**16)] == [
        "0 bytes", "1 byte", "999 bytes", "1.0 KB", "999.9 KB", "1.0 MB", "10,000.0 TB",
    ]  # fmt: skip
    assert [share(*pair) for pair in ((1, 0), (1, 4), (1, 10**6), (0, 5))] == [
        "",
        "+25.0 %",
        "less than 0.1 %",
        "+0.0 %",
    ]
