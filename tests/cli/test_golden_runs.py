"""A run's folder and its pack, byte for byte: with a clock, a run id and durations that are always the same."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from osiris.cli.output import Output
from osiris.cli.progress import PlainProgress
from osiris.cli.verb import Settings
from osiris.compiler.manifest import ManifestStep
from osiris.compiler.project_build import CompileRequest, build_pipeline
from osiris.project import open_project
from osiris.projections.runs import RunRecord
from osiris.runner.cancellation import Cancellation
from osiris.runner.database import DatabaseOpening
from osiris.runner.run import RunOptions, run_pipeline
from tests.cli.test_packs import check_citations

GOLDEN = Path(__file__).parents[1] / "golden"
RUN_LOGS, AIOP = GOLDEN / "run_logs_dev_orders", GOLDEN / "aiop_orders_run"
START = datetime(2026, 11, 21, 0, 40, 1, 123456, tzinfo=UTC)


class SetClock:
    """It stands still until it is moved, so that it does not matter how often who looks at it."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        """The moment that it was set to."""
        return self.moment

    def monotonic_ns(self) -> int:
        """The same for durations."""
        return (self.moment - START) // timedelta(microseconds=1) * 1000


class MovingProgress(PlainProgress):
    """Says nothing, and lets 10 ms pass with each step that starts."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__(Output(Settings()), quiet=True)
        self._clock = clock

    def step_started(self, step: ManifestStep) -> None:
        """One step's worth of time."""
        assert step.id
        self._clock.moment += timedelta(milliseconds=10)


def run_twice(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunRecord]:
    """The golden project's pipeline, an hour later with another parameter and one row more."""
    shutil.copytree(GOLDEN / "build_dev_orders" / "project", root)
    clock = SetClock()
    monkeypatch.setattr("osiris.runner.run.time", SimpleNamespace(monotonic_ns=clock.monotonic_ns))
    monkeypatch.setattr("osiris.runner.engine._TICK_S", 60)  # progress is told by the time that passes in truth
    project = open_project(root, {}, clock=clock)
    records = []
    for params in ({}, {"minimum": "2.5"}):
        build = build_pipeline(project, CompileRequest(reference="orders", profile="dev", params=params))
        options = RunOptions(run_id_tokens=("incremental",), tags=("golden",))
        with DatabaseOpening() as database, MovingProgress(clock) as listener:
            done = run_pipeline(project, build, options, database=database, listener=listener, cancel=Cancellation())
        records.append(done.record)
        clock.moment += timedelta(hours=1)
        with (root / "data" / "orders.csv").open("a") as data:
            data.write("4,Grace,99.50,10115\n")
    project.ledger.close()
    return records


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_folder_and_a_pack_are_byte_for_byte_the_ones_that_were_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may depend on each of these fields. If a change is meant, put the new files in place of the old ones."""
    root = tmp_path / "shop"
    _, record = run_twice(root, monkeypatch)
    assert record.status == "success"
    run_folder = root / record.run_logs_path
    assert {path.name for path in run_folder.iterdir()} == {
        *("artifacts", "events.jsonl", "manifest.yaml", "metrics.jsonl", "osiris.log", "status.json"),
    }
    kept = files(RUN_LOGS)
    assert {name: content for name, content in files(root).items() if name in kept} == kept
    assert {Path(name).parent.as_posix() for name in kept} == {record.run_logs_path}
    assert files(run_folder).keys() == {Path(name).name for name in kept}
    assert files(root / record.aiop_path) == files(AIOP)


def test_the_kept_pack_cites_only_evidence_that_it_has_and_names_nothing_of_the_machine() -> None:
    summary, card = json.loads((AIOP / "summary.json").read_bytes()), (AIOP / "run-card.md").read_text("utf-8")
    check_citations(summary["evidence"], card)
    assert files(AIOP).keys() == {
        *("summary.json", "run-card.md", "annex/timeline.ndjson", "annex/metrics.ndjson", "annex/errors.ndjson"),
    }
    assert b"/tmp" not in b"".join(files(AIOP).values())
