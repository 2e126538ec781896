"""What is in a folder's place: nothing but a real folder inside its root goes, and nothing of what stays is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from osiris import durable
from osiris.errors import ExitCode, OsirisError
from osiris.retention import clean as engine
from osiris.retention.folders import Place, look, remove
from osiris.retention.planned import Folder
from tests.cli.shop import Shop, new_shop
from tests.histories import tree
from tests.retention.aged import runs_days_ago
from tests.retention.test_clean import after_survey, apply, gone, paths_in, retention_events

ROOT = "run_logs"
PATH = "run_logs/dev/orders/old"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one folder, and beside it something precious."""
    project = tmp_path / "project"
    (project / PATH / "artifacts").mkdir(parents=True)
    (project / PATH / "artifacts" / "rows").write_bytes(b"x" * 10)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"precious")
    return project


def place(project: Path, path: str = PATH) -> Place:
    return Place(project, ROOT, path)


def seen(project: Path, path: str = PATH) -> Folder:
    found = look(place(project, path))
    assert found is not None
    return found


def test_a_folder_is_seen_with_its_bytes_and_removed_with_all_that_is_in_it(project: Path) -> None:
    found = seen(project)
    assert found.bytes == 10
    remove(place(project), found)
    assert not (project / PATH).exists()
    assert (project / PATH).parent.exists()
    remove(place(project), found)
    assert look(place(project)) is None


def into_a_link(folder: Path) -> None:
    """The folder moves away, and a link to something precious stands there."""
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(precious(folder))


def into_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.write_bytes(b"file")


def into_another_folder(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    shutil.copytree(folder.with_name("moved"), folder)


def under_a_link(folder: Path) -> None:
    """The folder is still there, but the way to it is a link."""
    parent = folder.parent
    parent.rename(parent.with_name("elsewhere"))
    parent.symlink_to("elsewhere")


def under_a_root_that_is_a_link(folder: Path) -> None:
    root = folder.parents[2]
    root.rename(root.with_name("real"))
    root.symlink_to("real")


def precious(folder: Path) -> Path:
    return next(parent / "precious" for parent in folder.parents if (parent / "precious").exists())


CHANGES: dict[str, Callable[[Path], None]] = {
    change.__name__: change
    for change in (into_a_link, into_a_file, into_another_folder, under_a_link, under_a_root_that_is_a_link)
}


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "into_another_folder"])
def test_what_is_no_real_folder_is_refused_by_a_look(project: Path, change: str) -> None:
    CHANGES[change](project / PATH)
    before = tree(project.parent)
    with pytest.raises(OsirisError, match=PATH) as caught:
        look(place(project))
    assert (caught.value.exit_code, caught.value.code) == (ExitCode.USAGE, "retention.refused")
    assert caught.value.hint
    assert tree(project.parent) == before


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_replaced_after_the_look_is_refused_and_not_touched(project: Path, change: str) -> None:
    found = seen(project)
    CHANGES[change](project / PATH)
    before = tree(project.parent)
    with pytest.raises(OsirisError, match=PATH) as caught:
        remove(place(project), found)
    assert caught.value.code == "retention.refused"
    assert tree(project.parent) == before


def test_a_folder_that_takes_the_place_of_one_that_is_being_deleted_stays(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty_and_replace(folder: int, mount: tuple[int, str]) -> None:
        empty(folder, mount)
        if os.path.samestat(os.fstat(folder), (project / PATH).stat()):
            into_another_folder(project / PATH)

    found, empty = seen(project), durable._empty
    monkeypatch.setattr(durable, "_empty", empty_and_replace)
    with pytest.raises(OsirisError, match="has taken its place"):
        remove(place(project), found)
    assert (project / PATH).is_dir()


def test_links_in_a_folder_go_as_links(project: Path) -> None:
    folder = project / PATH
    (folder / "to-folder").symlink_to(precious(folder))
    (folder / "to-file").symlink_to(precious(folder) / "file")
    (folder / "to-nothing").symlink_to("nowhere")
    (folder / "to-above").symlink_to("../..")
    os.mkfifo(folder / "pipe")
    os.link(precious(folder) / "file", folder / "hard")
    remove(place(project), seen(project))
    assert not folder.exists()
    assert (precious(folder) / "file").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "path",
    [
        *("/etc", "//etc", "../precious", "run_logs/../../precious", "run_logs/..", "run_logs/./dev", "run_logs//dev"),
        *("run_logs/dev/", "./run_logs/dev", "", ".", "..", "run_logs/\0", "run_logs/dev/..", "/"),
    ],
)
def test_a_path_that_is_not_plain_is_refused(project: Path, path: str) -> None:
    for act in (look, lambda at: remove(at, Folder(0, 0, 0))):
        with pytest.raises(OsirisError) as caught:
            act(place(project, path))
        assert caught.value.code == "retention.refused"


