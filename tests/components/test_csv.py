"""CSV files keep their values: reading, writing, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from osiris.errors import OsirisError
from tests.components.reading import Context, read, text_rows, types_of, write

CSV = "filesystem.csv_extractor"

TRICKY = (
    "zip,big,word,empty,money,german,iso,stamp,zoned,plus,exponent,flag,clock,wide\n"
    '00501,9007199254740993,NA,"",1.10,31.12.2024,2024-01-05,2024-01-05 10:00:00,2024-01-05T10:00:00Z,+5,1e5,true,'
    "10:00:00,12345678901234567890.5\n"
    "00502,-1,null,,2.5,01.01.2024,2024-02-29,2024-01-06 00:00:00,2024-01-06T10:00:00Z,+6,2e5,false,23:59:59,1\n"
)


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


def put(ctx: Context, content: str | bytes, name: str = "in.csv") -> str:
    path = ctx.project_root / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def test_a_column_gets_a_type_only_where_that_changes_none_of_its_values(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, TRICKY))
    assert types_of(produced) == {
        "zip": "VARCHAR",
        "big": "BIGINT",
        "word": "VARCHAR",
        "empty": "VARCHAR",
        "money": "DECIMAL(18,2)",
        "german": "VARCHAR",
        "iso": "DATE",
        "stamp": "TIMESTAMP",
        "zoned": "VARCHAR",
        "plus": "VARCHAR",
        "exponent": "VARCHAR",
        "flag": "BOOLEAN",
        "clock": "TIME",
        "wide": "DECIMAL(38,1)",
    }
    first, second = text_rows(ctx, produced.rows)
    assert first[:5] == ("00501", "9007199254740993", "NA", "", "1.10")
    assert second[:5] == ("00502", "-1", "null", None, "2.50")


def test_what_was_read_is_written_as_it_stood(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, TRICKY))
    produced.rows.create_view("rows")
    written = write(ctx, "filesystem.csv_writer", "FROM rows", path="out.csv")
    assert written.rows == 2
    padded = TRICKY.replace(",2.5,", ",2.50,").replace(",1\n", ",1.0\n")
    assert (ctx.project_root / "out.csv").read_text() == padded


def test_null_is_nothing_and_an_empty_text_is_two_quotes(ctx: Context) -> None:
    write(ctx, "filesystem.csv_writer", "VALUES (NULL, ''), ('', NULL)", path="out.csv")
    assert (ctx.project_root / "out.csv").read_text() == 'col0,col1\n,""\n"",\n'
    assert text_rows(ctx, read(ctx, CSV, path="out.csv").rows) == [(None, ""), ("", None)]


def test_a_text_that_looks_like_the_null_value_is_quoted(ctx: Context) -> None:
    write(ctx, "filesystem.csv_writer", "SELECT 'NULL' AS a, NULL AS b", path="out.csv", null_value="NULL")
    assert (ctx.project_root / "out.csv").read_text() == 'a,b\n"NULL",NULL\n'
    back = read(ctx, CSV, path="out.csv", null_values=["NULL"])
    assert text_rows(ctx, back.rows) == [("NULL", None)]


def test_a_single_column_keeps_its_nulls(ctx: Context) -> None:
    write(ctx, "filesystem.csv_writer", "VALUES (1), (NULL), (3)", path="out.csv")
    assert text_rows(ctx, read(ctx, CSV, path="out.csv").rows) == [("1",), (None,), ("3",)]


def test_a_byte_order_mark_is_not_part_of_a_name(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, b'\xef\xbb\xbf"id",name\n1,x\n'))
    assert produced.rows.columns == ["id", "name"]
    assert text_rows(ctx, produced.rows) == [("1", "x")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_in_the_header(ctx: Context, separator: str) -> None:
    rows = [("a b", '"x,;|"', "c"), ("1", '"1,5;|"', "2")]
    produced = read(ctx, CSV, path=put(ctx, "".join(separator.join(row) + "\n" for row in rows)))
    assert produced.rows.columns == ["a b", "x,;|", "c"]
    assert text_rows(ctx, produced.rows) == [("1", "1,5;|", "2")]


def test_a_header_may_hold_line_breaks_and_quotes(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, '"a\nb","say ""hi"""\n1,2\n'))
    assert produced.rows.columns == ["a\nb", 'say "hi"']
    assert text_rows(ctx, produced.rows) == [("1", "2")]


def test_missing_and_doubled_names_are_made_unique(ctx: Context) -> None:
    assert read(ctx, CSV, path=put(ctx, "a,A,,a\n1,2,3,4\n")).rows.columns == ["a", "A_1", "column2", "a_2"]


def test_a_file_without_header_has_numbered_columns(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, "1,x\n2,y\n"), header=False)
    assert text_rows(ctx, produced.rows) == [("1", "x"), ("2", "y")]
    assert produced.rows.columns == ["column0", "column1"]


def test_a_header_alone_gives_no_rows_and_text_columns(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, "a,b\n"))
    assert types_of(produced) == {"a": "VARCHAR", "b": "VARCHAR"}
    assert text_rows(ctx, produced.rows) == []


def test_blank_lines_before_the_header_are_passed_over(ctx: Context) -> None:
    assert text_rows(ctx, read(ctx, CSV, path=put(ctx, "\n\na,b\n1,2\n")).rows) == [("1", "2")]


def test_more_blank_lines_than_anybody_writes_are_passed_over_all_the_same(ctx: Context) -> None:
    assert text_rows(ctx, read(ctx, CSV, path=put(ctx, "\n" * 700 + "a,b\n1,2\n")).rows) == [("1", "2")]


