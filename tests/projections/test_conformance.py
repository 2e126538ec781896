"""All projections, held to one promise: what commands keep up to date is what a rebuild gives, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.events.retention import PrunedRun, RetentionPlanned, RetentionPruned
from osiris.events.runs import RunImported, RunTagged
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.runs import StartedRun, record_compile, tag_pipeline
from tests.histories import begin, end, make_build, make_ledger, text_files

SLUGS = st.sampled_from(["orders", "daily-report", "x"])
PROFILES = st.sampled_from(["dev", "prod", ""])
TAGS = st.lists(st.sampled_from(["ml", "billing", "eu"]), max_size=2)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)

ACTIONS = st.one_of(
    st.tuples(st.just("compile"), SLUGS, PROFILES, st.sampled_from("abc")),
    st.tuples(st.just("begin"), SLUGS, PROFILES, st.sampled_from("abc")),
    st.tuples(st.just("end"), st.sampled_from(["success", "failed", "cancelled"]), st.integers(0, 5), st.none()),
    st.tuples(st.just("kill"), st.integers(0, 5), st.none(), st.none()),
    st.tuples(st.just("tag"), SLUGS, TAGS, TAGS),
    st.tuples(st.just("tag_run"), st.integers(0, 9), TAGS, st.none()),
    st.tuples(st.just("import"), SLUGS, st.sampled_from(["success", "failed", "interrupted"]), st.integers(0, 5)),
    st.tuples(st.just("prune"), st.integers(0, 9), st.none(), st.none()),
    st.tuples(st.just("plan"), st.integers(0, 9), st.sampled_from("pq"), st.none()),
    st.tuples(st.just("prune_part"), st.integers(0, 9), st.sampled_from("pq"), st.booleans()),
    st.tuples(st.just("another_process"), st.none(), st.none(), st.none()),
    st.tuples(st.just("lose_index"), st.none(), st.none(), st.none()),
    st.tuples(st.just("behind_the_index"), TEXTS, st.none(), st.none()),
)


class History:
    """Plays actions on a ledger as commands of several processes would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = make_ledger(root, segment_bytes=4_000)
        self.open: list[StartedRun] = []
        self.ended: list[tuple[str, str]] = []

    def play(self, action: tuple[object, ...]) -> None:
        match action:
            case ("compile", str(slug), str(profile), str(digit)):
                record_compile(self.ledger, make_build(slug, profile, digit), even_if_known=True)
            case ("begin", str(slug), str(profile), str(digit)):
                self.open.append(begin(self.ledger, make_build(slug, profile, digit), "given"))
            case ("end", str(status), int(which), _) if self.open:
                run = self.open.pop(which % len(self.open))
                end(self.ledger, run, status)
                self.ended.append((run.started.run_id, run.started.pipeline_slug))
            case ("kill", int(which), _, _) if self.open:
                run = self.open.pop(which % len(self.open))
                run.session_lock.release()
                self.ended.append((run.started.run_id, run.started.pipeline_slug))
            case ("tag", str(slug), list(add), list(remove)):
                with self.ledger.transaction() as transaction:
                    known = transaction.pipeline(slug) is not None
                if known:
                    tag_pipeline(self.ledger, slug, add=add, remove=set(remove) - set(add))
            case ("tag_run", int(which), list(tags), _) if self.ended:
                run_id, slug = self.ended[which % len(self.ended)]
                self.ledger.record(RunTagged(run_id=run_id, pipeline_slug=slug, tags=tuple(tags), tagged_at=""))
            case ("import", str(slug), str(status), int(which)):
                recorded = self.ledger.record(imported(slug, status, which))
                if not recorded.repeated:
                    self.ended.append((f"run_{which}", slug))
            case ("prune", int(which), _, _) if self.ended:
                run_id, slug = self.ended[which % len(self.ended)]
                runs = (PrunedRun(run_id=run_id, pipeline_slug=slug, paths=("run_logs/x",)),)
                with self.ledger.transaction():
                    pass  # ends the runs that were killed, so that the run to prune has ended
                self.ledger.record(RetentionPlanned(plan_id="p", planned_at="t", runs=runs))
                self.ledger.record(RetentionPruned(plan_id="p", pruned_at="2026-11-22T00:00:00.000000Z", runs=runs))
            case ("plan", int(which), str(plan_id), _) if self.ended:
                named = (self.paths(which, "run_logs/x", "aiop/x/annex"), self.paths(which + 1, "run_logs/y"))
                self.ledger.record(RetentionPlanned(plan_id=plan_id, planned_at="t", runs=named))
            case ("prune_part", int(which), str(plan_id), bool(stays)) if self.ended:
                some = (self.paths(which, "aiop/x/annex"),)
                pruned = RetentionPruned(plan_id=plan_id, pruned_at="t", runs=() if stays else some)
                self.ledger.record(msgspec.structs.replace(pruned, left=some) if stays else pruned)
            case ("another_process", *_):
                self.ledger.close()
                self.ledger = make_ledger(self.root, segment_bytes=4_000)
            case ("lose_index", *_):
                shutil.rmtree(self.root / "index", ignore_errors=True)
            case ("behind_the_index", str(text), _, _):
                self.ledger.journal.append(RetentionPlanned(plan_id=text, planned_at="t", runs=()))

    def paths(self, which: int, *paths: str) -> PrunedRun:
        """Paths of a run that has ended."""
        run_id, slug = self.ended[which % len(self.ended)]
        return PrunedRun(run_id=run_id, pipeline_slug=slug, paths=paths)


