"""Whatever the values and their order: the same types, the same values, and what was written comes back."""

from __future__ import annotations

import io
import random
import tempfile
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.components import csv_extractor
from osiris.components.column_types import (
    LADDER,
    climb,
    first_fit,
    guarded_projection,
    plain_projection,
    possible_types,
)
from tests.components.reading import Context, read, text_rows, types_of, write

INTERESTING = [
    *(
        "0",
        "1",
        "-1",
        "-0",
        "+1",
        "007",
        "1.0",
        "1.10",
        "-2.50",
        "-0.0",
        ".5",
        "5.",
        "1e5",
        "1E5",
        "1e+20",
        "0.1",
        "1_000",
    ),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "12345678901234567890.123", "1" * 39, "0x1F"),
    *("true", "false", "TRUE", "t", "yes", "2024-01-05", "2024-1-5", "2024/01/05", "31.12.2024", "0044-03-15 (BC)"),
    *("2024-01-05 10:00:00", "2024-01-05 10:00:00.5", "2024-01-05 10:00:00.50", "2024-01-05T10:00:00Z", "10:00:00"),
    *(
        "10:00",
        "infinity",
        "-infinity",
        "nan",
        "inf",
        "epoch",
        "NA",
        "null",
        "",
        " ",
        " 1",
        "1 ",
        "a,b",
        'say "hi"',
        "x\ny",
    ),
    *("123456789012345678", "12345678901234567.8", "1234567890123456.78", "-", ".", "ä", "1e-07", "5.0", "1e400"),
]
values = st.one_of(
    st.none(),
    st.sampled_from(INTERESTING),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.floats().map(repr),
    st.dates().map(str),
    st.datetimes().map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=5),
)
columns = st.one_of(
    st.lists(values, min_size=1, max_size=8),
    *(
        st.lists(kind | st.none(), min_size=1, max_size=8)
        for kind in (
            st.integers(-(2**64), 2**64).map(str),
            st.decimals(-(10**20), 10**20, places=2).map(str),
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.dates().map(str),
            st.booleans().map(lambda value: str(value).lower()),
        )
    ),
)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def fill(con: duckdb.DuckDBPyConnection, column: list[str | None]) -> None:
    con.execute("CREATE OR REPLACE TABLE t AS SELECT unnest(?::VARCHAR[]) AS c", [column]).fetchall()


@settings(max_examples=80, deadline=None)
@given(columns)
def test_a_glimpse_never_closes_out_the_right_type(con: duckdb.DuckDBPyConnection, column: list[str | None]) -> None:
    fill(con, column)
    whole = first_fit(con, "t", {"c": LADDER})["c"]
    open_rungs = possible_types([value for value in column if value is not None])
    glimpsed = first_fit(con, "t", {"c": open_rungs})["c"] if open_rungs else None
    assert glimpsed == whole


@settings(max_examples=80, deadline=None)
@given(columns, st.integers(1, 8))
def test_climbing_from_a_part_ends_where_reading_everything_does(
    con: duckdb.DuckDBPyConnection, column: list[str | None], part: int
) -> None:
    fill(con, column)
    everything = first_fit(con, "t", {"c": LADDER})["c"] or "VARCHAR"
    guess = first_fit(con, f"(FROM t LIMIT {part})", {"c": LADDER})["c"] or "VARCHAR"
    assert climb(con, "t", {"c": guess})["c"] == everything


@settings(max_examples=80, deadline=None)
@given(columns, st.integers(1, 8))
def test_the_guard_lets_a_guess_pass_only_if_it_is_the_type(
    con: duckdb.DuckDBPyConnection, column: list[str | None], part: int
) -> None:
    fill(con, column)
    everything = first_fit(con, "t", {"c": LADDER})["c"] or "VARCHAR"
    guess = first_fit(con, f"(FROM t LIMIT {part})", {"c": LADDER})["c"] or "VARCHAR"
    try:
        guarded = con.execute(f"SELECT c::VARCHAR FROM ({guarded_projection('t', {'c': guess})})").fetchall()
    except duckdb.InvalidInputException:
        assert guess != everything
    else:
        assert guess == everything
        assert guarded == con.execute(f"SELECT c::VARCHAR FROM ({plain_projection('t', {'c': everything})})").fetchall()


@settings(max_examples=80, deadline=None)
@given(columns)
def test_a_typed_column_gives_back_what_was_written(con: duckdb.DuckDBPyConnection, column: list[str | None]) -> None:
    fill(con, column)
    type_ = first_fit(con, "t", {"c": LADDER})["c"] or "VARCHAR"
    back = [row[0] for row in con.execute(f"SELECT c::VARCHAR FROM ({plain_projection('t', {'c': type_})})").fetchall()]
    if type_.startswith("DECIMAL"):
        assert [value and Decimal(value) for value in back] == [value and Decimal(value) for value in column]
        assert all(after is None or after.startswith(before or "") for before, after in zip(column, back, strict=True))
    else:
        assert back == column


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=12), st.randoms())
def test_the_order_of_the_rows_changes_neither_types_nor_values(
    rows: list[tuple[str | None, str | None]], shuffler: random.Random
) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    found = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_extractor, "_SAMPLE_ROWS", 3)
        patch.setattr(csv_extractor, "_GLIMPSE_ROWS", 2)
        ctx = Context(Path(folder))
        for name, ordered in (("one.csv", rows), ("two.csv", shuffled)):
            (ctx.project_root / name).write_text(csv_text(ordered), encoding="utf-8", newline="")
            produced = read(ctx, "filesystem.csv_extractor", path=name)
            relation = (produced.refine() if produced.refine else None) or produced.rows
            found.append((list(map(str, relation.types)), sorted(text_rows(ctx, relation), key=repr)))
        ctx.con.close()
    assert found[0] == found[1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(values, values), max_size=12))
def test_what_is_written_as_csv_is_read_back(rows: list[tuple[str | None, str | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ctx = Context(Path(folder))
        first, second = [row[0] for row in rows], [row[1] for row in rows]
        columns_sql = "unnest(?::VARCHAR[]) AS a, unnest(?::VARCHAR[]) AS b"
        ctx.con.execute(f"CREATE TABLE t AS SELECT {columns_sql}", [first, second]).fetchall()
        written = write(ctx, "filesystem.csv_writer", "FROM t", path="out.csv")
        back = read(ctx, "filesystem.csv_extractor", path="out.csv", all_varchar=True)
        assert written.rows == len(rows)
        assert text_rows(ctx, back.rows) == rows
        assert set(types_of(back)) == {"a", "b"}
        ctx.con.close()


def csv_text(rows: list[tuple[str | None, str | None]]) -> str:
    """Every value quoted, NULL as nothing."""
    out = io.StringIO()
    out.write("a,b\n")
    for row in rows:
        out.write(",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in row) + "\n")
    return out.getvalue()
