"""Golden lines: what was once written to a journal is read the same way for ever."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from osiris.clock import rfc3339
from osiris.events.base import OldShape
from osiris.events.catalog import EVENT_TYPES, Event, UnknownEvent, event_decoder
from osiris.events.entry import FIRST_PREV, open_entry
from osiris.events.recovery import JournalRecovered, JournalRepaired
from osiris.events.retention import PrunedRun, RetentionPlanned, RetentionPruned
from osiris.events.runs import (
    PipelineCompiled,
    PipelineTagged,
    RunError,
    RunFinished,
    RunImported,
    RunInterrupted,
    RunStarted,
    RunTagged,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "journal" / "00000000000000000001.ndjson"

PRUNED = (PrunedRun(run_id="run-000001_A", pipeline_slug="orders", paths=("run_logs/dev/orders/x",)),)
MEANINGS: list[Event] = [
    PipelineCompiled(
        pipeline_slug="orders",
        profile="dev",
        manifest_hash="3f92ac1b",
        manifest_short="3f92ac1",
        payload_digest="77aa",
        manifest_path="build/pipelines/dev/orders/3f92ac1-3f92ac1b/manifest.yaml",
        source_path="pipelines/orders.yaml",
        compiled_at="2026-11-21T00:40:01.123456Z",
    ),
    RunStarted(
        run_id="run-000001_A",
        number=1,
        session="01M7Y0ANWRYVPF5TJ8RYCQP4Y2",
        pipeline_slug="orders",
        profile="dev",
        manifest_hash="3f92ac1b",
        manifest_short="3f92ac1",
        payload_digest="77aa",
        started_at="2026-11-21T00:40:01.123456Z",
        run_logs_path="run_logs/dev/orders/x",
        aiop_path="aiop/dev/orders/x",
        manifest_path="build/pipelines/dev/orders/3f92ac1-3f92ac1b/manifest.yaml",
        tags=("billing", "ml"),
        branch="main",
        user="ada",
        git_commit="c0ffee",
        pid=4711,
        runtime_env={"osiris": "0.1.0"},
        resumed_from="run-000000_Z",
    ),
    RunFinished(
        run_id="run-000001_A",
        pipeline_slug="orders",
        status="failed",
        finished_at="2026-11-21T00:40:02.000000Z",
        duration_ms=876,
        rows_in=100,
        rows_out=None,
        error=RunError(code="transform.sql_binder", message="no such column: größe", step="agg", line=3, hint="look"),
    ),
    RunInterrupted(
        run_id="run-000002_B",
        pipeline_slug="orders",
        noticed_at="2026-11-21T00:41:00.000000Z",
        error=RunError(code="runtime.interrupted", message="its process (4712) ended without recording how"),
    ),
    PipelineTagged(
        pipeline_slug="orders", tags=("billing",), tagged_at="2026-11-21T00:42:00.000000Z", added=(), removed=("ml",)
    ),
    RunTagged(run_id="run-000001_A", pipeline_slug="orders", tags=("x",), tagged_at="2026-11-21T00:43:00.000000Z"),
    RetentionPlanned(plan_id="p1", planned_at="2026-11-28T00:00:00.000000Z", runs=PRUNED),
    RetentionPruned(plan_id="p1", pruned_at="2026-11-28T00:00:01.000000Z", runs=PRUNED),
    JournalRecovered(
        segment="00000000000000000001.ndjson",
        offset=900,
        bytes_cut=12,
        kept_as="torn/00000000000000000001-900.bytes",
        sha256="ab" * 32,
        recovered_at="2026-11-28T00:00:02.000000Z",
    ),
    JournalRepaired(
        reason="line 9 (byte 4711): the line does not end as an entry does",
        last_good_seq=9,
        bytes_cut=812,
        entries_cut=2,
        kept_as=("torn/00000000000000000001-4711-0123456789abcdef.bytes",),
        last_run_numbers={"orders": 3},
        fence_removed=True,
        repaired_at="2026-11-28T00:00:03.000000Z",
    ),
    PipelineTagged(
        idempotency_key="nightly/2026-11-28",
        pipeline_slug="orders",
        tags=("x",),
        tagged_at="2026-11-28T00:00:04.000000Z",
        added=("x",),
    ),
    RunImported(
        idempotency_key="run.imported/run_1739299353123/2025-02-11T18:42:33.123456Z",
        run_id="run_1739299353123",
        pipeline_slug="orders",
        profile="dev",
        status="failed",
        started_at="2025-02-11T18:42:33.123456Z",
        finished_at="2025-02-11T18:45:36.000000Z",
        source="logs/run_1739299353123",
        run_logs_path="run_logs/dev/orders/20250211T184233Z_run_1739299353123",
        imported_at="2026-11-28T00:00:05.000000Z",
        duration_ms=182877,
        rows_in=100,
        rows_out=None,
        error=RunError(code="legacy.failed", message="no such column: größe", step="agg"),
        tags=("ml",),
        user="ada",
        runtime_env={"osiris": "0.0.1"},
    ),
]
OLDER = GOLDEN.parents[1] / "journal_of_older_shapes" / GOLDEN.name
"""Lines of a time when the fields that have a default now had not been thought of."""
OLDER_MEANINGS: list[Event] = [
    RunStarted(
        run_id="run-000001_A",
        number=1,
        session="01M7Y0ANWRYVPF5TJ8RYCQP4Y2",
        pipeline_slug="orders",
        profile="dev",
        manifest_hash="3f92ac1b",
        manifest_short="3f92ac1",
        payload_digest="77aa",
        started_at="2026-11-21T00:40:01.123456Z",
        run_logs_path="run_logs/dev/orders/x",
        aiop_path="aiop/dev/orders/x",
        manifest_path="build/m.yaml",
        tags=(),
        branch="",
        user="",
        git_commit="",
        pid=0,
        runtime_env={},
        resumed_from="",
    ),
    RunFinished(
        run_id="run-000001_A",
        pipeline_slug="orders",
        status="failed",
        finished_at="2026-11-21T00:41:00.000000Z",
        duration_ms=5,
        rows_in=None,
        rows_out=None,
        error=RunError(code="x", message="y", step="", line=0, hint=""),
    ),
    PipelineTagged(pipeline_slug="orders", tags=("x",), tagged_at="2026-11-21T00:42:00.000000Z", added=(), removed=()),
    RunTagged(
        run_id="run-000001_A",
        pipeline_slug="orders",
        tags=("x",),
        tagged_at="2026-11-21T00:43:00.000000Z",
        added=(),
        removed=(),
    ),
]


class PipelineLabelled(OldShape, frozen=True, kw_only=True, tag="pipeline.labelled"):
    """A shape as one would be kept after its tag has been left: labels in one text, a time in seconds."""

    pipeline: str
    labels: str
    at_s: int

    def upcast(self) -> PipelineTagged:
        tagged_at = rfc3339(datetime.fromtimestamp(self.at_s, UTC))
        return PipelineTagged(
            pipeline_slug=self.pipeline, tags=tuple(sorted(self.labels.split(","))), tagged_at=tagged_at
        )


@pytest.mark.parametrize(("golden", "meanings"), [(GOLDEN, MEANINGS), (OLDER, OLDER_MEANINGS)])
def test_every_golden_line_means_what_it_meant_when_it_was_written(golden: Path, meanings: list[Event]) -> None:
    prev = FIRST_PREV
    events = []
    for seq, line in enumerate(golden.read_bytes().splitlines(keepends=True), start=1):
        entry = open_entry(line, seq, prev)
        prev = entry.hash
        events.append(entry.event)
    assert events == meanings


def test_every_event_type_has_a_golden_line() -> None:
    assert {type(event) for event in MEANINGS} == set(EVENT_TYPES.values())


def test_an_event_is_written_today_as_its_golden_line_says() -> None:
    for line, event in zip(GOLDEN.read_bytes().splitlines(), MEANINGS, strict=True):
        assert msgspec.json.encode(event) in line


def test_a_line_of_a_shape_that_is_no_longer_written_is_read_as_what_it_has_become() -> None:
    golden = b'{"type":"pipeline.labelled","pipeline":"orders","labels":"ml,billing","at_s":1795221601}'
    assert event_decoder((PipelineLabelled,))(golden) == PipelineTagged(
        pipeline_slug="orders", tags=("billing", "ml"), tagged_at="2026-11-21T00:40:01.000000Z"
    )
    assert isinstance(event_decoder(())(golden), UnknownEvent)


def test_an_old_shape_with_impossible_values_is_damage_and_not_unknown() -> None:
    with pytest.raises(msgspec.ValidationError):
        event_decoder((PipelineLabelled,))(b'{"type":"pipeline.labelled","pipeline":7,"labels":"","at_s":0}')
