"""Somebody swaps folders for links while a clean is at work: nothing outside of the run folder is ever deleted.

The attack is made before the first call with which the clean reaches into a folder, then before the second, until there
is no such call any more: a race that the attacker wins at every moment there is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from osiris import durable
from osiris.errors import OsirisError
from osiris.retention import folders
from osiris.retention.folders import Place, look, remove
from tests.histories import tree

PATH = "run_logs/dev/orders/run"
CALLS = frozenset({"open", "unlink", "rmdir", "scandir", "stat", "lstat", "fstat", "fsync"})


class Attacker:
    """``os``, with ``attack`` made right before the ``number``-th call that reaches into a folder."""

    def __init__(self, number: int, attack: Callable[[], None]) -> None:
        self.left = number
        self._attack = attack

    def __getattr__(self, name: str) -> Any:
        original = getattr(os, name)
        if name not in CALLS:
            return original

        def call(*args: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self._attack()
            return original(*args, **named)

        return call


def link_in_place_of(folder: Path, precious: Path) -> None:
    """The folder moves to a name beside it, and a link to what is precious takes its place."""
    if folder.is_dir() and not folder.is_symlink():
        folder.rename(folder.with_name(f"{folder.name}-moved"))
        folder.symlink_to(precious)


def copy_in_place_of(folder: Path, precious: Path) -> None:
    """The folder moves away, and an empty one takes its place."""
    if folder.is_dir() and not folder.is_symlink():
        folder.rename(folder.with_name(f"{folder.name}-moved"))
        folder.mkdir()


def link_in_place_of_a_file(folder: Path, precious: Path) -> None:
    """A file in the folder becomes a link to what is precious."""
    file = folder / "file"
    if file.is_file():
        file.unlink()
        file.symlink_to(precious)


@pytest.mark.parametrize("attack", [link_in_place_of, copy_in_place_of, link_in_place_of_a_file])
@pytest.mark.parametrize("where", ["run_logs", "run_logs/dev", "run_logs/dev/orders", PATH, f"{PATH}/a", f"{PATH}/a/b"])
def test_nothing_that_a_link_leads_to_is_deleted_at_whatever_moment_it_appears(
    tmp_path: Path, where: str, attack: Callable[[Path, Path], None]
) -> None:
    told: set[str] = set()
    for number in count(1):
        root = tmp_path / str(number)
        project, precious = root / "project", root / "precious"
        for folder in (
            project / PATH,
            project / PATH / "a",
            project / PATH / "a" / "b",
            precious / PATH / "a",
            precious / "a" / "b",
        ):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "file").write_bytes(b"x")
        before = tree(precious)
        seen = look(Place(project, "run_logs", PATH))
        assert seen is not None
        attacker = Attacker(number, lambda: attack(project / where, precious))  # noqa: B023 - called in this turn only
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(durable, "os", attacker)
            patched.setattr(folders, "os", attacker)
            try:
                remove(Place(project, "run_logs", PATH), seen)
            except OsirisError as error:
                told.add(error.code)
        assert tree(precious) == before, f"before call {number}"
        if attacker.left > 0:
            break
    assert number > 20
    assert told <= {"retention.refused", "disk.failed"}
    assert "retention.refused" in told or attack is not link_in_place_of
