"""Those who only look, beside processes that write: no false alarm, no half entry, not a byte written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from osiris.locks import acquire
from tests.cli.shop import Shop, wait_until
from tests.cli.test_killed_runs import STRACE, needs_strace
from tests.faults.crew import Worker, crew
from tests.faults.journal_evidence import check_rebuilds_agree, checked_entries, journal_lines
from tests.faults.test_kills import grown, index_behind, torn_tail

TAG = ("pipelines", "tag", "orders", "--add", "billing")
LOOKING = [("index", "verify"), ("index", "head"), ("events",)]
ASKING = [("runs", "list"), ("runs", "show", "last"), ("pipelines", "list")]
SLUGS = ("orders", "orders", "refunds", "stock")
_WORKING_FOLDER = re.compile(r"AT_FDCWD<[^>]*>")
_READING_CALL = re.compile(r"\d+ +(readlink|access|faccessat2?|newfstatat|stat|lstat|statx|getcwd|chdir|execve)\(")
_OPENED_FOR_READING = re.compile(
    r"\d+ +openat\([^,]*, \"[^\"]*\", O_RDONLY(\|O_CLOEXEC|\|O_NOFOLLOW|\|O_DIRECTORY|\|O_NONBLOCK)*\)"
)


@pytest.fixture
def used(used: Shop) -> Shop:
    """Its segments hold a few entries each."""
    used.write("osiris.yaml", 'version: "2.0"\nledger: {segment_mb: 0.004}\n')
    return used


@contextlib.contextmanager
def writers(shop: Shop, *, text_bytes: int = 10) -> Iterator[list[Worker]]:
    """Four that run, tag and rebuild until the block ends; each has to come to its end without an error."""
    with crew(*[("busy", shop.root, slug, str(text_bytes)) for slug in SLUGS]) as workers:
        yield workers
        assert not any(worker.heard_at_once() for worker in workers), "a writer ended by itself"
        for worker in workers:
            worker.end()
            assert (worker.hear() or {})["rounds"] > 0


@contextlib.contextmanager
def read_only(shop: Shop, mount: Path) -> Iterator[Shop]:
    """The project through a mount that lets nothing be written, while others write to the project itself."""
    mount.mkdir()
    for command in (["--bind", str(shop.root)], ["-o", "remount,ro,bind"]):
        if subprocess.run(["mount", *command, mount], capture_output=True, check=False).returncode:
            subprocess.run(["umount", mount], capture_output=True, check=False)
            pytest.skip("nothing can be mounted here: that needs root")
    try:
        yield Shop(mount)
    finally:
        subprocess.run(["umount", mount], check=True)


def check_it_writes_nothing(shop: Shop, command: tuple[str, ...], trace: Path, *, code: int | None) -> None:
    """Trace ``command`` and look at every call that names the project or a file of it.

    Writing and cutting need a descriptor that was opened for writing, so the calls that do it need not be traced.
    """
    strace = (STRACE or "", "-f", "-y", "-qq", "-o", str(trace), "-e", "trace=%file,fchmod,fchown,fsetxattr")
    shop.end(shop.start(*command, before=strace), code)
    lines = _WORKING_FOLDER.sub("AT_FDCWD", trace.read_text("utf-8", "replace")).splitlines()
    touching = [line for line in lines if str(shop.root) in line]
    assert any(_OPENED_FOR_READING.match(line) for line in touching)
    writing = [line for line in touching if not (_READING_CALL.match(line) or _OPENED_FOR_READING.match(line))]
    assert not writing, "\n".join(writing)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [6, pytest.param(150, marks=pytest.mark.slow)])
def test_verify_gives_no_false_alarm_while_others_write(used: Shop, rounds: int) -> None:
    entries = [0]
    with writers(used):
        for _ in range(rounds):
            result = used.run("index", "verify", "--json", check=None)
            assert (result.code, result.err) == (0, ""), result.out
            entries.append(result.json["entries"])
    assert entries == sorted(set(entries)), "nobody wrote meanwhile"
    used.run("index", "verify")
    check_rebuilds_agree(used.root)


@needs_strace
@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_no_looking_verb_opens_a_file_of_the_project_for_writing_while_others_write(
    used: Shop, tmp_path: Path, rounds: int
) -> None:
    with writers(used):
        for _ in range(rounds):
            for command in LOOKING:
                check_it_writes_nothing(used, command, tmp_path / "trace", code=None)


@needs_strace
@pytest.mark.parametrize(
    ("damages", "code"),
    [([index_behind], 3), ([torn_tail], 4), ([grown, torn_tail], 4)],
    ids=["the index is behind", "a torn tail", "a torn tail behind a change of an old line"],
)
def test_verify_reports_what_killed_writers_left_and_no_looking_verb_mends_it(
    used: Shop, tmp_path: Path, damages: list[Callable[[Shop], None]], code: int
) -> None:
    for damage in damages:
        damage(used)
    check_it_writes_nothing(used, ("events",), tmp_path / "trace", code=0)
    check_it_writes_nothing(used, ("index", "head"), tmp_path / "trace", code=0)
    check_it_writes_nothing(used, ("index", "verify"), tmp_path / "trace", code=code)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rounds", [1, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("commands", [LOOKING, ASKING], ids=["looking", "asking"])
def test_through_a_read_only_mount_all_can_be_read_while_others_write_to_the_project(
    used: Shop, tmp_path: Path, commands: list[tuple[str, ...]], rounds: int
) -> None:
    with read_only(used, tmp_path / "mount") as frozen, writers(used):
        for _ in range(rounds):
            for command in commands:
                result = frozen.run(*command, check=None)
                assert (result.code, result.err) == (0, ""), (command, result)
                assert result.out


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_a_project_whose_writer_was_killed_can_be_read_on_a_read_only_disk(
    used: Shop, tmp_path: Path, command: tuple[str, ...]
) -> None:
    index_behind(used)
    with read_only(used, tmp_path / "mount") as frozen:
        shown = frozen.run(*command, "--json", check=None)
    assert (shown.code, shown.err) == (0, "")
    assert shown.json == used.run(*command, "--json").json


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_events_shows_whole_entries_without_a_gap_and_takes_none_that_is_being_written_for_a_torn_one(
    used: Shop, rounds: int
) -> None:
    used.write("osiris.yaml", 'version: "2.0"\nledger: {segment_mb: 1}\n')
    with writers(used, text_bytes=200_000):
        since = 0
        for _ in range(rounds):
            result = used.run("events", "--json", "--since", str(since))
            numbers = [document["seq"] for document in result.lines]
            assert numbers == list(range(since + 1, since + 1 + len(numbers)))
            assert result.err == ""
            since += len(numbers)
    assert since > 0
    checked_entries(used.root)


@needs_strace
def test_events_takes_the_first_half_of_an_entry_that_is_being_written_for_no_torn_tail(
    used: Shop, tmp_path: Path
) -> None:
    elsewhere = Shop(shutil.copytree(used.root, tmp_path / "elsewhere"))
    for shop in (used, elsewhere):
        shop.write("osiris.yaml", 'version: "2.0"\n')
    elsewhere.run(*TAG)
    line, trace = journal_lines(elsewhere.root)[-1], tmp_path / "trace"
    segment = used.root / ".osiris" / "journal" / "00000000000000000001.ndjson"
    held = acquire(segment.with_name("LOCK"), timeout_s=1, purpose="testing")
    with held, segment.open("ab", buffering=0) as file:
        file.write(line[:100])
        strace = (STRACE or "", "-f", "-y", "-qq", "-o", str(trace), "-e", "trace=flock")
        reader = used.start("events", "--json", before=strace)
        try:
            # Only under the lock it can know that nobody is writing: so it has to ask for that, or has judged already.
            wait_until(lambda: trace.exists() and b"LOCK>, LOCK_" in trace.read_bytes(), reader)
        finally:
            file.write(line[100:])
    result = used.end(reader)
    assert [document["seq"] for document in result.lines] in ([1, 2, 3], [1, 2, 3, 4])
    assert result.err == ""


@needs_strace
def test_what_a_reader_shows_of_an_entry_whose_sync_then_fails_does_no_harm(used: Shop, tmp_path: Path) -> None:
    used.runs()  # the index of a copied project is compared once, and the journal synced
    trace = tmp_path / "trace"
    stop = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:signal=STOP:when=1")
    writer = used.start(*TAG, before=(STRACE or "", "-f", "-qq", "-o", str(trace), *stop))
    try:
        wait_until(lambda: trace.exists() and b"--- stopped by SIGSTOP" in trace.read_bytes(), writer)
        stopped = int(trace.read_text().split()[0])
        reading = used.all(*ASKING, ("events",), ("index", "head"), check=None)
        os.kill(stopped, signal.SIGCONT)
        assert "Input/output error" in used.end(writer, 7).err
    finally:
        writer.kill()
    assert [result.code for result in reading] == [0] * len(reading)
    used.run("pipelines", "tag", "orders", "--add", "next")
    added = [e["event"]["added"] for e in checked_entries(used.root) if e["event"]["type"] == "pipeline.tagged"]
    assert added == [["next"]]
    used.run("index", "verify")
    check_rebuilds_agree(used.root)
