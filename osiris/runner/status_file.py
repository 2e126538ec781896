"""``status.json`` in the run folder: how the run ended, for whoever looks there."""

from __future__ import annotations

from pathlib import Path

import msgspec

from osiris import durable
from osiris.events.runs import RunError, RunFinished, RunInterrupted, RunStarted

STATUS_NAME = "status.json"


class RunStatusFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``status.json``. ``finished_at`` of an interrupted run is when it was noticed."""

    run_id: str
    status: str
    started_at: str
    finished_at: str
    error: RunError | None


def write_status(folder: Path, started: RunStarted, ended: RunFinished | RunInterrupted) -> None:
    """Only at the end: a run without the file has not ended, or was killed; nothing here says "running" for ever.

    Raises ``OSError``.
    """
    if isinstance(ended, RunFinished):
        status, finished_at = str(ended.status), ended.finished_at
    else:
        status, finished_at = "interrupted", ended.noticed_at
    file = RunStatusFile(
        run_id=started.run_id,
        status=status,
        started_at=started.started_at,
        finished_at=finished_at,
        error=ended.error,
    )
    encoded = msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"
    durable.replace_file(folder / STATUS_NAME, encoded, sync=False)
