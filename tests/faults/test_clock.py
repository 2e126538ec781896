"""A clock that goes a year back, a year forward, or stands still, between commands and in the middle of them.

The journal's order is the only order; no id comes twice; and the index shows the same as a rebuild.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.config import RUN_ID_TOKENS, FilesystemConfig
from osiris.events.entry import Entry
from osiris.events.runs import PipelineCompiled, RunFinished, RunInterrupted, RunStarted
from osiris.layout.paths import FilesystemContract
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, get_run, latest_build, list_runs, newest_build, run_name
from osiris.ledger.runs import RunRequest, StartedRun, record_compile, start_run, tag_pipeline
from tests.histories import SteppingClock, end, make_build, make_ledger, text_files

YEAR = timedelta(days=365)
SLUGS = ("orders", "refunds")
# Where the clock stands before an action, and how far it goes at each look that the action takes at it.
YEARS_AWAY = st.sampled_from([-1, 0, 0, 1])
STEPS = st.sampled_from(
    [timedelta(0), timedelta(microseconds=1), timedelta(milliseconds=7), -timedelta(seconds=1), -YEAR, YEAR]
)
ACTIONS = st.sampled_from(["compile", "begin", "begin", "end", "end", "kill", "tag", "another process"])
TOKENS = st.one_of(
    st.sampled_from([(token,) for token in RUN_ID_TOKENS]), st.permutations(RUN_ID_TOKENS).map(tuple), st.just(())
).map(lambda tokens: tokens or ("incremental", "ulid"))
HISTORIES = st.lists(st.tuples(ACTIONS, YEARS_AWAY, STEPS, st.sampled_from(SLUGS)), min_size=1, max_size=30)


class History:
    """Plays commands of several processes, each of which reads the clock as it stands."""

    def __init__(self, root: Path, tokens: tuple[str, ...]) -> None:
        self._root = root
        self._tokens = tokens
        self._builds = 0
        self._open: list[StartedRun] = []
        self.ledger = make_ledger(root, segment_bytes=4_000)
        self._noon = clock_of(self.ledger).moment

    def play(self, action: str, years_away: int, step: timedelta, slug: str) -> None:
        """One command, during which the clock goes on by ``step`` at each look."""
        if action == "another process":
            self.ledger.close()
            self.ledger = make_ledger(self._root, segment_bytes=4_000)
        clock = clock_of(self.ledger)
        clock.moment, clock.step = self._noon + years_away * YEAR, step
        match action:
            case "compile":
                self._builds += 1
                record_compile(self.ledger, make_build(slug, "dev", f"{self._builds % 16:x}"), even_if_known=True)
            case "begin":
                request = RunRequest(build=make_build(slug), run_id_tokens=self._tokens, run_ts_format="iso_basic_z")
                self._open.append(start_run(self.ledger, request, FilesystemContract(FilesystemConfig())))
            case "end" if self._open:
                end(self.ledger, self._open.pop(0))
            case "kill" if self._open:
                self._open.pop().session_lock.release()
            case "tag":
                record_compile(self.ledger, make_build(slug), even_if_known=False)
                tag_pipeline(self.ledger, slug, add=[f"y{years_away}"], remove=[])


def clock_of(ledger: Ledger) -> SteppingClock:
    """The clock that a ledger and its journal look at."""
    assert isinstance(ledger.clock, SteppingClock)
    return ledger.clock


def settled(history: History) -> list[Entry]:
    """All entries, once a writing command has recorded the ends of killed runs."""
    with history.ledger.transaction():
        pass
    return list(history.ledger.journal.read())


@given(tokens=TOKENS, actions=HISTORIES)
@settings(max_examples=60)
def test_whatever_the_clock_does_the_journals_order_is_the_order_of_everything(
    tmp_path_factory: pytest.TempPathFactory, tokens: tuple[str, ...], actions: list[tuple[str, int, timedelta, str]]
) -> None:
    root = tmp_path_factory.mktemp("history")
    history = History(root, tokens)
    for action in actions:
        history.play(*action)
    entries = settled(history)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    ids = [entry.id for entry in entries]
    assert ids == sorted(set(ids)), "strictly increasing"
    check_run_ids(entries)
    check_order(history.ledger, entries)

    live = text_files(root / "index")
    assert verify_index(history.ledger).result == "ok"
    history.ledger.close()
    elsewhere = make_ledger(root)
    for _ in range(2):
        rebuild(elsewhere)
        assert text_files(root / "index") == live
    assert verify_index(elsewhere).result == "ok"


def check_run_ids(entries: list[Entry]) -> None:
    """No two runs of a pipeline share an id, a number or a folder; ids that are more than a number, no two at all."""
    started = [entry.event for entry in entries if isinstance(entry.event, RunStarted)]
    names = [(run.pipeline_slug, run.run_id) for run in started]
    assert len(set(names)) == len(names)
    assert len({run.run_logs_path for run in started} | {run.aiop_path for run in started}) == 2 * len(started)
    if not all(run.run_id == f"run-{run.number:06d}" for run in started):
        assert len({run.run_id for run in started}) == len(started)
    for slug in SLUGS:
        numbers = [run.number for run in started if run.pipeline_slug == slug]
        assert numbers == list(range(1, len(numbers) + 1))


def check_order(ledger: Ledger, entries: list[Entry]) -> None:
    """Runs are listed newest first, and the newest build is the last: by their place in the journal alone."""
    started: list[str] = []
    ended: list[str] = []
    compiled: list[PipelineCompiled] = []
    for entry in entries:
        match entry.event:
            case RunStarted(pipeline_slug=slug, run_id=run_id):
                started.append(f"{slug}/{run_id}")
            case RunFinished(pipeline_slug=slug, run_id=run_id) | RunInterrupted(pipeline_slug=slug, run_id=run_id):
                started.remove(f"{slug}/{run_id}")
                ended.append(f"{slug}/{run_id}")
            case PipelineCompiled() as event:
                compiled.append(event)
    expected = [*reversed(started), *reversed(ended)]
    assert [run_name(record) for record in list_runs(ledger, RunFilter(), 1_000)] == expected
    if expected:
        assert run_name(get_run(ledger, "last")) == expected[0]
    for slug in SLUGS:
        builds = [event.manifest_path for event in compiled if event.pipeline_slug == slug]
        latest = latest_build(ledger, slug, "dev")
        assert (latest.manifest_path if latest else None) == (builds[-1] if builds else None)
    newest = newest_build(ledger, "dev")
    assert (newest.manifest_path if newest else None) == (compiled[-1].manifest_path if compiled else None)
    if builds := [event.pipeline_slug for event in compiled]:
        for slug in set(builds):
            names = [name for name in expected if name.startswith(f"{slug}/")]
            assert [run_name(record) for record in list_runs(ledger, RunFilter(pipeline=slug), 1_000)] == names


@pytest.mark.parametrize("days", [0, -1, 1], ids=["stands still", "goes back", "rushes on"])
@pytest.mark.parametrize("token", RUN_ID_TOKENS)
def test_every_kind_of_run_id_names_one_run_only_while_the_clock(tmp_path: Path, token: str, days: int) -> None:
    ledger = make_ledger(tmp_path)
    clock_of(ledger).step = timedelta(days=days)
    request = RunRequest(build=make_build(), run_id_tokens=(token,), run_ts_format="iso_basic_z")
    for _ in range(40):
        end(ledger, start_run(ledger, request, FilesystemContract(FilesystemConfig())))
    check_run_ids(list(ledger.journal.read()))
    assert len({record.run_id for record in list_runs(ledger, RunFilter(), 1_000)}) == 40
