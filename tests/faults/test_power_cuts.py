"""Power cuts under eight writers: what was acknowledged is there, once and in order, and the project works on.

Needs root, for a disk of its own. An acknowledgement counts if it was given before the cut began: while the kernel
shuts a file system down, an ``fdatasync`` may still return success for what it then drops (bare writers show the same),
which a machine that has lost its power cannot do. That a new name survives because its folder was synced cannot be told
from luck on ext4, which commits names along with any synced file; that entry and name survive together can.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from osiris.errors import ExitCode
from osiris.ledger.index import rebuild, verify_index
from osiris.project import open_project
from tests.cli.shop import Shop, environment
from tests.faults.loop_disk import LoopDisk, loop_disk, why_no_loop_disk
from tests.histories import text_files

WHY_NOT = why_no_loop_disk()
pytestmark = pytest.mark.skipif(WHY_NOT != "", reason=WHY_NOT)
ROOT = Path(__file__).parents[2]
WRITERS = 8
MOST_LINES_BEFORE_A_CUT = 300
SEVERAL_ENTRIES_MB = 0.02
TWO_ENTRIES_MB = 0.002


class Acknowledged:
    """All that any writer was told had been recorded, over all cuts."""

    def __init__(self) -> None:
        self.entries: dict[int, str] = {}
        self.runs: set[tuple[str, str]] = set()
        self.ends: list[int] = []

    def take(self, line: str, *, cut_ns: float = math.inf) -> None:
        """Take one line of a writer in, unless it is of an acknowledgement that no machine without power gives."""
        match line.split():
            case ["end", _, code]:
                self.ends.append(int(code))
            case [_, said_ns, *_] if int(said_ns) >= cut_ns:
                return
            case ["entry", _, seq, digest]:
                assert int(seq) not in self.entries, f"entry {seq} was acknowledged twice"
                self.entries[int(seq)] = digest
            case ["run", _, slug, run_id]:
                assert (slug, run_id) not in self.runs
                self.runs.add((slug, run_id))
            case other:
                raise AssertionError(f"a writer said {other}")


@pytest.fixture
def chance() -> random.Random:
    """Chance from a seed that a failure shows, and that ``FAULT_SEED`` gives back."""
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(2**32))
    sys.stderr.write(f"FAULT_SEED={seed}\n")
    return random.Random(seed)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    """A mounted disk with nothing on it."""
    with loop_disk(tmp_path) as mounted:
        yield mounted


def new_project(disk: LoopDisk, segment_mb: float) -> Shop:
    """A project as ``osiris init`` makes it, with segments of that size and patient writers."""
    shop = Shop(disk.mount_point / "work" / "project")
    Shop(disk.mount_point).run("init", "--example", str(shop.root))
    config = shop.read("osiris.yaml").decode()
    assert "segment_mb: 64\n" in config
    assert "lock_timeout_s: 10\n" in config
    config = config.replace("segment_mb: 64\n", f"segment_mb: {segment_mb}\n")
    with shop.write("osiris.yaml", config.replace("lock_timeout_s: 10\n", "lock_timeout_s: 60\n")).open() as file:
        os.fsync(file.fileno())  # this edit is the test's; nothing of Osiris promises that it survives
    return shop


def files(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def writing(shop: Shop, errors: Path) -> Iterator[subprocess.Popen[str]]:
    """Eight writers in the project; none outlives the block. What they say comes through a pipe, not over the disk."""
    with (
        errors.open("ab") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.writers", str(shop.root), str(WRITERS)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="ascii",
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            kill_all(process)
            list(said_by(process))


def kill_all(process: subprocess.Popen[str]) -> None:
    """Kill the writers and the process that started them; they may have ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def said_by(process: subprocess.Popen[str]) -> Iterator[str]:
    """The lines of the writers, to the end of the last of them."""
    assert process.stdout is not None
    return iter(process.stdout)


def cut_while_writing(disk: LoopDisk, shop: Shop, told: Acknowledged, lines: int, *, killed: bool) -> None:
    """Cut the power after that many lines; then the writers are ``killed``, or live to see every write fail."""
    errors = disk.mount_point.with_name("writers.txt")
    ends = len(told.ends)
    with writing(shop, errors) as process:
        for line in islice(said_by(process), lines):
            told.take(line)
        cut_ns = time.monotonic_ns()
        disk.cut_power()
        if killed:
            kill_all(process)
        for line in said_by(process):
            told.take(line, cut_ns=cut_ns)
    assert "Traceback" not in errors.read_text()
    assert set(told.ends[ends:]) <= {ExitCode.DISK}, errors.read_text()
    assert killed or len(told.ends) == ends + WRITERS
    disk.mount_again()


def chain(shop: Shop) -> list[dict[str, Any]]:
    """The journal's entries, read and checked by nothing but its format; a torn tail may stand behind the last."""
    entries: list[dict[str, Any]] = []
    prev = "0" * 64
    segments = sorted((shop.root / ".osiris" / "journal").glob("*.ndjson"))
    for segment in segments:
        assert int(segment.stem) == len(entries) + 1
        for line in segment.read_bytes().splitlines(keepends=True):
            body, seal, end = line.rpartition(b',"hash":"')
            digest = sha256(body).hexdigest()
            if not seal or end != digest.encode() + b'"}\n':
                assert segment == segments[-1]
                return entries
            entry = json.loads(line)
            assert (entry["seq"], entry["prev"]) == (len(entries) + 1, prev)
            entries.append(entry)
            prev = digest
    return entries


