"""A folder of partitions is always whole, and takes the place of nothing that Osiris did not write."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from osiris import durable_folders
from osiris.components.base import Written
from osiris.components.file_output import temporary_beside
from osiris.components.folder_output import _lock_folder
from osiris.errors import OsirisError
from tests.components.reading import Context, write

ROOT = Path(__file__).parents[2]
CONTENTS = ".osiris-folder.json"
FAILING = "SELECT CASE WHEN range > 5000 THEN error('boom') ELSE 1 END AS a, 1 AS day FROM range(6000)"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


@pytest.fixture(params=["exchange", "two renames"])
def any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the kernel's exchange of two names."""
    if request.param == "two renames":
        monkeypatch.setattr(durable_folders, "exchange", lambda *_: False)


def write_days(ctx: Context, *days: int, **config: object) -> Written:
    query = " UNION ALL ".join(f"SELECT {day} AS a, {day} AS day" for day in days)
    return write(ctx, "filesystem.csv_writer", query, path="out", partition_by=["day"], **config)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def days_in(root: Path) -> set[str]:
    return {entry.name for entry in (root / "out").iterdir() if entry.is_dir()}


def test_every_file_of_the_folder_is_recorded(ctx: Context) -> None:
    written = write(
        ctx,
        "filesystem.parquet_writer",
        "SELECT range AS a, range % 3 AS x, range % 2 AS y FROM range(100)",
        path="deep/out",
        partition_by=["x", "y"],
    )
    assert written.rows == 100
    assert {file.path for file in written.files} == files(ctx.project_root)
    assert len(written.files) == 7
    for file in written.files:
        content = (ctx.project_root / file.path).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.usefixtures("any_system")
def test_the_folder_is_replaced_as_a_whole(ctx: Context) -> None:
    write_days(ctx, 1, 2)
    (ctx.project_root / "out").chmod(0o700)
    write_days(ctx, 3)
    assert files(ctx.project_root) == {f"out/{CONTENTS}", "out/day=3/data_0.csv"}
    assert (ctx.project_root / "out").stat().st_mode & 0o777 == 0o700
    assert sorted(entry.name for entry in ctx.project_root.iterdir()) == ["out"]


def test_no_rows_are_a_folder_without_partitions(ctx: Context) -> None:
    write_days(ctx, 1)
    written = write(ctx, "filesystem.csv_writer", "SELECT 1 AS a, 1 AS day LIMIT 0", path="out", partition_by=["day"])
    assert (written.rows, files(ctx.project_root)) == (0, {f"out/{CONTENTS}"})


def test_a_failed_write_leaves_the_old_folder_and_nothing_else(ctx: Context) -> None:
    write_days(ctx, 1)
    before = files(ctx.project_root)
    with pytest.raises(duckdb.Error, match="boom"):
        write(ctx, "filesystem.csv_writer", FAILING, path="out", partition_by=["day"])
    assert files(ctx.project_root) == before


def test_a_folder_that_osiris_did_not_write_is_never_replaced(ctx: Context) -> None:
    (ctx.project_root / "out/day=1").mkdir(parents=True)
    (ctx.project_root / "out/day=1/a.csv").write_text("theirs")
    with pytest.raises(OsirisError, match="it is a folder that Osiris did not write") as refused:
        write_days(ctx, 1)
    assert refused.value.code == "write.unwritable"
    assert files(ctx.project_root) == {"out/day=1/a.csv"}


def put_file(folder: Path) -> None:
    (folder / "day=1/notes.txt").write_text("mine")


def put_link(folder: Path) -> None:
    (folder / "elsewhere").symlink_to(folder.parent)


@pytest.mark.parametrize("put", [put_file, put_link])
def test_a_folder_with_something_of_others_in_it_is_not_replaced(ctx: Context, put: Callable[[Path], None]) -> None:
    write_days(ctx, 1)
    put(ctx.project_root / "out")
    with pytest.raises(OsirisError, match=r"Osiris did not write (day=1/notes\.txt|elsewhere) in it"):
        write_days(ctx, 2)
    assert days_in(ctx.project_root) >= {"day=1"}


def test_an_empty_folder_is_filled_and_a_file_is_refused(ctx: Context) -> None:
    (ctx.project_root / "out").mkdir()
    write_days(ctx, 1)
    (ctx.project_root / "file").write_text("")
    with pytest.raises(OsirisError, match="it is a file"):
        write(ctx, "filesystem.csv_writer", "SELECT 1 AS a, 2 AS b", path="file", partition_by=["a"])


