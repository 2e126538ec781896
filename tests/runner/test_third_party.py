"""Components of others in the engine: streams that are read once, connections, measurements, and defects."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import osiris.components
from osiris.compiler.manifest import RetryPolicy
from osiris.runner.cancellation import Cancellation
from tests.runner.pipelines import Diary, Step, rows_of, run, select, write_csv

SOURCE = '''
import time
import duckdb
import msgspec
from osiris.components.base import ComponentSpec, Produced

tries = []

class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rows: int = 3
    failures: int = 0
    defect: bool = False
    gives_up: bool = False

SPEC = ComponentSpec(name="acme.numbers", version="1.0.0", summary="Counts.", modes=("read",), rows="stream")

class OnceOnly:
    """Like the reader of a database cursor: its stream can be taken once."""

    def __init__(self, count):
        self.con = duckdb.connect()
        self.relation = self.con.sql(f"SELECT range AS n, range::VARCHAR AS text FROM range({count})")

    def __arrow_c_stream__(self, requested_schema=None):
        relation, self.relation = self.relation, None
        return relation.__arrow_c_stream__(requested_schema)

def run(ctx, config, inputs):
    tries.append(ctx.step_id)
    if config.defect:
        return config.nothing_of_that_name
    if config.gives_up:
        ctx.progress(1)
        while not ctx.cancel.cancelled:
            time.sleep(0.01)
        raise RuntimeError("the library gave up")
    folders = (ctx.output_dir, ctx.work_dir)
    ctx.metric("left from the last try", sum(len(list(folder.iterdir())) for folder in folders), "files")
    for folder in folders:
        (folder / "note.txt").write_text(ctx.connection["host"] if ctx.connection else "")
    if len(tries) <= config.failures:
        raise OSError("the line is dead")
    ctx.metric("calls", len(tries), "calls")
    return Produced(rows=OnceOnly(config.rows))
'''


@pytest.fixture(autouse=True)
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = tmp_path / "site"
    dist = site / "acme-1.0.dist-info"
    dist.mkdir(parents=True)
    (site / "acme_numbers.py").write_text(SOURCE)
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text("[osiris.components]\nacme.numbers = acme_numbers\n")
    monkeypatch.syspath_prepend(site)

    def forget() -> None:
        sys.modules.pop("acme_numbers", None)
        osiris.components.find_component.cache_clear()
        osiris.components._entry_points.cache_clear()

    forget()
    yield
    forget()


def numbers(id: str, rows: int, **more: object) -> Step:  # noqa: A002 - it is the step's id
    return Step(id=id, component="acme.numbers", config={"rows": rows, **more})


def test_a_stream_is_read_once_and_counted(tmp_path: Path) -> None:
    few = select("p", "SELECT n FROM input_df WHERE n >= 99990", "s")
    outcome = run(tmp_path, numbers("s", 100_000), few, write_csv("w", "o.csv", "p"))
    assert rows_of(outcome) == {"s": (None, 100_000), "p": (100_000, 10), "w": (10, 10)}


def test_a_stream_goes_straight_into_a_writer(tmp_path: Path) -> None:
    assert rows_of(run(tmp_path, numbers("s", 5), write_csv("w", "o.csv", "s"))) == {"s": (None, 5), "w": (5, 5)}


def test_a_query_that_reads_a_stream_twice_works(tmp_path: Path) -> None:
    once = select("p", "SELECT n, text FROM input_df", "s")
    twice = select("q", "SELECT a.n FROM input_df a JOIN input_df b ON a.n = b.n + 1", "p")
    outcome = run(tmp_path, numbers("s", 1000), once, twice, write_csv("w", "o.csv", "q"))
    assert outcome.status == "success", outcome.error
    assert rows_of(outcome)["s"] == (None, 1000)
    assert rows_of(outcome)["w"] == (999, 999)


def test_two_streams_meet_in_one_query(tmp_path: Path) -> None:
    join = select("j", "SELECT * FROM df_s JOIN df_t USING (n)", "s", "t")
    outcome = run(tmp_path, numbers("s", 10), numbers("t", 20), join, write_csv("w", "o.csv", "j"))
    assert rows_of(outcome) == {"s": (None, 10), "t": (None, 20), "j": (30, 10), "w": (10, 10)}


def test_a_stream_with_two_consumers_is_stored(tmp_path: Path) -> None:
    outcome = run(tmp_path, numbers("s", 10), write_csv("w1", "a.csv", "s"), write_csv("w2", "b.csv", "s"))
    assert rows_of(outcome) == {"s": (None, 10), "w1": (10, 10), "w2": (10, 10)}


def test_a_retried_step_starts_clean(tmp_path: Path) -> None:
    diary = Diary()
    source = Step(
        id="s",
        component="acme.numbers",
        config={"rows": 4, "failures": 2},
        retry=RetryPolicy(max=2, backoff="fixed", delay_ms=1),
    )
    outcome = run(tmp_path, source, write_csv("w", "o.csv", "s"), listener=diary)
    assert outcome.status == "success"
    assert [error.message for error in diary.retries] == ["the line is dead"] * 2
    assert [error.code for error in diary.retries] == ["extract.io"] * 2
    assert [value for _, name, value, _ in diary.metrics if name == "left from the last try"] == [0, 0, 0]


def test_a_component_gets_its_connection_and_leaves_measurements_and_artifacts(tmp_path: Path) -> None:
    diary = Diary()
    run(
        tmp_path,
        numbers("s", 1),
        write_csv("w", "o.csv", "s"),
        listener=diary,
        connections={"s": {"host": "db.example"}},
    )
    assert ("s", "calls", 1, "calls") in diary.metrics
    assert (tmp_path / "artifacts/s/note.txt").read_text() == "db.example"
    assert not (tmp_path / "artifacts/w").exists()
    assert list((tmp_path / ".osiris/cache/run-1").iterdir()) == []


def test_a_defect_in_a_component_fails_its_step_and_nothing_else(tmp_path: Path) -> None:
    outcome = run(tmp_path, numbers("s", 1, defect=True), write_csv("w", "o.csv", "s"))
    assert outcome.error is not None
    assert (outcome.error.step, outcome.error.code) == ("s", "runtime.component_defect")
    assert "AttributeError" in outcome.error.message
    assert outcome.error.message.endswith("(acme_numbers, line 31)"), "a module, for a path is true on one machine only"
    assert [result.status for result in outcome.steps] == ["failed", "skipped"]


def test_what_a_component_raises_while_it_is_stopped_is_no_failure(tmp_path: Path) -> None:
    cancel, diary = Cancellation(), Diary()

    def press() -> None:
        diary.saw_progress.wait(30)
        cancel.cancel()

    hand = threading.Thread(target=press)
    hand.start()
    steps = numbers("s", 1, gives_up=True), write_csv("w", "o.csv", "s")
    outcome = run(tmp_path, *steps, cancel=cancel, listener=diary)
    hand.join()
    assert (outcome.status, outcome.error) == ("cancelled", None)
    assert [result.status for result in outcome.steps] == ["cancelled", "skipped"]


def test_what_a_component_raises_when_its_time_is_up_is_a_timeout(tmp_path: Path) -> None:
    slow = msgspec.structs.replace(numbers("s", 1, gives_up=True), timeout_ms=100)
    outcome = run(tmp_path, slow, write_csv("w", "o.csv", "s"))
    assert outcome.error is not None
    assert (outcome.error.step, outcome.error.code) == ("s", "runtime.timeout")
