"""Projects with a long history, written segment by segment without a sync for each entry."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.pairs import run_process
from osiris.events.catalog import encode_event
from osiris.events.entry import seal
from osiris.events.runs import PipelineCompiled, RunFinished, RunStarted
from osiris.events.segment import segment_name

AT = "2026-11-21T00:40:01.123456Z"
SEGMENT_BYTES = 64 << 20
SLUGS = ("orders", "refunds", "customers", "stock", "returns")
COMPILED = PipelineCompiled(
    pipeline_slug="",
    profile="dev",
    manifest_hash="a" * 64,
    manifest_short="a" * 7,
    payload_digest="b" * 64,
    manifest_path="build/m.yaml",
    source_path="pipelines/p.yaml",
    compiled_at=AT,
)
STARTED = RunStarted(
    run_id="",
    number=0,
    session="0" * 26,
    pipeline_slug="",
    profile="dev",
    manifest_hash="a" * 16,
    manifest_short="a" * 7,
    payload_digest="b" * 7,
    started_at=AT,
    run_logs_path="run_logs/x",
    aiop_path="aiop/x",
    manifest_path="build/m",
)
FINISHED = RunFinished(
    run_id="", pipeline_slug="", status="success", finished_at=AT, duration_ms=5, rows_in=1_000, rows_out=17
)


def run_id(number: int) -> str:
    """The id of one run of a long history."""
    return f"01M7Y0ANWRYVPF5TJ8R{number:07d}"


class HistoryWriter:
    """Writes entries behind one another, as fast as they can be sealed."""

    def __init__(self, root: Path) -> None:
        self._journal = root / ".osiris" / "journal"
        self._journal.mkdir(parents=True, exist_ok=True)
        self.seq, self._prev, self._lines, self._bytes, self._first = 0, "0" * 64, list[bytes](), 0, 1
        self.runs = 0

    def add(self, event: msgspec.Struct) -> None:
        """One more entry."""
        line, digest = seal(self.seq + 1, f"{self.seq + 1:026d}", AT, self._prev, encode_event(event))
        if self._bytes + len(line) > SEGMENT_BYTES:
            self.flush()
            self._first, self._bytes = self.seq + 1, 0
        self.seq, self._prev = self.seq + 1, digest
        self._lines.append(line)
        self._bytes += len(line)

    def add_runs(self, number: int) -> None:
        """Runs of five pipelines in turn, each with its start and its end."""
        replace = msgspec.structs.replace
        if not self.runs:
            for slug in SLUGS:
                self.add(replace(COMPILED, pipeline_slug=slug))
        for count in range(self.runs, self.runs + number):
            slug = SLUGS[count % len(SLUGS)]
            self.add(replace(STARTED, run_id=run_id(count), number=count // len(SLUGS) + 1, pipeline_slug=slug))
            self.add(replace(FINISHED, run_id=run_id(count), pipeline_slug=slug))
        self.runs += number
        self.flush()

    def flush(self) -> None:
        """Write what has been gathered."""
        with (self._journal / segment_name(self._first)).open("ab") as file:
            file.writelines(self._lines)
        self._lines.clear()


def long_project(osiris: str, root: Path, runs: int) -> HistoryWriter:
    """A project of ``runs`` runs whose index is current."""
    run_process([osiris, "init", str(root)], root.parent)
    writer = HistoryWriter(root)
    writer.add_runs(runs)
    run_process([osiris, "index", "rebuild"], root)
    return writer
