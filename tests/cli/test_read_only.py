"""A project on a disk that cannot be written to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import Shop


@pytest.fixture
def frozen(used: Shop, tmp_path: Path) -> Iterator[Shop]:
    """``used`` through a read-only mount where this is root, who may write anywhere, else without permissions."""
    if os.geteuid() != 0:
        folders = [used.root, *(path for path in used.root.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        yield used
        for folder in folders:
            folder.chmod(0o755)
        return
    mount = tmp_path / "frozen"
    mount.mkdir()
    for command in (["--bind", str(used.root)], ["-o", "remount,ro,bind"]):
        if subprocess.run(["mount", *command, mount], capture_output=True, check=False).returncode:
            subprocess.run(["umount", mount], capture_output=True, check=False)
            pytest.skip("root may write anywhere, and nothing can be mounted here")
    try:
        yield Shop(mount)
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_project_that_cannot_be_written_to_can_still_be_read(frozen: Shop) -> None:
    reading = [
        ("runs", "list"),
        ("runs", "show", "last"),
        ("pipelines", "list"),
        ("events",),
        ("index", "verify"),
        ("index", "head"),
        ("oml", "validate", "orders"),
        ("maintenance", "clean"),
        ("run", "orders", "--dry-run"),
    ]
    for result in frozen.all(*reading):
        assert result.out
        assert result.err == ""


def test_what_has_to_write_says_that_the_disk_did_not_let_it_and_where(frozen: Shop) -> None:
    writing = [
        ("run", "orders"),
        ("compile", "orders"),
        ("compile", "orders", "--param", "minimum=1"),
        ("pipelines", "tag", "orders", "--add", "billing"),
        ("index", "rebuild"),
        ("maintenance", "clean", "--apply"),
        ("init", "sub"),
    ]
    for result in frozen.all(*writing, check=7):
        error, hint = result.err.splitlines()[-2:]
        assert error.startswith("error: could not ")
        assert str(frozen.root) in error
        assert hint.startswith("Try: ")


def test_a_run_whose_output_folder_cannot_be_written_to_fails_by_that(used: Shop) -> None:
    (used.root / "out").rename(used.root / "old")
    used.write("out", "not a folder")
    error = used.run("run", "orders", "--json", check=1).json["run"]["error"]
    assert (error["code"], error["step"]) == ("write.unwritable", "write")
