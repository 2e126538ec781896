"""A glance at the index as it stands: no lock, no catching up, not a byte written, and no error.

For completion at a prompt, where an answer that is a moment old is better than one that is waited for. What cannot be
read is passed over. Everything else asks ``osiris.ledger.queries``.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from osiris.ledger import checkpoint
from osiris.ledger.fold import load_fold
from osiris.ledger.record_lines import lines_backward
from osiris.projections.pipelines import PIPELINES_PATH, PipelineSummary, decode_pipelines
from osiris.projections.runs import RUNS, RUNS_PATH, RunRecord, RunsState, decode_record, open_record


def glance_at_runs(index_dir: Path, limit: int) -> list[RunRecord]:
    """Up to ``limit`` runs, newest first: those that were open when the index was last changed, then the ended."""
    return list(islice(_runs(index_dir), limit))


def glance_at_pipelines(index_dir: Path) -> dict[str, PipelineSummary]:
    """The pipelines that the index knows, by slug."""
    with contextlib.suppress(OSError, ValueError):
        return decode_pipelines((index_dir / PIPELINES_PATH).read_bytes())
    return {}


def _runs(index_dir: Path) -> Iterator[RunRecord]:
    yield from _open_runs(index_dir / checkpoint.DATABASE)
    with contextlib.suppress(OSError, ValueError):  # a file that shrinks meanwhile is a ValueError of mmap
        for line in lines_backward(index_dir / RUNS_PATH):
            with contextlib.suppress(ValueError):  # msgspec's errors, and bytes that are no UTF-8
                yield decode_record(line)


def _open_runs(database: Path) -> list[RunRecord]:
    if not database.is_file():
        return []
    with contextlib.suppress(sqlite3.Error), contextlib.closing(checkpoint.connect_frozen(database)) as db:
        stored = checkpoint.load(db)
        fold = load_fold(stored.states) if stored else None
        if fold is not None:
            return [open_record(started) for started in reversed(fold.state(RUNS, RunsState).open.values())]
    return []
