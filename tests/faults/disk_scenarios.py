"""What is done to a ledger while its disk fails: scenarios, the state that each begins with, and what it was told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from osiris.errors import OsirisError
from osiris.events.entry import Entry
from osiris.events.fence import FenceNote
from osiris.events.runs import PipelineTagged, RunFinished, RunStarted
from osiris.ledger.index import rebuild
from osiris.ledger.ledger import Ledger
from osiris.ledger.repair import repair
from tests.histories import begin, end, make_build, make_ledger

FIRST_SEGMENT = "00000000000000000001.ndjson"
UNKNOWN = "journal.outcome_unknown"
NEVER_ACKNOWLEDGED = "never acknowledged"
TINY, ROOMY, THREADS, TURNS = 1_500, 1_000_000, 6, 3


@dataclass
class Attempt:
    """What a scenario was told: facts that were acknowledged, in order, facts that were refused, and the error."""

    acknowledged: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    error: OsirisError | None = None
    code: str = ""


class Scenario(NamedTuple):
    """A ledger that is made ready once, and what is done to it while the disk fails."""

    state: str
    act: Callable[[Ledger, Attempt], object]
    segment_bytes: int = ROOMY


def fact(text: str) -> PipelineTagged:
    return PipelineTagged(pipeline_slug=text, tags=(), tagged_at="")


def text_of(entry: Entry) -> str:
    if isinstance(entry.event, PipelineTagged):
        return entry.event.pipeline_slug
    if isinstance(entry.event, RunStarted | RunFinished):
        return f"{type(entry.event).__name__} {entry.event.run_id}"
    return NEVER_ACKNOWLEDGED  # what a recovery or a repair says of itself


def prepare(place: Path, state: str) -> None:
    """A ledger with some history, in a state that has a name."""
    place.mkdir()
    if state == "new":
        return
    ledger, segment = make_ledger(place), place / "journal" / FIRST_SEGMENT
    for slug in ("orders", "refunds", "orders"):
        end(ledger, begin(ledger, make_build(slug)))
    ledger.record(fact("orders"))
    ledger.close()
    match state:
        case "index behind":
            for text in ("orders", "refunds", "customers"):
                ledger.journal.append(fact(text))
        case "killed writer":  # it wrote a whole entry and never came to its sync: see Case
            ledger.journal.append(fact(NEVER_ACKNOWLEDGED))
        case "torn":
            segment.write_bytes(segment.read_bytes() + b'{"seq":8,"id":"01K')
        case "corrupt":  # a bad middle, and one more segment behind it
            make_ledger(place, segment_bytes=TINY).journal.append(fact("beyond"))
            segment.write_bytes(segment.read_bytes().replace(b'{"seq":5', b'{"seQ":5'))
        case "fenced":
            ledger.journal.fence.put_up(FenceNote(at="", segment=FIRST_SEGMENT, offset=0, problem="the test"))


def append(ledger: Ledger, attempt: Attempt) -> None:
    for text in ("first", "second"):  # the second meets an open segment
        attempt.acknowledged.append(text_of(ledger.journal.append(fact(text))))


def run(ledger: Ledger, attempt: Attempt) -> None:
    started = begin(ledger)
    attempt.acknowledged.append(f"RunStarted {started.started.run_id}")
    with started.session_lock:  # it goes with its process, also where the end cannot be recorded
        end(ledger, started)
    attempt.acknowledged.append(f"RunFinished {started.started.run_id}")


def append_from_many_threads(ledger: Ledger, attempt: Attempt) -> None:
    """All begin at once, so that some share a write and a sync; whoever is refused goes on all the same."""
    entries: list[Entry] = []
    errors: list[OsirisError] = []
    together = threading.Barrier(THREADS)

    def append_in_turn(thread: int) -> None:
        together.wait()
        for turn in range(TURNS):
            try:
                entries.append(ledger.journal.append(fact(f"{thread}-{turn}")))
            except OsirisError as error:
                errors.append(error)
                if error.code != UNKNOWN:
                    attempt.refused.add(f"{thread}-{turn}")

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(append_in_turn, range(THREADS)))
    attempt.acknowledged += [text_of(entry) for entry in sorted(entries, key=lambda entry: entry.seq)]
    if errors:
        raise max(errors, key=lambda error: error.code == UNKNOWN)


SCENARIOS = {
    "append": Scenario("used", append),
    "roll over": Scenario("used", append, TINY),
    "torn tail": Scenario("torn", append),
    "first append": Scenario("new", append),
    "run": Scenario("used", run),
    "catch up": Scenario("index behind", lambda ledger, _: ledger.index.catch_up(ledger.journal)),
    "rebuild": Scenario("index behind", lambda ledger, _: rebuild(ledger)),
    "repair corrupt": Scenario("corrupt", lambda ledger, _: repair(ledger, dry_run=False)),
    "repair fenced": Scenario("fenced", lambda ledger, _: repair(ledger, dry_run=False)),
    "threads": Scenario("used", append_from_many_threads),
    "append, killed writer": Scenario("killed writer", append),
    "roll over, killed writer": Scenario("killed writer", append, TINY),
    "catch up, killed writer": Scenario("killed writer", lambda ledger, _: ledger.index.catch_up(ledger.journal)),
}
