"""Whatever call of the disk fails during a clean: only what was planned goes, only what is gone is said to be gone.

The clean is run again and again, with the first call failing, then the second, until it makes no such call any more.
The next clean, on a disk that works, finishes what is left.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from osiris import durable, locks
from osiris.errors import ExitCode, OsirisError
from osiris.ledger import index_files
from osiris.ledger.index import verify_index
from osiris.ledger.repair import repair
from osiris.retention import folders
from osiris.retention.clean import Cleaned, clean
from tests.cli.shop import Shop, new_shop
from tests.faults.faulty_disk import ANY, FOR_EVER, OPERATIONS, Fault, FaultyDisk
from tests.histories import tree
from tests.retention.aged import aged_project, annex, runs_days_ago
from tests.retention.test_clean import RULES, paths_in

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS syncs with fcntl, which is not replaced here")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, set[str]]:
    """A project, and the paths that a clean of it deletes, in two batches."""
    shop = new_shop(tmp_path_factory.mktemp("old") / "shop")
    shop.write("osiris.yaml", "retention: {batch_size: 3}\n")
    *old, _ = runs_days_ago(shop.root, 9, 8, 0)
    return shop, {path for run in old for path in (run.run_logs_path, annex(run))}


def attempt(shop: Shop, disk: FaultyDisk | None) -> Cleaned | OsirisError:
    """One process that cleans on that disk."""
    project = aged_project(shop.root)
    try:
        with pytest.MonkeyPatch.context() as patched:
            for module in (durable, index_files, locks, folders) if disk else ():
                patched.setattr(module, "os", disk)
            return clean(project, RULES)
    except OsirisError as error:
        return error
    finally:
        project.ledger.close()


def named(shop: Shop, event_type: str) -> list[str]:
    return [path for event in shop.journal() if event["type"] == event_type for path in paths_in(event)]


def without_ledger(shop: Shop) -> dict[str, tuple[int, int, bytes]]:
    """Everything but .osiris, without the times of folders, which change with what is deleted in them."""
    found = tree(shop.root).items()
    return {path: (0, mode, content) for path, (_, mode, content) in found if not path.startswith(".osiris")}


def check_what_was_said(shop: Shop, told: Cleaned | OsirisError, due: set[str], before: set[str]) -> None:
    """Nothing but planned paths has been touched, and what is said to be gone is."""
    planned, pruned = set(named(shop, "retention.planned")), set(named(shop, "retention.pruned"))
    assert pruned <= planned <= due
    assert not [path for path in pruned if (shop.root / path).exists()]
    missing = before - set(without_ledger(shop))
    assert all(any(f"{path}/".startswith(f"{one}/") for one in planned) for path in missing)
    if isinstance(told, OsirisError):
        assert told.exit_code == ExitCode.DISK, told
    else:
        assert {path.path for path in told.gone} <= pruned
        assert {found.code for found in told.obstacles} <= {"disk.failed"}


def check_that_the_next_one_finishes(shop: Shop, due: set[str], before: set[str]) -> None:
    """Afterwards all is as if nothing had failed, but for how often it was tried."""
    repair(aged_project(shop.root).ledger, dry_run=False)
    told = attempt(shop, None)
    assert isinstance(told, Cleaned), told
    assert told.obstacles == ()
    after = set(without_ledger(shop))
    assert after == {path for path in before if not any(f"{path}/".startswith(f"{one}/") for one in due)}
    assert set(named(shop, "retention.pruned")) == set(named(shop, "retention.planned")) == due
    journal = shop.journal()
    attempt(shop, None)
    assert shop.journal() == journal
    project = aged_project(shop.root)
    assert project.ledger.peek().open_plans() == ()
    assert verify_index(project.ledger).result == "ok"
    project.ledger.close()


def sweeps() -> Iterator[object]:
    """Any call once; all from one on; slow: each operation, often enough that the undoing fails as well."""
    yield pytest.param(Fault(ANY, 1), 1, id="any call once")
    yield pytest.param(Fault(ANY, 1, FOR_EVER), 3, id="for ever")
    for operation in OPERATIONS:
        for times in (1, 2, FOR_EVER):
            yield pytest.param(Fault(operation, 1, times), 1, id=f"{operation}, {times} times", marks=pytest.mark.slow)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("fault", "step"), list(sweeps()))
def test_whatever_fails_only_what_was_planned_goes_and_the_next_clean_finishes_it(
    template: tuple[Shop, set[str]], tmp_path: Path, fault: Fault, step: int
) -> None:
    source, due = template
    for number in count(fault.number, step):
        shop = Shop(shutil.copytree(source.root, tmp_path / str(number), symlinks=True))
        before = set(without_ledger(shop))
        disk = FaultyDisk(shop.root / ".osiris" / "journal", fault._replace(number=number))
        told = attempt(shop, disk)
        disk.let_go()
        if not disk.failed:
            assert isinstance(told, Cleaned)
            assert told.obstacles == ()
            assert number > 1 or fault.operation != ANY, "the disk was not asked for anything"
            return
        check_what_was_said(shop, told, due, before)
        check_that_the_next_one_finishes(shop, due, before)
        shutil.rmtree(shop.root)
