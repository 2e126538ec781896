"""A full disk in the middle of whatever writes: exit 7, nothing half done, and all goes on once there is room again.

The disk is a small one in memory (root is needed to mount it), which grants whole pages; a limit on the size of a file
stops a write of the journal at any byte. Every sweep takes one page more until the command succeeds.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.events.journal import Journal
from osiris.events.runs import PipelineTagged
from osiris.ledger.runs import record_compile
from osiris.project import open_project
from tests.cli.shop import Shop, new_shop, pipeline
from tests.faults.loop_disk import memory_disk, why_no_memory_disk
from tests.histories import SteppingClock, begin, end, make_build, text_files

WHY_NOT = why_no_memory_disk()
needs_a_disk = pytest.mark.skipif(WHY_NOT != "", reason=WHY_NOT)
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
DISK_BYTES = 32 * 1024 * 1024
FEW_ROWS = 10
MANY_ROWS = 4_000
EVERY_PAGE = pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(900)], id="every page")
SOME_PAGES = pytest.param(3, id="some pages")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk."""
    with memory_disk(tmp_path, size_bytes=DISK_BYTES) as mount_point:
        yield mount_point


@contextmanager
def room_for(pages: int, disk: Path) -> Iterator[None]:
    """Fill the disk but for so many pages for the length of the block."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(b"\0" * PAGE_BYTES):
                pass
        file.truncate(file.tell() // PAGE_BYTES * PAGE_BYTES - pages * PAGE_BYTES)
    free = os.statvfs(disk)
    assert free.f_bavail * free.f_frsize == pages * PAGE_BYTES
    try:
        yield
    finally:
        ballast.unlink()


def steps(factor: int) -> Iterator[int]:
    """Free pages: 0, 1, 2 and so on; or 0, 1 and then ever more."""
    pages = 0
    while True:
        yield pages
        pages = pages + 1 if factor == 1 else max(pages + 1, pages * factor)


def journal_bytes(shop: Shop) -> bytes:
    """All segments, one behind the other."""
    return b"".join(path.read_bytes() for path in sorted((shop.root / ".osiris" / "journal").glob("*.ndjson")))


def events(shop: Shop, kind: str) -> list[dict[str, object]]:
    """The journal's events of one type."""
    return [event for event in shop.journal() if event["type"] == kind]


def check_all_goes_on(shop: Shop) -> None:
    """With room again one run succeeds, its number is the next one, every run has one end, and the index is whole."""
    started = events(shop, "run.started")
    shop.run("run", "orders")
    assert [event["number"] for event in events(shop, "run.started")] == list(range(1, len(started) + 2))
    ends = [event["run_id"] for event in shop.journal() if event["type"] in {"run.finished", "run.interrupted"}]
    assert sorted(map(str, ends)) == sorted(str(event["run_id"]) for event in events(shop, "run.started"))
    shop.run("index", "verify")
    assert [run["status"] for run in shop.runs()][:1] == ["success"]
    assert shop.leftovers() == []
    assert not (shop.root / ".osiris" / "cache" / "crash.log").exists()


@needs_a_disk
@pytest.mark.parametrize("tags", [60, *[pytest.param(number, marks=pytest.mark.slow) for number in (40, 100, 200)]])
def test_an_append_that_finds_no_room_records_nothing_says_so_and_can_be_done_again(disk: Path, tags: int) -> None:
    shop = new_shop(disk / "shop")
    shop.run("run", "orders")
    for pages in steps(1):
        flags = [flag for number in range(tags) for flag in ("--add", f"{'x' * 50}-{pages}-{number}")]
        before = journal_bytes(shop)
        with room_for(pages, disk):
            result = shop.run("pipelines", "tag", "orders", *flags, check=None)
            if result.code == ExitCode.DONE:
                break
            assert journal_bytes(shop) == before
            assert result.code == ExitCode.DISK, result.err
            assert "nothing was recorded" in result.err
            shop.run("runs", "list")
            shop.run("index", "verify")
        shop.run("pipelines", "tag", "orders", "--add", f"room-{pages}")
        assert journal_bytes(shop).startswith(before)
    assert pages >= tags * 2 * 50 // PAGE_BYTES, "some pages were free, but not enough of them, in most of the cases"
    assert len(events(shop, "pipeline.tagged")) == pages + 1
    check_all_goes_on(shop)