def test_lines_can_be_skipped(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, "report of, today, x\na,b\n1,2"), skip=1)
    assert produced.rows.columns == ["a", "b"]
    assert text_rows(ctx, produced.rows) == [("1", "2")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(ctx: Context, ending: str) -> None:
    content = ending.join(["a,b", "1,x", '2,"y"', ""])
    assert text_rows(ctx, read(ctx, CSV, path=put(ctx, content)).rows) == [("1", "x"), ("2", "y")]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_packed_files_are_written_and_read(ctx: Context, ending: str) -> None:
    write(ctx, "filesystem.csv_writer", "SELECT 1 AS a, 'x' AS b", path=f"out.csv.{ending}")
    raw = (ctx.project_root / f"out.csv.{ending}").read_bytes()
    assert raw[:2] == (b"\x1f\x8b" if ending == "gz" else b"\x28\xb5")
    assert text_rows(ctx, read(ctx, CSV, path=f"out.csv.{ending}").rows) == [("1", "x")]


def test_other_encodings_are_read(ctx: Context) -> None:
    produced = read(ctx, CSV, path=put(ctx, "größe;b\nä;1\n".encode("latin-1")), encoding="latin-1")
    assert produced.rows.columns == ["größe", "b"]
    assert text_rows(ctx, produced.rows) == [("ä", "1")]


def test_types_in_the_config_are_used_as_given(ctx: Context) -> None:
    path = put(ctx, "a,d,z\n1,31.12.2024,007\n")
    produced = read(ctx, CSV, path=path, types={"a": "DOUBLE", "d": "DATE"}, dateformat="%d.%m.%Y", all_varchar=True)
    assert types_of(produced) == {"a": "DOUBLE", "d": "DATE", "z": "VARCHAR"}
    assert text_rows(ctx, produced.rows) == [("1.0", "2024-12-31", "007")]


def test_a_type_for_a_column_that_is_not_there_is_refused(ctx: Context) -> None:
    with pytest.raises(OsirisError) as refused:
        read(ctx, CSV, path=put(ctx, "a,b\n1,2\n"), types={"c": "DATE"})
    assert refused.value.code == "config.unknown_column"
    assert "a, b" in refused.value.hint


def test_all_varchar_leaves_everything_as_text(ctx: Context) -> None:
    assert set(types_of(read(ctx, CSV, path=put(ctx, TRICKY), all_varchar=True)).values()) == {"VARCHAR"}


def test_a_pattern_reads_all_files_of_one_header(ctx: Context) -> None:
    put(ctx, "a,b\n1,x\n", "part-1.csv")
    put(ctx, "a,b\n2,y\n", "part-2.csv")
    produced = read(ctx, CSV, path="part-*.csv")
    assert sorted(text_rows(ctx, produced.rows)) == [("1", "x"), ("2", "y")]
    assert len(produced.files) == 2


def test_files_with_other_headers_are_an_error_that_names_the_file(ctx: Context) -> None:
    put(ctx, "a,b\n1,x\n", "part-1.csv")
    put(ctx, "b,a\n2,y\n", "part-2.csv")
    with pytest.raises(OsirisError, match=r"part-2\.csv has other columns") as refused:
        read(ctx, CSV, path="part-*.csv")
    assert refused.value.code == "extract.files_differ"


def test_a_file_whose_name_looks_like_a_pattern_is_read(ctx: Context) -> None:
    put(ctx, "a\n1\n", "in[1].csv")
    assert text_rows(ctx, read(ctx, CSV, path="in[1].csv").rows) == [("1",)]


def test_a_missing_file_is_an_error_that_knows_the_near_misses(ctx: Context) -> None:
    put(ctx, "a\n1\n", "orders.csv")
    with pytest.raises(OsirisError, match=r"no file 'order\.csv'") as missing:
        read(ctx, CSV, path="order.csv")
    assert missing.value.code == "extract.file_missing"
    assert missing.value.exit_code == 1
    assert missing.value.hint == "Did you mean orders.csv?"


@pytest.mark.parametrize(
    ("path", "code"), [("none-*.csv", "extract.file_missing"), ("ftp://b/x.csv", "config.unsupported_path")]
)
def test_patterns_without_files_and_addresses_are_errors(ctx: Context, path: str, code: str) -> None:
    with pytest.raises(OsirisError) as refused:
        read(ctx, CSV, path=path)
    assert refused.value.code == code


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_even_a_header_is_an_error(ctx: Context, content: bytes) -> None:
    with pytest.raises(OsirisError) as refused:
        read(ctx, CSV, path=put(ctx, content))
    assert refused.value.code == "extract.empty_file"


def test_half_a_gzip_file_is_an_error(ctx: Context) -> None:
    with pytest.raises(OsirisError) as refused:
        read(ctx, CSV, path=put(ctx, gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:30], "in.csv.gz"))
    assert refused.value.code == "extract.invalid_input"


def test_later_rows_may_change_a_guess(ctx: Context) -> None:
    rows = "".join(f"{number},1.5,\n" for number in range(6000))
    produced = read(ctx, CSV, path=put(ctx, f"a,b,c\n{rows}007,2.75,x\n"))
    assert types_of(produced) == {"a": "BIGINT", "b": "DECIMAL(18,1)", "c": "VARCHAR"}
    assert produced.refine is not None
    refined = produced.refine()
    assert refined is not None
    assert list(map(str, refined.types)) == ["VARCHAR", "DECIMAL(18,2)", "VARCHAR"]
    assert text_rows(ctx, refined)[-1] == ("007", "2.75", "x")


def test_a_right_guess_is_not_corrected(ctx: Context) -> None:
    rows = "".join(f"{number},\n" for number in range(6000))
    produced = read(ctx, CSV, path=put(ctx, f"a,b\n{rows}"))
    assert produced.refine is not None
    assert produced.refine() is None