def test_left_over_folders_of_dead_runs_go_and_those_of_living_ones_stay(ctx: Context) -> None:
    (ctx.project_root / ".out.run-0.osiris-tmp/day=1").mkdir(parents=True)
    with temporary_beside(ctx.project_root / "out", "run-9", _lock_folder) as theirs:
        write_days(ctx, 1)
        assert sorted(entry.name for entry in ctx.project_root.iterdir()) == [theirs.name, "out"]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from osiris import durable_folders
    from tests.components.reading import Context, write

    def dying(call, before):
        def die(*paths):
            if not before:
                call(*paths)
            os.kill(os.getpid(), signal.SIGKILL)
        return die

    moment, before = sys.argv[2], sys.argv[3] == "before"
    if moment == "move":
        durable_folders.exchange = lambda one, other: False
    setattr(durable_folders, moment, dying(getattr(durable_folders, moment), before))
    ctx = Context(Path(sys.argv[1]))
    write(ctx, "filesystem.csv_writer", "SELECT 2 AS a, 2 AS day", path="out", partition_by=["day"])
"""


@pytest.mark.parametrize(
    ("moment", "when", "stands"),
    [
        ("exchange", "before", {"day=1"}),
        ("exchange", "after", {"day=2"}),
        ("move", "before", {"day=1"}),
        ("move", "after", None),  # the one moment in which two renames leave nothing under the name
    ],
)
def test_a_killed_writer_leaves_the_old_folder_or_the_new_one(
    ctx: Context, moment: str, when: str, stands: set[str] | None
) -> None:
    write_days(ctx, 1)
    code = textwrap.dedent(KILLED)
    died = subprocess.run([sys.executable, "-c", code, str(ctx.project_root), moment, when], check=False, cwd=ROOT)
    assert died.returncode == -signal.SIGKILL
    assert (ctx.project_root / "out").exists() == (stands is not None)
    assert stands is None or days_in(ctx.project_root) == stands
    # Whatever comes next finds what stood there, and what was left behind goes.
    with pytest.raises(duckdb.Error, match="boom"):
        write(ctx, "filesystem.csv_writer", FAILING, path="out", partition_by=["day"])
    assert days_in(ctx.project_root) == (stands or {"day=1"})
    assert sorted(entry.name for entry in ctx.project_root.iterdir()) == ["out"]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"partition_by": ["nothing"]}, "a column that the rows have not: nothing"),
        ({"partition_by": ["a", "a"]}, "names a column twice"),
        ({"partition_by": ["c=d"]}, "'c=d' cannot be a folder's key"),
        ({"partition_by": ["l"]}, r"the column l is INTEGER\[\]"),
        ({"partition_by": ["b", "a"], "query": "SELECT 1 AS a, 2 AS b"}, "names every column"),
    ],
)
def test_columns_that_cannot_be_folders_are_refused(ctx: Context, config: dict[str, object], problem: str) -> None:
    query = str(config.get("query", 'SELECT 1 AS a, 2 AS b, 3 AS "c=d", [1] AS l'))
    with pytest.raises(OsirisError, match=problem):
        write(ctx, "filesystem.parquet_writer", query, path="out", partition_by=config["partition_by"])


@pytest.mark.parametrize(("compression", "ending"), [("gzip", ".gz"), ("zstd", ".zst"), ("none", "")])
def test_files_of_a_csv_folder_are_packed_as_asked(ctx: Context, compression: str, ending: str) -> None:
    written = write_days(ctx, 1, compression=compression)
    assert written.files[-1].path == f"out/day=1/data_0.csv{ending}"
    magic = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5", "": b"a\n"}[ending]
    assert (ctx.project_root / written.files[-1].path).read_bytes()[:2] == magic


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_a_file_is_packed_as_asked_and_never_against_its_name(ctx: Context, format_: str) -> None:
    name = f"filesystem.{format_}_writer"
    write(ctx, name, "SELECT 1 AS a", path="packed", compression="gzip")
    assert (ctx.project_root / "packed").read_bytes()[:2] == b"\x1f\x8b"
    for path, compression in (("a.gz", "none"), ("a.zst", "gzip")):
        with pytest.raises(OsirisError, match="and its compression is to be"):
            write(ctx, name, "SELECT 1 AS a", path=path, compression=compression)
