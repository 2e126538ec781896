"""Builds on disk: written once, never rewritten, and any change to them is seen."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osiris.compiler.build import load_build, load_step_config, verify_build, write_build
from osiris.compiler.compile import Compiled
from osiris.compiler.render import json_file
from osiris.errors import ExitCode, OsirisError
from tests.compiler.pipelines import ORDERS, Account, CsvSource, compile_text


@pytest.fixture
def compiled(tmp_path: Path) -> Compiled:
    return compile_text(ORDERS, tmp_path)


@pytest.fixture
def target(tmp_path: Path, compiled: Compiled) -> Path:
    folder = tmp_path / "build" / "pipelines" / "orders" / "abc-def"
    assert write_build(compiled, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_build_is_written_with_exactly_its_files(compiled: Compiled, target: Path) -> None:
    assert contents(target) == compiled.files
    assert verify_build(target) == []
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_build_that_stands_is_checked_and_not_rewritten(compiled: Compiled, target: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert not write_build(compiled, target)
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before


def test_a_build_is_loaded_with_its_step_configs(compiled: Compiled, target: Path) -> None:
    manifest = load_build(target / "manifest.yaml")
    assert manifest == compiled.manifest
    config = load_step_config(target, manifest.steps[0], CsvSource)
    assert config == CsvSource(path="data/eu.csv", limit=100)


def _edit_config(folder: Path) -> None:
    path = folder / "cfg" / "write.json"
    path.write_bytes(path.read_bytes().replace(b"out/", b"in/"))


def _edit_plan(folder: Path) -> None:
    (folder / "plan.json").write_bytes(b"{}\n")


def _edit_manifest(folder: Path) -> None:
    path = folder / "manifest.yaml"
    path.write_text(path.read_text().replace("max: 3", "max: 9"))


def _break_manifest(folder: Path) -> None:
    (folder / "manifest.yaml").write_text("steps: [")


def _link_config(folder: Path) -> None:
    path = folder / "cfg" / "write.json"
    moved = folder.parent / "elsewhere.json"
    path.rename(moved)
    path.symlink_to(moved)


def _edit_config_and_fingerprints(folder: Path) -> None:
    _edit_config(folder)
    _fit_fingerprints(folder)


def _edit_manifest_and_fingerprints(folder: Path) -> None:
    _edit_manifest(folder)
    _fit_fingerprints(folder)


def _fit_fingerprints(folder: Path) -> None:
    path = folder / "fingerprints.json"
    fingerprints = json.loads(path.read_bytes())
    for name in fingerprints["files"]:
        fingerprints["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_bytes(json_file(fingerprints))


def _break_fingerprints(folder: Path) -> None:
    (folder / "fingerprints.json").write_bytes(b"\xff{")


def _space_fingerprints(folder: Path) -> None:
    path = folder / "fingerprints.json"
    path.write_bytes(path.read_bytes() + b"\n")


def _manifest_is_a_folder(folder: Path) -> None:
    (folder / "manifest.yaml").unlink()
    (folder / "manifest.yaml").mkdir()


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a config edited": (_edit_config, "cfg/write.json was edited"),
    "the plan edited": (_edit_plan, "plan.json was edited"),
    "a file missing": (lambda folder: (folder / "cfg/write.json").unlink(), "cfg/write.json is missing"),
    "the configs missing": (lambda folder: shutil.rmtree(folder / "cfg"), "cfg/by-customer.json is missing"),
    "a file added": (lambda folder: (folder / "cfg/more.json").write_text("{}"), "cfg/more.json was added"),
    "a file linked": (_link_config, "cfg/write.json was edited"),
    "the manifest edited": (_edit_manifest, "manifest.yaml was edited"),
    "the manifest broken": (_break_manifest, "manifest.yaml cannot be read"),
    "the fingerprints broken": (_break_fingerprints, "fingerprints.json cannot be read"),
    "the fingerprints spaced": (_space_fingerprints, "fingerprints.json does not fit manifest.yaml"),
    "the fingerprints missing": (
        lambda folder: (folder / "fingerprints.json").unlink(),
        "fingerprints.json is missing",
    ),
    "a config and its fingerprint": (_edit_config_and_fingerprints, "fingerprints.json does not fit manifest.yaml"),
    "the manifest and its fingerprint": (_edit_manifest_and_fingerprints, "manifest.yaml does not have the hash"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_build_is_refused_and_the_file_is_named(what: str, compiled: Compiled, target: Path) -> None:
    change, found = CHANGES[what]
    change(target)
    assert any(problem.startswith(found) for problem in verify_build(target)), verify_build(target)
    for attempt in (lambda: load_build(target / "manifest.yaml"), lambda: write_build(compiled, target)):
        with pytest.raises(OsirisError) as caught:
            attempt()
        assert (caught.value.code, caught.value.exit_code) == ("build.drift", ExitCode.USAGE)
        assert found in caught.value.problem
        assert "osiris compile" in caught.value.hint


def test_a_manifest_that_is_not_there_is_an_error(target: Path) -> None:
    _manifest_is_a_folder(target)
    assert verify_build(target) == ["manifest.yaml is not a file"]
    for path in (target / "manifest.yaml", target / "none" / "manifest.yaml"):
        with pytest.raises(OsirisError) as caught:
            load_build(path)
        assert caught.value.code == "build.missing"


def test_a_folder_of_another_build_is_refused(tmp_path: Path, target: Path) -> None:
    other = compile_text(ORDERS, tmp_path, params={"region": "us"})
    with pytest.raises(OsirisError, match="belongs to another build"):
        write_build(other, target)


def test_a_file_in_the_builds_place_is_refused(tmp_path: Path, compiled: Compiled) -> None:
    place = tmp_path / "taken"
    place.write_text("mine")
    with pytest.raises(OsirisError) as caught:
        write_build(compiled, place)
    assert caught.value.code == "build.drift"
    assert place.read_text() == "mine"


def test_a_config_that_was_changed_or_does_not_fit_is_refused(target: Path) -> None:
    step = load_build(target / "manifest.yaml").steps[0]
    with pytest.raises(OsirisError, match="does not take it"):
        load_step_config(target, step, Account)
    (target / step.config).write_bytes(b"{}")
    with pytest.raises(OsirisError, match="changed after it was written"):
        load_step_config(target, step, CsvSource)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, compiled: Compiled) -> None:
    long = msgspec.structs.replace(compiled, configs={**compiled.configs, "cfg/" + "x" * 300: b""})
    with pytest.raises(OsirisError) as caught:
        write_build(long, tmp_path / "builds" / "one")
    assert caught.value.exit_code is ExitCode.DISK
    assert list((tmp_path / "builds").iterdir()) == []


def _write(args: tuple[Path, Path]) -> bool:
    folder, place = args
    own = folder / f"source-{os.getpid()}"
    own.mkdir()
    return write_build(compile_text(ORDERS, own), place)


def test_eight_writers_at_once_all_succeed_and_one_of_them_wrote(tmp_path: Path) -> None:
    place = tmp_path / "build" / "one"
    with multiprocessing.get_context("spawn").Pool(8, maxtasksperchild=1) as pool:
        wrote = pool.map(_write, [(tmp_path, place)] * 8, chunksize=1)
    assert wrote.count(True) == 1
    assert verify_build(place) == []
    assert [path.name for path in place.parent.iterdir()] == ["one"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_a_byte_that_was_flipped_added_or_taken_away_anywhere_is_seen(
    data: st.DataObject, compiled: Compiled, tmp_path: Path
) -> None:
    folder = tmp_path / "flipped"
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in compiled.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    name = data.draw(st.sampled_from(sorted(compiled.files)))
    content = compiled.files[name]
    place = data.draw(st.integers(0, len(content) - 1))
    changed = data.draw(
        st.sampled_from(["flipped", "added", "taken away", "cut"]).map(
            lambda change: {
                "flipped": content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
                "added": content[:place] + b" " + content[place:],
                "taken away": content[:place] + content[place + 1 :],
                "cut": content[:place],
            }[change]
        )
    )
    (folder / name).write_bytes(changed)
    assert verify_build(folder)