@pytest.mark.parametrize("path", ["run_logs", "run_logs_too/x", "build/x", "run_logs2"])
def test_a_path_that_is_not_below_its_root_is_refused_if_something_is_there(project: Path, path: str) -> None:
    if path != "run_logs":
        assert look(place(project, path)) is None
        (project / path).mkdir(parents=True)
    with pytest.raises(OsirisError, match="does not lie below run_logs/"):
        look(place(project, path))


@pytest.mark.parametrize(
    "path", ["run_logs/x", "run_logs/" + "x" * 300, "run_logs/" + "x/" * 3000 + "y", PATH + "/artifacts/rows/y"]
)
def test_where_nothing_can_be_there_is_nothing(project: Path, path: str) -> None:
    assert look(place(project, path)) is None


def test_folders_that_lie_too_deep_are_refused_before_anything_of_them_goes(project: Path) -> None:
    fd = os.open(project / PATH, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    with pytest.raises(OsirisError, match="deep"):
        look(place(project))
    assert (project / PATH / "artifacts" / "rows").exists()
    subprocess.run(["rm", "-rf", project / PATH], check=True)  # pytest cannot


@contextmanager
def bound(source: Path, target: Path) -> Iterator[None]:
    """``source`` is mounted at ``target`` as well."""
    target.mkdir(exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "--bind", source, target], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


@pytest.mark.parametrize("where", ["", "artifacts/deep"])
def test_what_is_mounted_in_a_folder_is_not_deleted(project: Path, where: str) -> None:
    """A bind mount has the same device as the folder around it: containers are full of them."""
    folder = project / PATH
    found = seen(project)
    with bound(precious(folder), folder / where):
        before = tree(project.parent)
        for act in (look, lambda at: remove(at, found)):
            with pytest.raises(OsirisError) as caught:
                act(place(project))
            assert caught.value.code == "retention.refused"
        assert (precious(folder) / "file").read_bytes() == b"precious"
        if not where:
            assert tree(project.parent) == before
    assert look(place(project)) is not None


def test_a_root_that_is_a_mount_is_a_root_like_any_other(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / ROOT, tmp_path / "disk")
    with bound(tmp_path / "disk", project / ROOT):
        remove(place(project), seen(project))
        assert not (project / PATH).exists()
    assert (project / PATH).exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_refused_path_stays_all_others_go_and_the_event_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The folder changes between the plan and its deletion; it is the plan's own affair no more."""
    shop: Shop = new_shop(tmp_path / "shop")
    (tmp_path / "precious").mkdir()
    old, older, _ = runs_days_ago(shop.root, 9, 8, 0)
    if change.startswith("under"):
        (shop.root / "build").mkdir(exist_ok=True)
    with monkeypatch.context() as patched:
        patched.setattr(engine, "survey", after_survey(lambda: CHANGES[change](shop.root / old.run_logs_path)))
        done = apply(shop)
    refused = {found.path for found in done.obstacles}
    assert refused == {old.run_logs_path, *([older.run_logs_path] if change.startswith("under") else [])}
    planned, pruned = retention_events(shop)
    assert set(paths_in(pruned)) == gone(done) == set(paths_in(planned)) - refused
    assert set(paths_in(pruned, "left")) == refused
    assert (shop.root / old.run_logs_path).exists()
    assert not (shop.root / older.run_logs_path).exists() or change.startswith("under")
    assert msgspec.json.encode(done)
