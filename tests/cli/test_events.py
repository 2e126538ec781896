"""``osiris events``: every entry once and in order, from anywhere on, of any type and any run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from osiris.events.runs import PipelineTagged
from osiris.ledger.ledger import Ledger
from osiris.project import open_project
from tests.cli.shop import Shop, new_shop
from tests.histories import begin, end, make_build

# About four entries a segment, so that everything here crosses borders.
TINY_SEGMENTS = 'version: "2.0"\nledger: {segment_mb: 0.002}\n'


def make_tiny(root: Path) -> Shop:
    """A project with tiny segments in which nothing has happened yet."""
    shop = new_shop(root)
    shop.write("osiris.yaml", TINY_SEGMENTS)
    return shop


@pytest.fixture
def tiny(tmp_path: Path) -> Shop:
    """A project of its own."""
    return make_tiny(tmp_path / "shop")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Eight runs of two pipelines in tiny segments; not to be touched."""
    shop = make_tiny(tmp_path_factory.mktemp("long") / "shop")
    with opened(shop) as ledger:
        for number in range(8):
            end(ledger, begin(ledger, make_build(("orders", "other")[number % 2])))
            ledger.record(PipelineTagged(pipeline_slug="orders", tags=(str(number),), tagged_at=""))
    return shop


@contextmanager
def opened(shop: Shop) -> Iterator[Ledger]:
    """The project's ledger in this process."""
    with closing(open_project(shop.root, {}).ledger) as ledger:
        yield ledger


def append(shop: Shop, number: int) -> None:
    """Append so many entries, from this process, which is another one than the command's."""
    with opened(shop) as ledger:
        for text in range(number):
            ledger.journal.append(PipelineTagged(pipeline_slug="orders", tags=(str(text),), tagged_at=""))


def segments(shop: Shop) -> list[Path]:
    return sorted((shop.root / ".osiris" / "journal").glob("*.ndjson"))


def entries(shop: Shop) -> list[dict[str, Any]]:
    """Every line of the journal's files."""
    return [json.loads(line) for path in segments(shop) for line in path.read_bytes().splitlines()]


def shown(shop: Shop, *options: str) -> list[int]:
    return [line["seq"] for line in shop.run("events", "--json", *options).lines]


def test_since_shows_what_comes_behind_that_entry_also_over_the_borders_of_segments(long: Shop) -> None:
    everything = entries(long)
    last = len(everything)
    borders = [int(path.stem) for path in segments(long)]
    assert len(borders) > 4
    numbers = sorted(
        {0, 1, borders[1] - 2, borders[1] - 1, borders[1], borders[3] - 1, last - 1, last, last + 1, 10**9}
    )
    results = long.all(*[("events", "--json", "--since", str(number)) for number in numbers])
    for number, result in zip(numbers, results, strict=True):
        expected = [entry for entry in everything if entry["seq"] > number]
        assert [{**line, "prev": None} for line in result.lines] == [{**entry, "prev": None} for entry in expected]


def test_a_type_shows_only_its_own_and_one_that_nobody_knows_shows_none_and_says_so(long: Shop) -> None:
    for event_type in ("run.started", "run.finished", "pipeline.tagged"):
        expected = [entry["seq"] for entry in entries(long) if entry["event"]["type"] == event_type]
        assert expected
        assert shown(long, "--type", event_type) == expected
        assert shown(long, "--type", event_type, "--since", "9") == [seq for seq in expected if seq > 9]
    unknown = long.run("events", "--type", "run.teleported")
    assert unknown.out == ""
    assert unknown.err.startswith("warning: this version knows no event type 'run.teleported'; it knows journal.")


def test_a_run_shows_only_its_own_by_id_by_its_beginning_and_as_the_last(long: Shop) -> None:
    runs = [entry["event"] for entry in entries(long) if entry["event"]["type"] == "run.started"]
    for run, reference in (
        (runs[3], f"other/{runs[3]['run_id']}"),
        (runs[4], f"orders/{runs[4]['run_id'][:10]}"),
        (runs[-1], "last"),
    ):
        expected = [entry["seq"] for entry in entries(long) if entry["event"].get("run_id") == run["run_id"]]
        assert len(expected) == 2
        assert shown(long, "--run", reference) == expected
        assert shown(long, "--run", reference, "--type", "run.finished") == expected[1:]
    long.run("events", "--run", "run-999999", check=2)


def test_a_person_reads_one_line_an_entry_with_number_type_and_what_it_says(long: Shop) -> None:
    lines = long.run("events").out.splitlines()
    for line, entry in zip(lines, entries(long), strict=True):
        assert line.split()[0] == str(entry["seq"])
        assert line.split()[3] == entry["event"]["type"]
        assert f"pipeline_slug={entry['event']['pipeline_slug']}" in line
        assert entry["event"].get("session", "no session") not in line


def test_a_torn_tail_is_passed_over_with_a_warning_and_damage_is_exit_5_behind_what_is_good(tiny: Shop) -> None:
    append(tiny, 6)
    with segments(tiny)[-1].open("ab") as file:
        file.write(b'{"seq":7,"id"')
    torn = tiny.run("events")
    assert [line.split()[0] for line in torn.out.splitlines()] == list("123456")
    assert torn.err == f"warning: 13 torn bytes behind the last entry of {segments(tiny)[-1].name}\n"
    first = segments(tiny)[0]
    first.write_bytes(first.read_bytes().replace(b'"tags":["1"]', b'"tags":["x"]'))
    corrupt = tiny.run("events", check=5)
    assert [line.split()[0] for line in corrupt.out.splitlines()] == ["1"]
    assert corrupt.err.startswith(f"error: {first}: line 2 (byte ")