def check_facts(shop: Shop, told: Acknowledged) -> list[dict[str, Any]]:
    """What was acknowledged is in the journal, as it was, once; returns all entries."""
    entries = chain(shop)
    found = {seq: entries[seq - 1]["hash"] if seq <= len(entries) else "lost" for seq in told.entries}
    assert found == told.entries
    started = Counter(
        (entry["event"]["pipeline_slug"], entry["event"]["run_id"])
        for entry in entries
        if entry["event"]["type"] == "run.started"
    )
    assert told.runs <= started.keys()
    assert set(started.values()) <= {1}
    return entries


def check_all_goes_on(shop: Shop, *tag: str) -> None:
    """Ordinary commands work, change nothing of the past, and leave the index whole and every run with one end."""
    before = chain(shop)
    shop.run("runs", "list")
    shop.run("pipelines", "tag", "daylight", *tag)
    shop.run("index", "verify")
    after = chain(shop)
    assert after[: len(before)] == before
    events = [entry["event"] for entry in after]
    assert [event["tags"] for event in events if event["type"] == "pipeline.tagged"][-1] == [tag[1]]
    runs = [(event["pipeline_slug"], event["run_id"]) for event in events if event["type"] == "run.started"]
    ends = [
        (event["pipeline_slug"], event["run_id"])
        for event in events
        if event["type"] in {"run.finished", "run.interrupted"}
    ]
    assert Counter(runs) == Counter(ends)
    for slug in {slug for slug, _ in runs}:
        numbers = [e["number"] for e in events if e["type"] == "run.started" and e["pipeline_slug"] == slug]
        assert numbers == list(range(1, len(numbers) + 1))


def check_two_rebuilds_agree(shop: Shop) -> None:
    """What the commands made of the index is what a rebuild makes of it, and so does a second one."""
    ledger = open_project(shop.root, os.environ).ledger
    live = text_files(ledger.index.directory)
    for _ in range(2):
        rebuild(ledger)
        assert text_files(ledger.index.directory) == live
    assert verify_index(ledger).result == "ok"
    ledger.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("cuts", "segment_mb"),
    [
        (2, SEVERAL_ENTRIES_MB),
        *[pytest.param(20, mb, marks=pytest.mark.slow) for mb in (64, SEVERAL_ENTRIES_MB, TWO_ENTRIES_MB, 64, 1)],
    ],
)
def test_no_acknowledged_entry_of_eight_writers_is_lost_to_power_cuts(
    disk: LoopDisk, chance: random.Random, cuts: int, segment_mb: float
) -> None:
    shop = new_project(disk, segment_mb)
    shop.run("compile", "daylight")
    told = Acknowledged()
    for cut in range(cuts):
        lines = chance.randrange(1, MOST_LINES_BEFORE_A_CUT)
        cut_while_writing(disk, shop, told, lines, killed=(cut + chance.randrange(2)) % 2 == 0)
        check_facts(shop, told)
        shop.run("index", "rebuild")  # the kernel is the same as before the cut, so nothing tells of a reboot
        check_all_goes_on(shop, "--add", f"cut-{cut}", *(("--remove", f"cut-{cut - 1}") if cut else ()))
    assert len(told.entries) > cuts
    check_two_rebuilds_agree(shop)


def test_a_first_record_survives_a_power_cut_with_its_build_and_all_the_names_that_lead_to_it(disk: LoopDisk) -> None:
    shop = new_project(disk, 64)
    shop.run("compile", "daylight")
    acknowledged = files(shop.root / "build")
    disk.cut_power()
    disk.mount_again()

    [entry] = chain(shop)
    assert entry["event"]["type"] == "pipeline.compiled"
    assert sorted(path.name for path in (shop.root / ".osiris" / "journal").iterdir()) == [
        "00000000000000000001.ndjson",
        "LOCK",
    ]
    assert files(shop.root / "build") == acknowledged
    shop.run("index", "rebuild")
    check_all_goes_on(shop, "--add", "first")
    shop.run("run", "daylight")
    assert shop.types().count("pipeline.compiled") == 1, "the build that was acknowledged still stands"
    shop.run("index", "verify")


def test_the_first_record_of_eight_that_race_for_it_survives_a_power_cut(disk: LoopDisk) -> None:
    shop = new_project(disk, 64)
    told = Acknowledged()
    cut_while_writing(disk, shop, told, 1, killed=True)
    assert told.runs
    check_facts(shop, told)
    shop.run("index", "rebuild")
    shop.run("compile", "daylight")
    check_all_goes_on(shop, "--add", "first")


def test_an_entry_behind_a_roll_over_survives_a_power_cut_with_the_name_of_its_segment(disk: LoopDisk) -> None:
    shop = new_project(disk, TWO_ENTRIES_MB)
    shop.run("compile", "daylight")
    journal = shop.root / ".osiris" / "journal"
    for number in range(2):
        tags, segments = 0, set(journal.glob("*.ndjson"))
        while not (new := set(journal.glob("*.ndjson")) - segments):
            tags += 1
            shop.run("pipelines", "tag", "daylight", "--add", f"tag-{tags}", "--remove", f"tag-{tags - 1}")
        before = chain(shop)
        assert [int(path.stem) for path in new] == [before[-1]["seq"]]
        disk.cut_power()
        disk.mount_again()

        assert chain(shop) == before
        shop.run("index", "rebuild")
        check_all_goes_on(shop, "--add", f"cut-{number}", "--remove", f"tag-{tags}", "--remove", f"cut-{number - 1}")