def imported(slug: str, status: str, which: int) -> RunImported:
    assert status in {"success", "failed", "interrupted"}
    return RunImported(
        idempotency_key=f"{slug}/{which}",
        run_id=f"run_{which}",
        pipeline_slug=slug,
        profile="dev",
        status=status,  # type: ignore[arg-type]  # asserted above
        started_at="2025-02-11T18:42:33.000000Z",
        finished_at="2025-02-11T18:42:34.000000Z",
        source=f"logs/run_{which}",
        run_logs_path=f"run_logs/dev/{slug}/run_{which}",
        imported_at="2026-11-21T00:00:00.000000Z",
    )


def settled(ledger: Ledger) -> None:
    with ledger.transaction():
        pass


@given(actions=st.lists(ACTIONS, max_size=40))
@settings(max_examples=60)
def test_live_updates_and_a_rebuild_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[object, ...]]
) -> None:
    history = History(tmp_path_factory.mktemp("history"))
    for action in actions:
        history.play(action)
    settled(history.ledger)
    index = history.root / "index"
    live = text_files(index)
    found = verify_index(history.ledger)
    assert (found.result, found.differences) == ("ok", ())

    history.ledger.close()
    shutil.rmtree(index, ignore_errors=True)
    elsewhere = make_ledger(history.root)
    rebuild(elsewhere)
    assert text_files(index) == live
    assert verify_index(elsewhere).result == "ok"

    rebuild(elsewhere)
    assert text_files(index) == live, "a second rebuild gives the same bytes"


def test_run_numbers_have_no_gap_whatever_happens_to_the_index(tmp_path: Path) -> None:
    numbers = []
    for damage in ("", "delete the index", "delete the counters", "empty the counters", "old counters"):
        ledger = make_ledger(tmp_path)
        database = tmp_path / "index" / "counters.sqlite"
        if damage == "delete the index":
            shutil.rmtree(tmp_path / "index")
        elif damage == "delete the counters":
            database.unlink()
        elif damage == "empty the counters":
            database.write_bytes(b"")
        elif damage == "old counters":
            old = database.read_bytes()
            numbers.append(begin(ledger).started.number)
            ledger.close()
            database.write_bytes(old)
            ledger = make_ledger(tmp_path)
        numbers.append(begin(ledger).started.number)
        ledger.close()
    assert numbers == [1, 2, 3, 4, 5, 6]
