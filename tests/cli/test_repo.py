"""``osiris repo ensureignore``: git is told what to ignore, and what stands there already is left alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.config import FilesystemConfig
from osiris.scaffold.ignore import ensure_ignored, ignore_patterns, merge_ignore
from tests.cli.shop import Shop

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_it_says_what_it_added_and_the_second_time_there_is_nothing_to_add(shop: Shop) -> None:
    shop.write(".gitignore", "*.pyc\nrun_logs\n")
    added = shop.run("repo", "ensureignore", "--json").json
    assert added["path"] == ".gitignore"
    assert added["added"] == [pattern for pattern in ignore_patterns() if pattern != "run_logs/"]
    after = shop.read(".gitignore")
    assert shop.run("repo", "ensureignore", "--json").json["added"] == []
    assert "all patterns already" in shop.run("repo", "ensureignore").out
    assert shop.read(".gitignore") == after


def test_without_a_file_it_writes_the_one_of_a_new_project(shop: Shop, tmp_path: Path) -> None:
    out = shop.run("repo", "ensureignore").out
    assert "  .osiris/journal/\n" in out
    Shop(tmp_path).run("init", "new")
    assert shop.read(".gitignore") == (tmp_path / "new" / ".gitignore").read_bytes()


CONTENT = st.lists(
    st.sampled_from(
        [b"*.pyc", b"run_logs/", b"!.env", b"# x", b"", b" ", b"/aiop", b"\xff\xfe", b"a\rb", b"\x0b", b".osiris"]
    ),
    max_size=8,
)


@given(CONTENT, st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.booleans())
def test_what_stands_there_is_kept_byte_for_byte_and_a_second_merge_adds_nothing(
    lines: list[bytes], end: bytes, ended: bool, bom: bool
) -> None:
    existing = (b"\xef\xbb\xbf" if bom else b"") + end.join(lines) + (end if ended else b"")
    merged = merge_ignore(existing.decode(errors="surrogateescape"))
    encoded = merged.encode(errors="surrogateescape")
    assert encoded.startswith(existing)
    added = encoded[len(existing) :]
    if b"\r\n" in existing:
        assert added.count(b"\n") == added.count(b"\r\n")
    else:
        assert b"\r" not in added
    assert merge_ignore(merged) == merged


def test_the_projects_own_folders_are_the_ones_that_are_ignored(shop: Shop) -> None:
    shop.write(
        "osiris.yaml",
        "filesystem: {run_logs_dir: logs2, aiop_dir: packs, index_dir: '.osiris/[i]', cache_dir: '#c', "
        "journal_dir: ./j/}\n",
    )
    added = shop.run("repo", "ensureignore", "--json").json["added"]
    assert {"logs2/", "packs/**/annex/", "\\#c/", ".osiris/\\[i\\]/", ".osiris/\\[i\\]/counters.sqlite", "j/"} <= {
        *added
    }
    assert not {"run_logs/", "aiop/**/annex/", ".osiris/cache/", ".osiris/index/", ".osiris/journal/"} & {*added}


@needs_git
def test_git_ignores_exactly_what_one_machine_keeps_for_itself(shop: Shop) -> None:
    shop.write("osiris.yaml", "filesystem: {run_logs_dir: '[logs] x', journal_dir: '.osiris/!j'}\n")
    shop.run("repo", "ensureignore")
    shop.run("run", "orders")
    annex = next(shop.root.glob("aiop/*/*/*/*")) / "annex"
    annex.mkdir(exist_ok=True)
    (annex / "x.ndjson").write_text("{}\n")
    subprocess.run(["git", "init", "-q", str(shop.root)], check=True)
    status = ["git", "-C", str(shop.root), "status", "--porcelain", "-uall", "-z"]
    seen = subprocess.run(status, capture_output=True, text=True, check=True).stdout.split("\0")
    folders = {line[3:].split("/")[0] for line in seen if line}
    assert folders == {".gitignore", "aiop", "build", "data", "osiris.yaml", "out", "pipelines"}
    assert not [line for line in seen if "annex" in line]


@pytest.mark.parametrize("kind", ["link", "folder", "dangling"])
def test_a_link_or_a_folder_of_that_name_is_refused_and_nothing_is_written(shop: Shop, kind: str) -> None:
    path, other = shop.root / ".gitignore", shop.write("mine", "*.pyc\n")
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("mine" if kind == "link" else "nowhere")
    error = shop.run("repo", "ensureignore", "--json", check=2).json["error"]
    assert error["code"] == "ignore.not_a_file"
    assert other.read_text() == "*.pyc\n"


def test_the_mode_of_the_file_stays_and_what_nobody_may_read_is_a_disk_error(tmp_path: Path) -> None:
    path = tmp_path / ".gitignore"
    path.write_text("x\n")
    path.chmod(0o640)
    assert ensure_ignored(tmp_path, FilesystemConfig())
    assert path.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == [".gitignore"]


def test_outside_of_a_project_it_says_so(tmp_path: Path) -> None:
    assert "no project here" in Shop(tmp_path).run("repo", "ensureignore", check=2).err
