"""Projects and histories for the ledger's tests: real files, a clock that goes where it is told."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from osiris.config import FilesystemConfig
from osiris.events.journal import Journal
from osiris.events.runs import RunFinished
from osiris.layout.paths import FilesystemContract
from osiris.ledger import checkpoint
from osiris.ledger.ledger import Ledger
from osiris.ledger.live_index import LiveIndex
from osiris.ledger.runs import Build, RunRequest, StartedRun, finish_run, start_run
from osiris.ledger.sessions import Sessions


class SteppingClock:
    """A clock that moves on by ``step`` at each look; tests may set ``moment`` back."""

    def __init__(self, step: timedelta = timedelta(milliseconds=7)) -> None:
        self.moment = datetime(2026, 11, 21, 0, 40, 1, 123456, tzinfo=UTC)
        self.step = step

    def now(self) -> datetime:
        """The next moment."""
        self.moment += self.step
        return self.moment


def make_ledger(root: Path, *, segment_bytes: int = 64 * 1024 * 1024, lock_timeout_s: float = 10) -> Ledger:
    """A ledger of its own in ``root``, as a process would open it."""
    clock = SteppingClock()
    sessions = root / "sessions"
    return Ledger(
        journal=Journal(root / "journal", clock=clock, segment_bytes=segment_bytes, lock_timeout_s=lock_timeout_s),
        index=LiveIndex(root / "index", lock_path=sessions / "index.lock", lock_timeout_s=lock_timeout_s),
        sessions=Sessions(sessions, clock),
        clock=clock,
    )


def make_build(slug: str = "orders", profile: str = "dev", digit: str = "a") -> Build:
    """A build as the compiler would report it."""
    return Build(
        pipeline_slug=slug,
        profile=profile,
        manifest_hash=digit * 64,
        manifest_short=digit * 7,
        payload_digest="b" * 64,
        manifest_path=f"build/pipelines/{profile}/{slug}/{digit * 7}/manifest.yaml",
        source_path=f"pipelines/{slug}.yaml",
    )


def begin(ledger: Ledger, build: Build | None = None, *tags: str) -> StartedRun:
    """Start a run of ``build``."""
    request = RunRequest(
        build=build or make_build(), run_id_tokens=("incremental", "ulid"), run_ts_format="iso_basic_z", tags=tags
    )
    return start_run(ledger, request, FilesystemContract(FilesystemConfig()))


def end(ledger: Ledger, run: StartedRun, status: str = "success", rows: int | None = 3) -> None:
    """Finish a run."""
    finish_run(ledger, run, ending(run, status, rows))


def ending(run: StartedRun, status: str = "success", rows: int | None = 3) -> RunFinished:
    """The last event of a run."""
    assert status in {"success", "failed", "cancelled"}
    return RunFinished(
        run_id=run.started.run_id,
        pipeline_slug=run.started.pipeline_slug,
        status=status,  # type: ignore[arg-type]  # asserted above
        finished_at=run.started.started_at,
        duration_ms=5,
        rows_in=rows,
        rows_out=rows,
    )


def at_home(index: Path) -> None:
    """Let a copied index count as if it had been written where it is: tests of what is trusted damage it afterwards."""
    path = index / checkpoint.DATABASE
    with contextlib.closing(checkpoint.connect(path)) as db:
        checkpoint.settle_home(db, path)


def text_files(directory: Path) -> dict[str, bytes]:
    """Every text file of an index, by its path in it."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith("counters.sqlite")
    }


def tree(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything under a directory with modification time, mode and bytes: for "nothing was written"."""
    return {
        path.relative_to(directory).as_posix(): (
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(directory.rglob("*"))
    }
