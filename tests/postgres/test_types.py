"""The tables of types in ``docs/postgres.md`` are true: each value goes from PostgreSQL to Parquet and back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.postgres.server import Database, extract, extracted, texts, write

PAGE = (Path(__file__).parents[2] / "docs" / "postgres.md").read_text("utf-8")


def table(header: str) -> list[list[str]]:
    rows = PAGE.split(header)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


WHOLE = [
    (re.findall(r"`(.+?)`", type_)[0], comes_as.strip("`"), tuple(re.findall(r"`(.+?)`", values)))
    for type_, comes_as, values in table("| PostgreSQL | comes as | values that are tested |")
]
REFUSED = [tuple(cell.strip("` ") for cell in row) for row in table("| PostgreSQL | value | refused, write |")]
MADE = [
    (source.strip("` "), target.strip("` "))
    for sources, targets in table("| rows | column |")[:-1]
    for source, target in zip(sources.split(", "), targets.split(", "), strict=True)
]


@pytest.fixture
def typed(database: Database) -> Database:
    database.sql(
        "CREATE TYPE mood AS ENUM ('ok', 'sad')",
        "CREATE DOMAIN price AS numeric(10,2)",
        "CREATE TYPE pair AS (a integer, b text)",
    )
    return database


def test_every_type_comes_through_equal(typed: Database, tmp_path: Path) -> None:
    columns = [f"c{place}" for place in range(len(WHOLE))]
    declared = ", ".join(f"{column} {type_}" for column, (type_, _, _) in zip(columns, WHOLE, strict=True))
    typed.sql(f"CREATE TABLE here (place integer, {declared})", "CREATE TABLE there (LIKE here)")
    for place in range(max(len(values) for _, _, values in WHOLE)):
        row = [values[place] if place < len(values) else "NULL" for _, _, values in WHOLE]
        typed.sql(f"INSERT INTO here VALUES ({place}, {', '.join(row)})")
    read = extracted(tmp_path, typed, table="here")
    # Parquet has no interval of that width, so its writer makes it text.
    expected = ["VARCHAR" if comes_as == "INTERVAL" else comes_as for _, comes_as, _ in WHOLE]
    assert list(map(str, read.types)) == ["INTEGER", *expected]
    assert extracted(tmp_path, typed, query="SELECT * FROM here;").types == read.types
    outcome = write(tmp_path, typed, f"FROM read_parquet('{tmp_path}/rows.parquet')", table="there")
    assert outcome.status == "success", outcome.error
    for column, (type_, _, _) in zip(columns, WHOLE, strict=True):
        there, here = (typed.ask(f"SELECT {column}::text FROM {table} ORDER BY place") for table in ("there", "here"))
        assert there == here, type_


def test_what_would_be_altered_is_refused_with_the_cast(typed: Database, tmp_path: Path) -> None:
    for place, (type_, value, cast) in enumerate(REFUSED):
        typed.sql(f"CREATE TABLE t{place} (v {type_})", f"INSERT INTO t{place} VALUES ({value})")
        outcome = extract(tmp_path, typed, table=f"t{place}")
        assert outcome.error is not None, type_
        assert (outcome.error.step, outcome.error.code[:13]) == ("read", "extract.unfit")
        assert "the column v " in outcome.error.message
        assert cast.removeprefix("v") in outcome.error.hint
    casts = ", ".join(f"(SELECT {cast} FROM t{place}) AS v{place}" for place, (_, _, cast) in enumerate(REFUSED))
    as_text = ", ".join(f"v{place}::text" for place in range(len(REFUSED)))
    there = texts(extracted(tmp_path, typed, query=f"SELECT {casts}"))
    assert there == typed.ask(f"SELECT {as_text} FROM (SELECT {casts}) AS q")


@pytest.mark.parametrize("type_", ["date", "timestamp", "timestamptz"])
def test_infinity_is_duckdbs_infinity(database: Database, tmp_path: Path, type_: str) -> None:
    query = f"SELECT 'infinity'::{type_} AS a, '-infinity'::{type_} AS b, NULL::{type_} AS c"
    assert texts(extracted(tmp_path, database, query=query)) == [("infinity", "-infinity", None)]
    database.sql(f"CREATE TABLE t (a {type_}, b {type_}, c {type_})")
    rows = f"read_parquet('{tmp_path}/rows.parquet')"
    refused = write(tmp_path, database, f"FROM {rows}", table="t")
    assert refused.error is not None
    assert "the column a holds infinity" in refused.error.message
    as_text = f"SELECT a::VARCHAR AS a, b::VARCHAR AS b, c FROM {rows}"
    assert write(tmp_path, database, as_text, table="t").status == "success"
    assert database.ask("SELECT a::text, b::text, c::text FROM t") == [("infinity", "-infinity", None)]


def test_a_new_table_has_the_documented_columns(database: Database, tmp_path: Path) -> None:
    concrete = {"DECIMAL(p,s)": "DECIMAL(7,3)", "ENUM": "ENUM('a')"}
    rows = ", ".join(f"NULL::{concrete.get(type_, type_)} AS c{place}" for place, (type_, _) in enumerate(MADE))
    outcome = write(tmp_path, database, f"SELECT {rows}, [1] AS list", table="made", create_if_missing=True)
    assert outcome.status == "success", outcome.error
    expected = ", ".join(f"c{place} {type_.replace('p,s', '7,3')}" for place, (_, type_) in enumerate(MADE))
    database.sql(f"CREATE TABLE expected ({expected}, list integer[])")
    made, wanted = (
        database.ask(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
            f" WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        )
        for table in ("made", "expected")
    )
    assert made == wanted
