"""Whatever is done to the index, verify names it, a rebuild mends it, and no run number is given twice or left out."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from osiris.errors import ExitCode, OsirisError
from osiris.events.retention import PrunedRun, RetentionPruned
from osiris.events.runs import RunTagged
from osiris.ledger import checkpoint
from osiris.ledger import index as index_module
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.runs import record_compile, tag_pipeline
from tests.cli.shop import new_shop
from tests.faults.index_damages import DAMAGES, DATABASE, TEXTS, Change, sql
from tests.histories import at_home, begin, end, make_build, make_ledger, text_files, tree


def sampled() -> list[object]:
    """All damages; those of texts that are like others only in the full sweep."""
    alike = ("by_pipeline/", "latest/dev/", "latest/prod/", "pipelines.json")
    return [pytest.param(name, marks=pytest.mark.slow if name.startswith(alike) else ()) for name in DAMAGES]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of every file; ``old`` holds its database and that one's log as they were two runs before."""
    root = tmp_path_factory.mktemp("template")
    ledger = make_ledger(root)
    for profile in ("dev", "prod"):
        record_compile(ledger, make_build(profile=profile), even_if_known=False)
    end(ledger, begin(ledger))
    run = begin(ledger)
    end(ledger, run, "failed")
    tag_pipeline(ledger, "orders", add=["ml"], remove=[])
    (root / "old").mkdir()
    for name in (DATABASE, f"{DATABASE}-wal"):
        shutil.copyfile(root / "index" / name, root / "old" / name)
    for _ in range(2):
        end(ledger, begin(ledger))
    ledger.record(
        RunTagged(run_id=run.started.run_id, pipeline_slug="orders", tags=("kept",), tagged_at=run.started.started_at)
    )
    ledger.close()
    assert sorted(text_files(root / "index")) == sorted(TEXTS)
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return copy_at_home(template, tmp_path / "p")


def copy_at_home(template: Path, root: Path) -> Path:
    """A project whose index has not yet been damaged and is trusted as if it had been written there."""
    shutil.copytree(template, root)
    at_home(root / "index")
    return root


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify gives a writer time to bring an index up to date that is behind; here nobody will."""
    monkeypatch.setattr(index_module, "_PATIENCE_S", 0.0)


def rows(root: Path) -> dict[str, list[tuple[object, ...]]]:
    with checkpoint.reading_a_copy(root / "index" / DATABASE) as db:
        return checkpoint.dump_rows(db)


def check_mended(root: Path, sound: Path | None = None) -> None:
    """Two rebuilds give the same bytes, those of ``sound``, and verify has nothing to say."""
    ledger = make_ledger(root)
    rebuild(ledger)
    first = (text_files(root / "index"), rows(root))
    rebuild(ledger)
    assert (text_files(root / "index"), rows(root)) == first
    assert verify_index(ledger).result == "ok"
    ledger.close()
    assert sound is None or first == (text_files(sound / "index"), rows(sound))


def start_two_runs(root: Path) -> int:
    """How the attempt ended; each run that it got a number for is in the journal."""
    ledger = make_ledger(root)
    try:
        for _ in range(2):
            end(ledger, begin(ledger))
    except OsirisError as error:
        return error.exit_code
    finally:
        ledger.close()
    return ExitCode.DONE


def numbers(journal: Path) -> list[int]:
    events = [json.loads(line)["event"] for line in (journal / f"{1:020d}.ndjson").read_bytes().splitlines()]
    return [event["number"] for event in events if event["type"] == "run.started"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_names_what_was_done_to_the_index_and_a_rebuild_mends_it(
    root: Path, template: Path, damage: str
) -> None:
    change, path, problem = DAMAGES[damage]
    change(root / "index")
    before = tree(root)
    ledger = make_ledger(root)
    found = verify_index(ledger)
    ledger.close()
    assert found.result == "drift"
    assert (path, problem) in [(difference.path, difference.problem) for difference in found.differences]
    assert tree(root) == before
    check_mended(root, template)


@pytest.mark.parametrize("damage", sampled())
def test_a_run_on_a_damaged_index_gets_the_next_number_and_no_other(root: Path, damage: str) -> None:
    DAMAGES[damage][0](root / "index")
    ended = start_two_runs(root)
    assert numbers(root / "journal") == list(range(1, len(numbers(root / "journal")) + 1))
    assert ended == ExitCode.DONE, "the index is disposable: it stops nobody"
    check_mended(root)


ELSEWHERE = {
    "a hash of nothing": "UPDATE checkpoint SET hash = '" + "0" * 64 + "'",
    "a place behind the end": "UPDATE checkpoint SET end_offset = end_offset + 1000",
    "a place within an entry": "UPDATE checkpoint SET end_offset = end_offset - 1",
    "a place before the beginning": "UPDATE checkpoint SET end_offset = -1",
    "another segment": "UPDATE checkpoint SET segment = 5",
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_an_edited_checkpoint_is_no_witness_and_is_made_anew(root: Path, where: str) -> None:
    sql(ELSEWHERE[where])(root / "index")
    ledger = make_ledger(root)
    found = verify_index(ledger)
    ledger.close()
    assert (found.result, [(one.path, one.problem) for one in found.differences]) == (
        "drift",
        [("counters.sqlite", "edited")],
    )
    assert start_two_runs(root) == ExitCode.DONE
    assert numbers(root / "journal") == list(range(1, len(numbers(root / "journal")) + 1))
    check_mended(root)


def harm_of(root: Path, template: Path) -> str:
    """What came of two runs that must not, and what a rebuild then does not mend; "" if nothing."""
    try:
        start_two_runs(root)
        verify_index(make_ledger(root))
    except OsirisError as error:
        if error.exit_code == ExitCode.BUG:
            return str(error)
    except (LookupError, TypeError, ValueError, sqlite3.Error, OSError) as escaped:
        return repr(escaped)
    found = numbers(root / "journal")
    if found != list(range(1, len(found) + 1)):
        return f"run numbers {found}"
    if (
        not (root / "journal" / f"{1:020d}.ndjson")
        .read_bytes()
        .startswith((template / "journal" / f"{1:020d}.ndjson").read_bytes())
    ):
        return "the journal was changed"
    check_mended(root)
    return ""


SHARES = 8


def places(content: bytes, every: int, share: int | None) -> list[int]:
    """Every so many bytes, or of a share all that are not zero as well, for most of a database's pages is empty."""
    if share is None:
        return list(range(0, len(content), every))
    return [at for at in range(share, len(content), SHARES) if at % every == 0 or content[at]]


