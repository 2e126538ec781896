"""A writer's target is always a whole file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import duckdb
import pytest

from osiris.components.file_output import replacing
from osiris.errors import OsirisError
from tests.components.reading import Context, write

WRITER = "filesystem.csv_writer"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_writer_says_what_it_wrote(ctx: Context) -> None:
    written = write(ctx, WRITER, "SELECT 1 AS a", path="deep/er/out.csv")
    content = (ctx.project_root / "deep/er/out.csv").read_bytes()
    [file] = written.files
    assert (file.path, file.bytes, file.sha256) == (
        "deep/er/out.csv",
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
    assert names(ctx.project_root / "deep/er") == ["out.csv"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(ctx: Context) -> None:
    (ctx.project_root / "out.csv").write_text("old")
    with pytest.raises(duckdb.Error, match="boom"):
        write(
            ctx,
            WRITER,
            "SELECT CASE WHEN range > 5000 THEN error('boom') ELSE 1 END AS a FROM range(6000)",
            path="out.csv",
        )
    assert (ctx.project_root / "out.csv").read_text() == "old"
    assert names(ctx.project_root) == ["out.csv"]


def test_what_dead_runs_left_behind_goes_with_the_next_write(ctx: Context) -> None:
    (ctx.project_root / ".out.csv.run-0.osiris-tmp").write_text("half")
    (ctx.project_root / ".other.csv.run-0.osiris-tmp").write_text("half")
    write(ctx, WRITER, "SELECT 1 AS a", path="out.csv")
    assert names(ctx.project_root) == [".other.csv.run-0.osiris-tmp", "out.csv"]


def test_what_a_living_run_is_writing_is_left_alone(ctx: Context) -> None:
    target = ctx.project_root / "out.csv"
    with replacing(target, "run-0") as theirs:
        theirs.write_text("theirs")
        write(ctx, WRITER, "SELECT 1 AS a", path="out.csv")
        assert target.read_text() == "a\n1\n"
    assert target.read_text() == "theirs"


def test_a_link_keeps_leading_to_the_file(ctx: Context) -> None:
    real = ctx.project_root / "real.csv"
    real.write_text("old")
    real.chmod(0o600)
    (ctx.project_root / "out.csv").symlink_to(real)
    write(ctx, WRITER, "SELECT 1 AS a", path="out.csv")
    assert (ctx.project_root / "out.csv").is_symlink()
    assert real.read_text() == "a\n1\n"
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_folder_is_no_target(ctx: Context) -> None:
    (ctx.project_root / "out.csv").mkdir()
    with pytest.raises(OsirisError, match="it is a folder") as refused:
        write(ctx, WRITER, "SELECT 1 AS a", path="out.csv")
    assert (refused.value.code, refused.value.exit_code) == ("write.unwritable", 1)


def test_a_pipe_is_no_target(ctx: Context) -> None:
    os.mkfifo(ctx.project_root / "out.csv")
    with pytest.raises(OsirisError, match="not a regular file"):
        write(ctx, WRITER, "SELECT 1 AS a", path="out.csv")


def test_a_file_in_the_place_of_a_folder_is_an_error(ctx: Context) -> None:
    (ctx.project_root / "out").write_text("x")
    with pytest.raises(OsirisError) as refused:
        write(ctx, WRITER, "SELECT 1 AS a", path="out/x.csv")
    assert refused.value.code == "write.unwritable"
