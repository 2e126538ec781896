"""Columns in the names of folders come back as they were, or are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osiris.components.hive_partitions import NULL_PARTITIONS
from osiris.errors import OsirisError
from tests.components.reading import Context, read, text_rows, types_of, write
from tests.runner.pipelines import Step, rows_of, run, select, write_csv

FORMATS = ("csv", "parquet")
ODD = ("05", "", "a/b", "a=b", "ü☃", " x ", "100%", "%41", "a\nb", "'q\"", ".", "..", "back\\slash", "\x01", "?*[x]")
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
TEXTS = st.sampled_from(NULL_PARTITIONS) | st.text(CHARACTERS, max_size=15)


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


def lay(ctx: Context, name: str, query: str) -> None:
    (ctx.project_root / name).parent.mkdir(parents=True, exist_ok=True)
    ctx.con.execute(f"COPY ({query}) TO '{ctx.project_root / name}'")


def there_and_back(ctx: Context, format_: str, values: list[str | None]) -> list[tuple[str | None, ...]]:
    ctx.con.execute("CREATE OR REPLACE TABLE source (place INTEGER, key VARCHAR)")
    ctx.con.executemany("INSERT INTO source VALUES (?, ?)", list(enumerate(values)))
    written = write(ctx, f"filesystem.{format_}_writer", "FROM source", path="out", partition_by=["key"])
    assert written.rows == len(values)
    produced = read(ctx, f"filesystem.{format_}_extractor", path=f"out/*/*.{format_}", hive=True)
    return sorted(text_rows(ctx, produced.rows), key=lambda row: int(row[0] or 0))


@pytest.mark.parametrize("format_", FORMATS)
def test_odd_values_of_a_partition_come_back_equal(ctx: Context, format_: str) -> None:
    values = [*ODD, None]
    assert there_and_back(ctx, format_, values) == [(str(place), value) for place, value in enumerate(values)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=8))
def test_any_value_of_a_partition_comes_back_equal_or_is_refused(ctx: Context, values: list[str | None]) -> None:
    shutil.rmtree(ctx.project_root / "out", ignore_errors=True)
    if set(values) & set(NULL_PARTITIONS):
        with pytest.raises(duckdb.Error, match="readers of partitions take for NULL"):
            there_and_back(ctx, "csv", values)
        return
    rows = there_and_back(ctx, "csv", values)
    assert rows == [(str(place), value) for place, value in enumerate(values)]


@pytest.mark.parametrize("text", NULL_PARTITIONS)
def test_a_text_that_readers_take_for_null_is_refused(ctx: Context, text: str) -> None:
    with pytest.raises(duckdb.Error, match="the column key is a text that readers of partitions take for NULL"):
        there_and_back(ctx, "parquet", [text])
    assert not (ctx.project_root / "out").exists()


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_keys_are_text_behind_the_files_columns_unless_types_says_otherwise(ctx: Context, format_: str) -> None:
    for month in ("05", "11"):
        lay(ctx, f"in/year=2024/month={month}/a.{format_}", "SELECT 1.5::DECIMAL(9,1) AS z, 'x' AS a")
    path, name = f"in/*/*/*.{format_}", f"filesystem.{format_}_extractor"
    plain = read(ctx, name, path=path, hive=True)
    assert plain.rows.columns == ["z", "a", "year", "month"]
    assert sorted(text_rows(ctx, plain.rows)) == [("1.5", "x", "2024", "05"), ("1.5", "x", "2024", "11")]
    typed = read(ctx, name, path=path, hive=True, types={"month": "INTEGER"})
    assert types_of(typed) | {"z": ""} == {"z": "", "a": "VARCHAR", "year": "VARCHAR", "month": "INTEGER"}
    assert sorted(text_rows(ctx, typed.rows)) == [("1.5", "x", "2024", "11"), ("1.5", "x", "2024", "5")]
    assert read(ctx, name, path=path).rows.columns == ["z", "a"]


def test_a_value_that_has_not_the_type_of_its_key_is_an_error(ctx: Context) -> None:
    lay(ctx, "in/day=someday/a.parquet", "SELECT 1 AS a")
    produced = read(ctx, "filesystem.parquet_extractor", path="in/*/*.parquet", hive=True, types={"day": "DATE"})
    with pytest.raises(duckdb.Error, match="Unable to cast 'someday'"):
        text_rows(ctx, produced.rows)


def test_columns_of_a_parquet_step_may_name_keys(ctx: Context) -> None:
    lay(ctx, "in/day=1/a.parquet", "SELECT 1 AS a, 2 AS b")
    produced = read(ctx, "filesystem.parquet_extractor", path="in/*/*", hive=True, columns=["day", "b"])
    assert text_rows(ctx, produced.rows) == [("1", "2")]


@pytest.mark.parametrize(
    ("files", "problem", "code"),
    [
        (("a=1/x.csv", "b=1/x.csv"), "has other partition keys", "extract.files_differ"),
        (("a=1/x.csv", "y/x.csv"), "has other partition keys", "extract.files_differ"),
        (("x=1/x.csv",), "x is the key of a folder of .*, and another column's name", "extract.partitions"),
        (("a=1/A=2/x.csv",), "a is the key of a folder", "extract.partitions"),
        (("a/x.csv",), "no folder of .* is called key=value", "extract.partitions"),
    ],
)
def test_folders_that_give_no_columns_are_an_error(
    ctx: Context, files: tuple[str, ...], problem: str, code: str
) -> None:
    for file in files:
        lay(ctx, f"in/{file}", "SELECT 1 AS x")
    with pytest.raises(OsirisError, match=problem) as refused:
        read(ctx, "filesystem.csv_extractor", path="in/**/*.csv", hive=True)
    assert refused.value.code == code


def test_folders_above_the_project_are_no_columns(tmp_path: Path) -> None:
    ctx = Context(tmp_path / "user=me")
    lay(ctx, "in/day=1/a.csv", "SELECT 7 AS x")
    produced = read(ctx, "filesystem.csv_extractor", path="in/*/*.csv", hive=True)
    assert produced.rows.columns == ["x", "day"]
    assert text_rows(ctx, produced.rows) == [("7", "1")]
    lay(ctx, "in/day=1/a.csv", "SELECT 7 AS user")
    with pytest.raises(OsirisError, match="user is a column of the files, and the key of a folder above"):
        read(ctx, "filesystem.csv_extractor", path="in/*/*.csv", hive=True)
    lay(ctx, "of/user=you/a.csv", "SELECT 7 AS x")
    with pytest.raises(OsirisError, match=r"user is the key of a folder of .*, and another column's name"):
        read(ctx, "filesystem.csv_extractor", path="of/*/*.csv", hive=True)


def test_types_of_a_parquet_step_are_for_keys_alone(ctx: Context) -> None:
    lay(ctx, "a.parquet", "SELECT 1 AS a")
    with pytest.raises(OsirisError, match="types names a, which is not a partition key"):
        read(ctx, "filesystem.parquet_extractor", path="a.parquet", types={"a": "DATE"})


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_rows_are_counted_exactly_or_not_at_all(tmp_path: Path, format_: str) -> None:
    ctx = Context(tmp_path)
    for day in range(9):
        lay(ctx, f"in/day={day}/a.{format_}", f"SELECT range AS a FROM range({day + 1})")
    config = {"path": f"in/*/*.{format_}", "hive": True}
    source = Step(id="in", component=f"filesystem.{format_}_extractor", config=config)
    pruned = select("some", "FROM input_df WHERE day < '7'", "in")
    outcome = run(tmp_path, source, write_csv("out", "out.csv", "in"))
    assert rows_of(outcome) == {"in": (None, 45), "out": (45, 45)}
    outcome = run(tmp_path, source, pruned, write_csv("out", "out.csv", "some"))
    counted = 45 if format_ == "parquet" else None  # a footer says how many there are in what was not read
    assert rows_of(outcome) == {"in": (None, counted), "some": (counted, 28), "out": (28, 28)}
