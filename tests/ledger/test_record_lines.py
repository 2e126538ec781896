"""Lines of long files, found from either end by what stands in them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.events.runs import RunError
from osiris.ledger.queries import RunFilter, list_runs
from osiris.ledger.record_lines import lines_backward, lines_forward
from tests.histories import begin, ending, make_build, make_ledger

LINES = st.lists(st.text("abx", max_size=6).map(lambda text: text.encode() + b"\n"), max_size=12)
PARTS = st.lists(st.sampled_from([b"a", b"ab", b"xb", b"bbb"]), max_size=2).map(tuple)


@given(LINES, PARTS)
def test_lines_that_hold_all_parts_are_found_from_either_end_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], parts: tuple[bytes, ...]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(b"".join(lines))
    wanted = [line for line in lines if all(part in line for part in parts)]
    assert list(lines_forward(path, parts)) == wanted
    assert list(lines_backward(path, parts)) == wanted[::-1]


@given(LINES, st.text("abx", min_size=1, max_size=6))
def test_a_last_line_without_its_end_is_no_line_from_behind(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], rest: str
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(b"".join(lines) + rest.encode())
    assert list(lines_backward(path)) == lines[::-1]
    assert list(lines_backward(path, (b"a",))) == [line for line in lines[::-1] if b"a" in line]


def test_a_filter_finds_the_same_runs_as_a_look_at_every_record(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    odd = 'no "profile":"prod", no "status":"failed", no "nightly" at all'
    for number, profile in enumerate(["dev", "prod", "", "dev", "prod-2"]):
        for status in ("success", "failed"):
            run = begin(ledger, make_build(profile=profile), *(["nightly"] if number % 2 else []))
            error = RunError(code="x.y", message=odd) if status == "failed" else None
            ledger.record_end(msgspec.structs.replace(ending(run, status), error=error))
            ledger.sessions.close(run.started.session, run.session_lock)
    everything = list_runs(ledger, RunFilter(), 99)
    for pipeline in ("", "orders"):
        for wanted in (
            RunFilter(pipeline=pipeline, profile="prod"),
            RunFilter(pipeline=pipeline, status="failed"),
            RunFilter(pipeline=pipeline, tag="nightly"),
            RunFilter(pipeline=pipeline, profile="dev", status="success", tag="nightly"),
            RunFilter(pipeline=pipeline, profile="dev", since=everything[3].started_at),
        ):
            assert list_runs(ledger, wanted, 99) == [record for record in everything if wanted.wants(record)]
            assert list_runs(ledger, wanted, 99)