@needs_a_disk
@pytest.mark.parametrize("factor", [SOME_PAGES, EVERY_PAGE])
def test_a_rebuild_that_finds_no_room_leaves_the_old_index_or_none_and_never_half_of_one(
    disk: Path, factor: int
) -> None:
    shop = new_shop(disk / "shop")
    index = shop.root / ".osiris" / "index"
    seed_history(shop, runs=50)
    for pages in steps(factor):
        good, listed = text_files(index), shop.runs()
        with room_for(pages, disk):
            result = shop.run("index", "rebuild", check=None)
            if result.code == ExitCode.DONE:
                break
            assert result.code == ExitCode.DISK, result.err
            assert text_files(index) == good or not (index / "counters.sqlite").exists()
            assert not index.with_name("index.new").exists()
        assert shop.runs() == listed
        shop.run("pipelines", "tag", "orders", "--add", f"room-{pages}")
        shop.run("index", "verify")
    assert pages > sum(map(len, good.values())) // PAGE_BYTES, "the new index stood beside the old one"
    shop.run("index", "verify")
    assert text_files(index) == good


def seed_history(shop: Shop, *, runs: int) -> None:
    """A compiled pipeline and runs of two, so that the index takes many pages."""
    ledger = open_project(shop.root, os.environ).ledger
    record_compile(ledger, make_build(), even_if_known=False)
    for number in range(runs):
        end(ledger, begin(ledger, make_build(("orders", "refunds")[number % 2])))
    ledger.close()


@needs_a_disk
@pytest.mark.parametrize("factor", [SOME_PAGES, EVERY_PAGE])
def test_a_run_that_finds_no_room_ends_with_a_code_of_the_table_and_never_with_half_an_output(
    disk: Path, factor: int
) -> None:
    shop = new_shop(disk / "shop")
    shop.write("pipelines/orders.yaml", pipeline("SELECT order_id, customer FROM df_orders ORDER BY order_id"))
    former = new_orders(shop, "before", FEW_ROWS)
    shop.run("run", "orders")
    refused = 0
    for pages in steps(factor):
        written = new_orders(shop, f"room-{pages}", MANY_ROWS)  # no old output could make room for all of it
        with room_for(pages, disk):
            result = shop.run("run", "orders", check=None)
        output = shop.read("out/by_customer.csv")
        if result.code == ExitCode.DONE:
            break
        refused += 1
        assert result.code in {ExitCode.PIPELINE_FAILED, ExitCode.DISK}, result.err
        assert result.err
        assert output in {former, written}
        former = new_orders(shop, f"after-{pages}", FEW_ROWS)
        check_all_goes_on(shop)
        assert shop.read("out/by_customer.csv") == former
    assert output == written
    assert refused >= len(written) // PAGE_BYTES or factor > 1
    assert "runtime.bug" not in journal_bytes(shop).decode()
    check_all_goes_on(shop)


def new_orders(shop: Shop, customer: str, number: int) -> bytes:
    """Put new rows in; what the pipeline makes of them."""
    rows = range(1, number + 1)
    lines = "".join(f"{row},{customer}-{row},1.50,00501\n" for row in rows)
    shop.write("data/orders.csv", "order_id,customer,amount,zip\n" + lines)
    return ("order_id,customer\n" + "".join(f"{row},{customer}-{row}\n" for row in rows)).encode()