@pytest.mark.parametrize(
    ("every", "share"),
    [
        (1499, None),
        *(pytest.param(7, share, marks=[pytest.mark.slow, pytest.mark.timeout(900)]) for share in range(SHARES)),
    ],
)
def test_no_flipped_bit_of_the_database_can_make_a_run_number_come_twice(
    template: Path, tmp_path: Path, every: int, share: int | None
) -> None:
    dice = random.Random(11)
    wrong: dict[int, str] = {}
    for at in places((template / "index" / DATABASE).read_bytes(), every, share):
        root = copy_at_home(template, tmp_path / "p")
        flipped = bytearray((root / "index" / DATABASE).read_bytes())
        flipped[at] ^= 1 << dice.randrange(8)
        (root / "index" / DATABASE).write_bytes(flipped)
        wrong[at] = harm_of(root, template)
        shutil.rmtree(root)
    assert {at: harm for at, harm in wrong.items() if harm} == {}


LOGS: dict[str, Change] = {
    "garbage": lambda log: log.write_bytes(random.Random(5).randbytes(9_000)),
    "NUL bytes": lambda log: log.write_bytes(bytes(9_000)),
    "nothing": Path.touch,
    "a folder": Path.mkdir,
    "a link to nothing": lambda log: log.symlink_to("nothing"),
}


@pytest.mark.parametrize("beside", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("content", LOGS)
def test_what_stands_beside_the_database_changes_no_run_number(root: Path, content: str, beside: str) -> None:
    LOGS[content](root / "index" / f"{DATABASE}{beside}")
    ledger = make_ledger(root)
    assert verify_index(ledger).result in {"ok", "drift"}
    ledger.close()
    start_two_runs(root)
    assert numbers(root / "journal") == list(range(1, len(numbers(root / "journal")) + 1))
    check_mended(root)


def test_a_run_whose_prune_is_recorded_before_its_end_is_the_same_live_and_rebuilt(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    run = begin(ledger)
    pruned = PrunedRun(run_id=run.started.run_id, pipeline_slug="orders", paths=())
    ledger.record(RetentionPruned(plan_id="p", pruned_at=run.started.started_at, runs=(pruned,)))
    end(ledger, run)
    ledger.close()
    live = text_files(tmp_path / "index")
    assert verify_index(ledger).result == "ok"
    rebuild(ledger)
    ledger.close()
    assert text_files(tmp_path / "index") == live


def test_commands_name_the_damage_with_exit_3_and_a_rebuild_mends_it(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    shop.run("run", "orders")
    index = shop.root / ".osiris" / "index"
    (index / "pipelines.json").unlink()
    (index / "extra").mkdir()
    found = shop.run("index", "verify", "--json", check=3).json
    assert [(one["path"], one["problem"]) for one in found["differences"]] == [
        ("extra", "extra"),
        ("pipelines.json", "missing"),
    ]
    shop.run("index", "rebuild")
    shop.run("index", "verify")
    sql("DELETE FROM counters", "DELETE FROM projection_states")(index)
    shop.run("index", "verify", check=3)
    shop.run("run", "orders")
    assert [event["number"] for event in shop.journal() if event["type"] == "run.started"] == [1, 2]
    shop.run("index", "verify")
