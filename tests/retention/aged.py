"""Projects with runs of long ago: recorded through the ledger with the clock set back, their folders really there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from osiris.clock import rfc3339
from osiris.events.runs import RunStarted
from osiris.ledger.runs import Build, RunRequest, StartedRun, record_compile, start_run
from osiris.project import Project, open_project
from tests.histories import ending, make_build

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SUMMARY, CARD = b'{"kept": true}\n', b"# kept\n"
LOG = b"x" * 1000
ANNEX = b'{"event": 1}\n' * 10


class SetClock:
    """A clock that stands where it was set."""

    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The moment."""
        return self.moment


def aged_project(root: Path, moment: datetime = NOW) -> Project:
    """The project in ``root`` as it would be opened at ``moment``."""
    return open_project(root, {}, clock=SetClock(moment))


def begin_at(root: Path, moment: datetime, build: Build | None = None) -> tuple[Project, StartedRun]:
    """Start a run at ``moment`` and make its folders, as a running process has them."""
    project = aged_project(root, moment)
    request = RunRequest(
        build=build or make_build(),
        run_id_tokens=project.config.ids.run_id_tokens,
        run_ts_format=project.config.filesystem.naming.run_ts_format,
    )
    run = start_run(project.ledger, request, project.contract)
    fill(root, run.started)
    return project, run


def fill(root: Path, started: RunStarted) -> None:
    """The folders of a run with something in them: 1,000 bytes of log, 130 of annex."""
    logs, pack = root / started.run_logs_path, root / started.aiop_path
    (logs / "artifacts" / "deep").mkdir(parents=True)
    (logs / "osiris.log").write_bytes(LOG[:600])
    (logs / "artifacts" / "deep" / "rows.parquet").write_bytes(LOG[600:])
    (pack / "annex").mkdir(parents=True)
    (pack / "annex" / "timeline.ndjson").write_bytes(ANNEX)
    (pack / "summary.json").write_bytes(SUMMARY)
    (pack / "run-card.md").write_bytes(CARD)


def run_at(root: Path, moment: datetime, build: Build | None = None, status: str = "success") -> RunStarted:
    """A run that began and ended at ``moment``."""
    project, run = begin_at(root, moment, build)
    end = msgspec.structs.replace(ending(run, status), finished_at=rfc3339(moment))
    project.ledger.record_end(end)
    project.ledger.sessions.close(run.started.session, run.session_lock)
    project.ledger.close()
    return run.started


def runs_days_ago(root: Path, *days: float, build: Build | None = None, now: datetime = NOW) -> list[RunStarted]:
    """One run for each of ``days``, in that order, that ended so many days before ``now``."""
    return [run_at(root, now - timedelta(days=number), build) for number in days]


def compile_at(root: Path, moment: datetime, build: Build) -> None:
    """Record a compile at ``moment``."""
    project = aged_project(root, moment)
    record_compile(project.ledger, build, even_if_known=True)
    project.ledger.close()


def annex(started: RunStarted) -> str:
    """The annex of a run's pack."""
    return f"{started.aiop_path}/annex"
