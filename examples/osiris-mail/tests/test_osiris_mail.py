"""Both components through the real command line, in an environment in which the package is installed."""

from __future__ import annotations

import hmac
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

KEY = "a key that nobody else has"
ARCHIVE = b"""\
From ada@example.org Fri Nov 20 10:00:00 2026
From: Ada <Ada@example.org>
To: Grace <grace@example.org>, alan@example.org
Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=
Date: Fri, 20 Nov 2026 11:00:00 +0100
Message-ID: <1@example.org>

Hello
>From here on.

From grace@example.org Fri Nov 20 10:05:00 2026
From: grace@example.org
Date: some day

"""
PIPELINE = """\
oml_version: "0.1.0"
name: mail
steps:
  - {id: mails, component: mail.mbox_extractor, mode: read, config: {path: "data/*.mbox"}}
  - {id: nameless, component: mail.pseudonymizer, mode: transform, config: {columns: [sender, recipients]}}
  - {id: write, component: filesystem.json_writer, mode: write, config: {path: out/mails.jsonl}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "osiris.yaml").write_text('version: "2.0"\n')
    (tmp_path / "osiris_connections.yaml").write_text(
        "connections: {pseudonyms: {main: {default: true, key: '${PSEUDONYMS_KEY}'}}}\n"
    )
    for folder in ("data", "pipelines"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "a.mbox").write_bytes(ARCHIVE)
    (tmp_path / "pipelines" / "mail.yaml").write_text(PIPELINE)
    return tmp_path


def osiris(project: Path, *args: str, exit_code: int = 0, key: str = KEY) -> Any:
    """The JSON that a command prints."""
    environment = {**os.environ, "PSEUDONYMS_KEY": key}
    command = [sys.executable, "-m", "osiris", *args, "--json"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_ctrl_c_ends_the_reading_of_a_large_archive(project: Path) -> None:
    mail = ARCHIVE[: ARCHIVE.index(b"From grace")]
    (project / "data" / "large.mbox").write_bytes(mail * 50_000)
    environment = {**os.environ, "PSEUDONYMS_KEY": KEY}
    command = [sys.executable, "-m", "osiris", "run", "mail", "--json"]
    with subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE) as process:
        while not any(b"step.started" in log.read_bytes() for log in project.glob("run_logs/**/events.jsonl")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(printed)["steps"][0]["status"] == "cancelled"
    assert not list(project.glob("out/*"))


def pseudonym(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), "sha256").hexdigest()[:32]


def test_mails_are_read_and_their_people_hidden(project: Path) -> None:
    ran = osiris(project, "run", "mail")
    assert [step["rows_out"] for step in ran["steps"]] == [2, 2, 2]
    first, second = map(json.loads, (project / "out" / "mails.jsonl").read_text().splitlines())
    assert first["sender"] == pseudonym("ada@example.org")
    assert first["recipients"] == [pseudonym("grace@example.org"), pseudonym("alan@example.org")]
    assert (first["subject"], first["message_id"]) == ("Größe", "<1@example.org>")
    assert first["sent_at"].startswith("2026-11-20 10:00:00")
    assert second["sender"] == pseudonym("grace@example.org")
    assert (second["recipients"], second["subject"], second["sent_at"]) == ([], None, None)


def test_what_cannot_be_read_is_counted_and_the_key_is_nowhere(project: Path) -> None:
    osiris(project, "run", "mail")
    [metrics] = project.glob("run_logs/**/metrics.jsonl")
    assert '"metric":"undated","value":1' in metrics.read_text().replace(".0,", ",")
    recorded = [file.read_bytes() for file in project.rglob("*") if file.is_file()]
    assert not any(KEY.encode() in content for content in recorded)


def test_a_file_of_another_format_is_refused_with_a_hint(project: Path) -> None:
    (project / "data" / "b.mbox").write_text("To: nobody\n")
    error = osiris(project, "run", "mail", exit_code=1)["run"]["error"]
    assert (error["code"], error["step"]) == ("extract.not_mbox", "mails")
    assert error["message"] == "data/b.mbox is not in mbox format"
    assert ".eml" in error["hint"]


def test_a_column_that_is_not_there_is_an_error_that_names_the_others(project: Path) -> None:
    wrong = PIPELINE.replace("[sender, recipients]", "[from]")
    (project / "pipelines" / "mail.yaml").write_text(wrong)
    error = osiris(project, "run", "mail", exit_code=1)["run"]["error"]
    assert error["message"] == "there is no column from"
    assert "sender, recipients" in error["hint"]


def test_a_key_that_is_too_short_is_refused_before_anything_runs(project: Path) -> None:
    error = osiris(project, "run", "mail", exit_code=2, key="short")["error"]
    assert error["code"] == "connection.invalid"
    assert "key" in error["message"]