@pytest.mark.parametrize("every_bytes", [40, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "entries_a_segment", [1, 10_000], ids=["a segment begins with it", "a segment has room for it"]
)
def test_an_entry_of_which_only_a_part_can_be_written_is_cut_back_wherever_it_broke_off(
    tmp_path: Path, every_bytes: int, entries_a_segment: int
) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:  # a limit must not outlive its test
        lengths = child.submit(break_off_everywhere, tmp_path, every_bytes, entries_a_segment).result()
    assert lengths
    assert lengths == sorted(lengths)


def break_off_everywhere(directory: Path, every_bytes: int, entries_a_segment: int) -> list[int]:
    """Append to a journal under a limit that allows ever more of the entry; returns the lengths that were allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    tagged = PipelineTagged(pipeline_slug="orders", tags=("billing",), tagged_at="2026-11-21T00:40:01.123456Z")
    Journal(directory, clock=SteppingClock(), segment_bytes=1, lock_timeout_s=10).append(tagged)
    [first] = segments(directory).values()
    entry_bytes = len(first)
    segment_bytes = entries_a_segment * (entry_bytes + len("1000"))  # later numbers take more digits than the first
    journal = Journal(directory, clock=SteppingClock(), segment_bytes=segment_bytes, lock_timeout_s=10)
    allowed = list(range(0, entry_bytes, every_bytes))
    for number, length in enumerate(allowed, start=2):
        before = segments(directory)
        behind = before[max(before)] if entries_a_segment > 1 else b""
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(behind) + length, hard))
        code = exit_code_of_append(journal, tagged)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert code == ExitCode.DISK
        assert {name: content for name, content in segments(directory).items() if content} == before
        assert journal.append(tagged).seq == number
        reader = Journal(directory, clock=SteppingClock(), segment_bytes=1, lock_timeout_s=10).read()
        assert [entry.seq for entry in reader] == list(range(1, number + 1))
        assert reader.torn is None
    return allowed


def exit_code_of_append(journal: Journal, event: PipelineTagged) -> ExitCode:
    """How a command would end after this append."""
    try:
        journal.append(event)
    except OsirisError as error:
        return error.exit_code
    return ExitCode.DONE


def segments(directory: Path) -> dict[str, bytes]:
    """The journal's files by name."""
    return {path.name: path.read_bytes() for path in directory.glob("*.ndjson")}


@needs_a_disk
@pytest.mark.parametrize("factor", [SOME_PAGES, EVERY_PAGE])
def test_a_run_that_finds_no_room_for_what_it_keeps_fails_and_goes_on_from_there_once_there_is_room(
    disk: Path, factor: int
) -> None:
    rows, numbers = 8_000, "SELECT range AS n, hash(range) AS h FROM range(8000)"
    for pages in steps(factor):
        shop = new_shop(disk / f"shop-{pages}")
        shop.write("osiris.yaml", "runtime: {keep_step_outputs: true}\n")
        shop.write("data/numbers.csv", "n,h\n")
        shop.write("pipelines/orders.yaml", pipeline(numbers, read="data/numbers.csv", write="out/numbers.csv"))
        shop.run("compile", "orders")
        with room_for(pages, disk):
            result = shop.run("run", "orders", check=None)
        if result.code == ExitCode.DONE:
            break
        assert result.code in (ExitCode.PIPELINE_FAILED, ExitCode.DISK), result.err
        for record in shop.root.glob("run_logs/**/outputs/*.json"):
            assert record.stem == "write" or record.with_suffix(".parquet").stat().st_size > 0
        assert list(shop.root.glob("run_logs/**/outputs/.*")) == []
        resumed = shop.run("run", "--resume", "last", "--json", check=None)
        if resumed.code:
            assert resumed.json["error"]["code"] in {"run.none", "resume.nothing_kept"}
            shop.run("run", "orders")
        assert len(shop.read("out/numbers.csv").splitlines()) == rows + 1
        check_all_goes_on(shop)
        shutil.rmtree(shop.root)
    assert pages * PAGE_BYTES > rows * 8, "the rows had no room in most of the cases"
