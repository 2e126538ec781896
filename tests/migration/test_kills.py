"""A migration that is killed anywhere is finished by the next one, and nothing of the old tree is lost in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osiris import durable
from osiris.migration.migrate import Migration, migrate
from osiris.migration.plan import Wishes
from osiris.project import open_project
from tests.cli.shop import Shop
from tests.migration.old_logs import failed, files, successful, unfinished

STEPS = (
    "make_directory", "move", "move_into_place", "write_all", "write_file", "sync_path", "sync_directory",
    "remove_tree", "copy_file_part", "write_at",
)  # fmt: skip
EVERY_SO_MANY_STEPS = pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)])
IN_A_RUN_FOLDER = {"events.jsonl", "metrics.jsonl", "osiris.log", "status.json", "artifacts", "legacy"}
RUNS = {"run_1739299353123", "run_1739299400000", "run_1739299500000"}


@pytest.fixture
def elsewhere(shop: Shop, tmp_path: Path) -> Path:
    """A folder on another file system."""
    shm = Path("/dev/shm")  # noqa: S108 - the other file system that a Linux has
    if not shm.is_dir() or shm.stat().st_dev == shop.root.stat().st_dev:
        pytest.skip("there is no second file system here")
    folder = shm / f"osiris-{os.getpid()}-{tmp_path.name}"
    folder.mkdir()
    return folder


def apply(root: Path, logs: Path) -> Migration:
    project = open_project(root, {})
    try:
        return migrate(project, logs, Wishes())
    finally:
        project.ledger.close()


def killed_at(step: int, root: Path, logs: Path) -> bool:
    """Migrate in a process of its own, which ends like a killed one at its ``step``th change of the disk."""
    child = os.fork()
    if child == 0:
        try:
            _count_down(step)
            apply(root, logs)
        finally:
            os._exit(70)  # only reached without a kill: exit 0 is below
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 9


def _count_down(step: int) -> None:
    left = step

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return call(*args, **kwargs)

        return counted

    for name in STEPS:
        setattr(durable, name, dying(getattr(durable, name)))
    os.unlink, os.rmdir = dying(os.unlink), dying(os.rmdir)  # a tree is not removed in one step


def contents(*folders: Path) -> set[bytes]:
    """The bytes of all files, wherever they lie."""
    return {content for folder in folders if folder.exists() for content in files(folder).values()}


def check_every_kill(shop: Shop, logs: Path, stride: int) -> int:
    kills = 0
    for step in range(0, 10_000, stride):
        root = shop.root / f"project{step}"
        (root / "pipelines").mkdir(parents=True)
        (root / "osiris.yaml").write_text('version: "2.0"\n')
        old = logs / f"{step}"
        for write in (successful, failed, unfinished):
            write(old)
        kept, legacy = contents(old), {name: files(old / name) for name in RUNS}
        was_killed = killed_at(step, root, old)
        assert contents(old, root) >= kept, f"step {step}: something is nowhere"
        apply(root, old)
        project = Shop(root)
        records = {run["run_id"]: run for run in project.runs()} if not step % 8 else {}
        assert project.types() == ["run.imported"] * 3, f"step {step}"
        for event in project.journal():
            folder = root / event["run_logs_path"]
            artifacts = {f"artifacts/{path}": content for path, content in files(folder / "artifacts").items()}
            assert files(folder / "legacy") | artifacts == legacy[event["run_id"]], f"step {step}"
            assert not (folder / "legacy" / "artifacts").exists(), f"step {step}"
            assert {path.name for path in folder.iterdir()} == IN_A_RUN_FOLDER
        assert not records or set(records) == RUNS
        assert not old.exists(), f"step {step}"
        assert project.leftovers() == [], f"step {step}"
        kills += was_killed
        if not was_killed:
            return kills
    raise AssertionError("it never came to an end")


@EVERY_SO_MANY_STEPS
def test_a_kill_at_any_step_loses_nothing_and_is_finished_by_the_next_migration(shop: Shop, stride: int) -> None:
    assert check_every_kill(shop, shop.root / "logs", stride) > 60 / stride


@EVERY_SO_MANY_STEPS
def test_the_same_from_another_file_system(shop: Shop, elsewhere: Path, stride: int) -> None:
    try:
        assert check_every_kill(shop, elsewhere, stride) > 100 / stride
    finally:
        durable.remove_tree(elsewhere)
