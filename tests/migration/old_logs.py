"""Old ``logs/`` trees, written by hand as earlier versions wrote them, and the real script."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cli.shop import Result, Shop, environment

SCRIPT = Path(__file__).parents[2] / "scripts" / "migrate_logs_to_contract.py"
DAY = "2025-02-11T18:42:"


def migrate(shop: Shop, *args: str | Path, check: int | None = 0, env: Mapping[str, str] | None = None) -> Result:
    """Run the script on the project of ``shop`` and wait."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "-C", shop.root, *args],
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=170,
        check=False,
    )
    assert check is None or done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def event(second: str, name: str, **fields: object) -> dict[str, object]:
    """One line of an old ``events.jsonl``; ``second`` is the end of its time: ``33.123456+00:00`` or ``33Z``."""
    return {"ts": DAY + second, "session": "run_1739299353123", "event": name, **fields}


def metric(second: str, name: str, value: object, step: str) -> dict[str, object]:
    """One line of an old ``metrics.jsonl``."""
    return {"ts": DAY + second, "session": "run_1739299353123", "metric": name, "value": value, "step_id": step}


def write_session(
    logs: Path,
    name: str,
    events: Sequence[Mapping[str, object] | bytes],
    metrics: Sequence[Mapping[str, object]] = (),
    files: Mapping[str, str | bytes] | None = None,
) -> Path:
    """``logs/<name>/`` with its files; lines given as bytes stand as they are."""
    folder = logs / name
    folder.mkdir(parents=True)
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in events]
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    if metrics:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics), "utf-8")
    for path, content in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def successful(logs: Path, name: str = "run_1739299353123", pipeline: str = "orders") -> Path:
    """A run of two steps that read 5 rows and wrote 4, with a log, a debug log, a manifest and an artifact."""
    return write_session(
        logs,
        name,
        [
            event("33.123456+00:00", "run_start", pipeline_id=pipeline, profile="prod", user="ada"),
            event("33.2Z", "config_loaded", path="osiris.yaml"),
            event("34Z", "step_start", step_id="extract"),
            event("35Z", "step_complete", step_id="extract", duration=1.0, rows_processed=5),
            event("35.1Z", "step_start", step_id="write"),
            event("36Z", "step_complete", step_id="write", duration_ms=900, rows_processed=4),
            event("36.5Z", "run_complete", duration=3.25, status="success"),
        ],
        [
            metric("35Z", "rows_read", 5, "extract"),
            metric("36Z", "rows_written", 2, "write"),
            metric("36Z", "rows_written", 4, "write"),
            metric("36Z", "steps_total", 2, ""),
        ],
        {
            "osiris.log": "2025-02-11 18:42:33 INFO start\n",
            "debug.log": b"\xff\x00 not text\n",
            "manifest.yaml": "pipeline: {id: orders}\n",
            "artifacts/extract/rows.csv": "a\n1\n",
        },
    )


def failed(logs: Path, name: str = "run_1739299400000") -> Path:
    """A run whose second step failed with a message that has a password in it."""
    return write_session(
        logs,
        name,
        [
            event("40Z", "run_start", pipeline="Customer Sync", tags=["ml", "eu"]),
            event("41Z", "connection", config={"host": "db", "password": "s3cret-by-key"}),
            event("42Z", "step_error", step_id="load", error="cannot reach postgres://ada:s3cret-in-dsn@db/shop"),
            event("43Z", "run_error"),
        ],
        files={"config.json": '{"api_key": "s3cret-in-file"}\n'},
    )


def unfinished(logs: Path, name: str = "run_1739299500000") -> Path:
    """A run that was killed while it wrote a line."""
    return write_session(
        logs,
        name,
        [
            event("50Z", "run_start", oml_file="pipelines/nightly.yaml"),
            event("51Z", "step_start", step_id="a"),
            b"\x00\xff\xfe binary\n",
            b'{"ts":"2025-02-11T18:42:52Z","event":"step_co',
        ],
    )


def nameless(logs: Path, name: str = "run_1739299600000") -> Path:
    """A run that does not say of which pipeline."""
    return write_session(logs, name, [event("55Z", "run_start"), event("56Z", "run_complete")])


def files(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder`` with its bytes; links as what they point at."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }
