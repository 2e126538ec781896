"""Parquet files keep their values and types."""

from __future__ import annotations

from pathlib import Path

import pytest

from osiris.errors import OsirisError
from tests.components.reading import Context, read, text_rows, types_of, write

PARQUET = "filesystem.parquet_extractor"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


def test_values_and_types_survive(ctx: Context) -> None:
    query = """SELECT '00501' AS zip, 9007199254740993 AS big, 'NA' AS na, '' AS empty, NULL::VARCHAR AS nothing,
        1.10::DECIMAL(18,2) AS money, TIMESTAMPTZ '2024-01-05 10:00:00+02' AS zoned, DATE '2024-01-05' AS day,
        {'a': [1, NULL]} AS nested"""
    written = write(ctx, "filesystem.parquet_writer", query, path="out.parquet")
    produced = read(ctx, PARQUET, path="out.parquet")
    assert written.rows == produced.row_count == 1
    assert types_of(produced) == {
        "zip": "VARCHAR",
        "big": "BIGINT",
        "na": "VARCHAR",
        "empty": "VARCHAR",
        "nothing": "VARCHAR",
        "money": "DECIMAL(18,2)",
        "zoned": "TIMESTAMP WITH TIME ZONE",
        "day": "DATE",
        "nested": "STRUCT(a INTEGER[])",
    }
    assert text_rows(ctx, produced.rows)[0][:7] == (
        "00501",
        "9007199254740993",
        "NA",
        "",
        None,
        "1.10",
        "2024-01-05 08:00:00+00",
    )


def test_types_that_parquet_lacks_are_written_whole(ctx: Context) -> None:
    query = """SELECT sum(x)::HUGEINT AS total, [sum(x)::HUGEINT] AS totals, TIMETZ '10:00:00+02' AS clock,
        INTERVAL '1 month 4 microseconds' AS span FROM (VALUES (9223372036854775807), (1)) t(x)"""
    write(ctx, "filesystem.parquet_writer", query, path="out.parquet")
    produced = read(ctx, PARQUET, path="out.parquet")
    assert types_of(produced)["total"] == "DECIMAL(38,0)"
    assert text_rows(ctx, produced.rows) == [
        ("9223372036854775808", "[9223372036854775808]", "10:00:00+02", "1 month 00:00:00.000004")
    ]


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "uncompressed"])
def test_every_compression_is_read_back(ctx: Context, compression: str) -> None:
    write(
        ctx,
        "filesystem.parquet_writer",
        "SELECT range AS a FROM range(10)",
        path="out.parquet",
        compression=compression,
    )
    found = ctx.con.execute(f"SELECT compression FROM parquet_metadata('{ctx.project_root}/out.parquet')").fetchall()
    assert found == [(compression.upper(),)]
    assert len(text_rows(ctx, read(ctx, PARQUET, path="out.parquet").rows)) == 10


def test_columns_are_read_in_the_order_that_was_asked_for(ctx: Context) -> None:
    write(ctx, "filesystem.parquet_writer", "SELECT 1 AS a, 2 AS b, 3 AS c", path="out.parquet")
    assert read(ctx, PARQUET, path="out.parquet", columns=["c", "a"]).rows.columns == ["c", "a"]


def test_files_of_one_pattern_need_one_schema(ctx: Context) -> None:
    write(ctx, "filesystem.parquet_writer", "SELECT 1 AS a", path="p1.parquet")
    write(ctx, "filesystem.parquet_writer", "SELECT 2 AS a", path="p2.parquet")
    assert read(ctx, PARQUET, path="p*.parquet").row_count == 2
    write(ctx, "filesystem.parquet_writer", "SELECT 'x' AS a", path="p3.parquet")
    with pytest.raises(OsirisError, match=r"p3\.parquet has other columns or types"):
        read(ctx, PARQUET, path="p*.parquet")
