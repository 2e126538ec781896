"""The record of a run takes each field from where it belongs: it is made by position, so a swap would go unnoticed."""

from __future__ import annotations

import msgspec

from osiris.events.runs import RunError, RunFinished, RunImported, RunInterrupted, RunStarted
from osiris.projections.runs import RunRecord, ended_record, imported_record, is_imported, open_record

TEXTS = [field.name for field in msgspec.structs.fields(RunStarted) if field.type is str]
STARTED = RunStarted(
    **{name: f"the {name}" for name in TEXTS if name != "started_at"},  # type: ignore[arg-type]  # texts only
    started_at="2026-11-21T00:40:01.123456Z",
    number=1,
    tags=("ml",),
    runtime_env={"python": "3.11"},
)
ERROR = RunError(code="a.b", message="why")
FROM_THE_START = {
    **{name: f"the {name}" for name in TEXTS if name not in ("session", "started_at", "manifest_path")},
    "build_manifest_path": "the manifest_path",
    "started_at": "2026-11-21T00:40:01.123456Z",
    "run_ts": "2026-11-21T00-40-01Z",
    "tags": ("ml",),
    "runtime_env": {"python": "3.11"},
}
UNKNOWN_YET = {"duration_ms": None, "finished_at": None, "rows_in": None, "rows_out": None, "pruned_at": None}


def shown(record: RunRecord) -> dict[str, object]:
    return msgspec.structs.asdict(record)


def test_an_open_run_is_shown_with_what_its_start_says() -> None:
    assert shown(open_record(STARTED)) == {
        **FROM_THE_START, **UNKNOWN_YET, "status": "running", "error": None, "seq": 0
    }  # fmt: skip


def test_a_finished_run_is_shown_with_its_start_and_its_end() -> None:
    end = RunFinished(
        run_id=STARTED.run_id,
        pipeline_slug=STARTED.pipeline_slug,
        status="failed",
        finished_at="the end",
        duration_ms=5,
        rows_in=6,
        rows_out=7,
        error=ERROR,
    )
    assert shown(ended_record(STARTED, end, 9)) == {
        **FROM_THE_START, **UNKNOWN_YET, "status": "failed", "finished_at": "the end", "duration_ms": 5,
        "rows_in": 6, "rows_out": 7, "error": ERROR, "seq": 9
    }  # fmt: skip


def test_an_interrupted_run_ends_when_that_was_noticed() -> None:
    end = RunInterrupted(
        run_id=STARTED.run_id, pipeline_slug=STARTED.pipeline_slug, noticed_at="when noticed", error=ERROR
    )
    assert shown(ended_record(STARTED, end, 9)) == {
        **FROM_THE_START, **UNKNOWN_YET, "status": "interrupted", "finished_at": "when noticed", "error": ERROR,
        "seq": 9
    }  # fmt: skip


def test_an_imported_run_is_shown_with_all_that_its_import_says_and_is_told_apart() -> None:
    texts = [field.name for field in msgspec.structs.fields(RunImported) if field.type is str]
    event = RunImported(
        **{name: f"the {name}" for name in texts if name != "started_at"},
        started_at=STARTED.started_at,
        status="failed",
        duration_ms=5,
        rows_in=6,
        rows_out=7,
        error=ERROR,
        tags=("ml",),
        runtime_env={"python": "3.11"},
    )
    record = imported_record(event, 9)
    assert shown(record) == {
        **FROM_THE_START, **UNKNOWN_YET, "status": "failed", "finished_at": "the finished_at", "duration_ms": 5,
        "rows_in": 6, "rows_out": 7, "error": ERROR, "seq": 9, "aiop_path": "", "branch": "", "git_commit": "",
        "resumed_from": "",
        "runtime_env": {"python": "3.11", "imported_from": "the source"},
    }  # fmt: skip
    assert is_imported(record)
    assert not is_imported(open_record(STARTED))
