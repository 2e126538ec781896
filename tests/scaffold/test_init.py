"""A new project is whole or not there at all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from osiris import durable
from osiris.errors import ExitCode, OsirisError
from osiris.scaffold.init import init_project
from osiris.scaffold.project_files import project_files

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bare_project_has_its_configuration_and_empty_folders(tmp_path: Path) -> None:
    written = init_project(tmp_path / "new" / "project", example=False, git=False)
    assert sorted(written) == [
        ".gitignore",
        "data/.gitkeep",
        "osiris.yaml",
        "osiris_connections.yaml",
        "pipelines/.gitkeep",
    ]
    assert sorted(contents(tmp_path / "new" / "project")) == sorted(written)


def test_an_example_comes_with_its_pipeline_and_its_data(tmp_path: Path) -> None:
    written = init_project(tmp_path, example=True, git=False)
    assert {"pipelines/daylight.yaml", "data/cities.csv", "data/sun.csv", "osiris.yaml"} <= set(written)
    assert contents(tmp_path) == {name: text.encode() for name, text in project_files(example=True).items()}


def test_the_configuration_is_written_last_so_that_a_folder_is_a_project_only_when_it_is_complete() -> None:
    assert [*project_files(example=True)][-1] == [*project_files(example=False)][-1] == "osiris.yaml"


def test_a_project_is_never_made_twice(tmp_path: Path) -> None:
    (tmp_path / "osiris.yaml").write_text("version: '2.0'\n")
    with pytest.raises(OsirisError) as raised:
        init_project(tmp_path, example=False, git=False)
    assert (raised.value.code, raised.value.exit_code) == ("init.exists", ExitCode.USAGE)
    assert raised.value.hint
    assert contents(tmp_path) == {"osiris.yaml": b"version: '2.0'\n"}


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_target_that_is_a_file_or_lies_below_one_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OsirisError) as raised:
        init_project(tmp_path / "file" / below, example=False, git=False)
    assert raised.value.code == "init.not_a_folder"
    assert (tmp_path / "file").read_text() == "mine"


def test_files_that_were_there_are_kept_and_gitignore_gets_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"*.pyc\nna\xefve\n")
    (tmp_path / "osiris_connections.yaml").write_text("connections: {duckdb: {}}\n")
    (tmp_path / "README.md").write_text("mine")
    written = init_project(tmp_path, example=False, git=False)
    assert ".gitignore" in written
    assert "osiris_connections.yaml" not in written
    assert (tmp_path / ".gitignore").read_bytes().startswith(b"*.pyc\nna\xefve\n\n")
    assert b"\nrun_logs/\n" in (tmp_path / ".gitignore").read_bytes()
    assert (tmp_path / "osiris_connections.yaml").read_text() == "connections: {duckdb: {}}\n"
    assert (tmp_path / "README.md").read_text() == "mine"


def test_an_example_never_overwrites_a_file_with_other_content(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cities.csv").write_text("my cities")
    with pytest.raises(OsirisError) as raised:
        init_project(tmp_path, example=True, git=False)
    assert raised.value.code == "init.exists"
    assert contents(tmp_path) == {"data/cities.csv": b"my cities"}


def test_data_left_by_an_init_that_was_killed_do_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cities.csv").write_text(project_files(example=True)["data/cities.csv"])
    assert "osiris.yaml" in init_project(tmp_path, example=True, git=False)


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5])
def test_a_disk_that_fails_at_any_file_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    (tmp_path / "data").mkdir()
    calls = 0

    def replace_file(path: Path, content: bytes, *, sync: bool) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(28, "No space left on device")
        durable_replace_file(path, content, sync=sync)

    durable_replace_file = durable.replace_file
    monkeypatch.setattr(durable, "replace_file", replace_file)
    with pytest.raises(OsirisError) as raised:
        init_project(tmp_path, example=False, git=False)
    assert raised.value.exit_code == ExitCode.DISK
    assert "No space left on device" in raised.value.problem
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".gitignore", "data"]
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n"


def test_folders_that_init_made_go_again_when_it_fails(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pipelines").write_text("a file where a folder should be")
    with pytest.raises(OsirisError) as raised:
        init_project(project, example=False, git=False)
    assert raised.value.exit_code == ExitCode.DISK
    assert contents(tmp_path) == {"project/pipelines": b"a file where a folder should be"}
    assert [path.name for path in project.iterdir()] == ["pipelines"]


@needs_git
def test_git_makes_a_repository_in_which_the_ledger_and_secrets_are_ignored(tmp_path: Path) -> None:
    written = init_project(tmp_path, example=False, git=True)
    assert written[-1] == ".git/"
    (tmp_path / ".env").write_text("PGPASSWORD=x\n")
    (tmp_path / ".osiris" / "journal").mkdir(parents=True)
    (tmp_path / ".osiris" / "journal" / "00000000000000000001.ndjson").write_text("{}\n")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "manifest.yaml").write_text("a: 1\n")
    status = ["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"]
    seen = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    assert "build/manifest.yaml" in seen
    assert "osiris.yaml" in seen
    assert ".env" not in seen
    assert ".osiris" not in seen


@needs_git
def test_no_repository_is_made_inside_another_one(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    init_project(tmp_path / "inner", example=False, git=True)
    assert not (tmp_path / "inner" / ".git").exists()


def test_without_git_on_the_machine_the_project_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert "osiris.yaml" in init_project(tmp_path / "project", example=False, git=True)
    assert not (tmp_path / "project" / ".git").exists()
