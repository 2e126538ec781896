"""The runs between the last successful run and this one."""

from __future__ import annotations

from itertools import dropwhile, islice, takewhile

from osiris.errors import OsirisError
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, each_run
from osiris.projections.runs import RunRecord
from osiris.runner.summary import Delta

_MOST = 5


def runs_between(ledger: Ledger, record: RunRecord, delta: Delta | None) -> tuple[RunRecord, ...]:
    """The newest of them, newest first, as the run saw them when it ended; none where the ledger does not tell."""
    last = delta.last_attempt if delta else None
    if delta is None or last is None or last.run_id == delta.previous_run_id:
        return ()
    wanted = RunFilter(pipeline=record.pipeline_slug, profile=record.profile)
    try:
        runs = each_run(ledger, wanted)
        others = (run for run in runs if run.profile == record.profile and run.run_id != record.run_id)
        since_last = dropwhile(lambda run: run.run_id != last.run_id, others)
        return tuple(islice(takewhile(lambda run: run.status != "success", since_last), _MOST))
    except OsirisError:
        return ()
