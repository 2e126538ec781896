"""The tables of types in docs/mysql.md, executed: what comes through, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mysql.server import Database
from tests.mysql.steps import extract, failure, load, read, refusal, write
from tests.runner.pipelines import run

PAGE = (Path(__file__).parents[2] / "docs" / "mysql.md").read_text("utf-8")


def table(header: str) -> list[list[str]]:
    """The cells under ``header``, without the backticks around them."""
    lines = PAGE.split(header)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


FAITHFUL = [(code(kind)[0], code(values), code(type_)[0]) for kind, values, type_ in table("| in the table | values |")]
REFUSED = [(code(kind)[0], code(value)[0], code(cast)[0]) for kind, value, cast in table("| in the table | value |")]
LENIENT = "SET SESSION sql_mode = ''"


@pytest.mark.parametrize(("kind", "values", "expected"), FAITHFUL, ids=[kind for kind, _, _ in FAITHFUL])
def test_a_value_comes_out_and_goes_back_as_it_was(
    tmp_path: Path, database: Database, kind: str, values: list[str], expected: str
) -> None:
    database.execute(
        f"CREATE TABLE t (id INT PRIMARY KEY, v {kind})",
        *(f"INSERT INTO t VALUES ({place}, {value})" for place, value in enumerate(values)),
        "CREATE TABLE u LIKE t",
    )
    out = extract(tmp_path, database, table="t")
    assert str(out.types[1]) == expected
    assert len(out) == len(values)
    outcome = run(
        tmp_path, read(table="t"), write("u"), connections={"read": database.values, "write": database.values}
    )
    assert outcome.status == "success", outcome.error
    shown = "v + 0e0" if kind in ("FLOAT", "DOUBLE") else "HEX(v)"
    before, after = (database.execute(f"SELECT id, {shown}, v IS NULL FROM {name} ORDER BY id") for name in "tu")
    assert after == before
    nulls = sum(value == "NULL" for value in values)
    assert database.execute("SELECT count(*) FROM u WHERE v IS NULL") == ((nulls,),)


@pytest.mark.parametrize(("kind", "value", "cast"), REFUSED, ids=[f"{kind} {value}" for kind, value, _ in REFUSED])
def test_a_value_that_no_type_holds_is_refused_with_the_cast_that_reads_it(
    tmp_path: Path, database: Database, kind: str, value: str, cast: str
) -> None:
    database.execute(LENIENT, f"CREATE TABLE t (v {kind})", f"INSERT INTO t VALUES ({value})")
    for config in ({"table": "t"}, {"query": "SELECT v FROM t"}):
        error = refusal(tmp_path, database, **config)
        assert error.step == "read"
        assert error.code in ("extract.unfit_type", "extract.unfit_value")
        assert "the column v:" in error.message
        assert cast.replace("v", "`v`", 1) in error.hint
    assert len(extract(tmp_path, database, query=f"SELECT {cast} AS v FROM t")) == 1


def test_a_float_in_a_query_is_refused_with_the_cast_that_reads_it(tmp_path: Path, database: Database) -> None:
    database.execute("CREATE TABLE t (v FLOAT)", "INSERT INTO t VALUES (16777215)")
    error = refusal(tmp_path, database, query="SELECT v FROM t")
    assert "CAST(`v` AS DOUBLE)" in error.hint
    assert extract(tmp_path, database, query="SELECT CAST(v AS DOUBLE) AS v FROM t").fetchall() == [(16777215.0,)]


SILENT = [
    ("INT", "1.5::DECIMAL(3,1)"),
    ("INT", "1.5::DOUBLE"),
    ("INT", "'007'"),
    ("DECIMAL(5,2)", "1.234::DECIMAL(6,3)"),
    ("DECIMAL(5,2)", "1.234::DOUBLE"),
    ("FLOAT", "0.1::DOUBLE"),
    ("FLOAT", "16777217"),
    ("DOUBLE", "9007199254740993"),
    ("DOUBLE", "0.12345678901234567890::DECIMAL(20,20)"),
    ("DATE", "TIMESTAMP '2024-01-01 12:00:00'"),
    ("DATETIME", "TIMESTAMP '2024-01-01 12:00:00.5'"),
    ("DATETIME(3)", "TIMESTAMP '2024-01-01 12:00:00.123456'"),
    ("TIMESTAMP NULL", "TIMESTAMPTZ '2024-01-01 12:00:00.5+00'"),
    ("TIME", "TIME '12:00:00.5'"),
    ("CHAR(9)", "'a  '"),
    ("VARCHAR(3)", "'abc  '"),
    ("ENUM('red')", "'RED'"),
    ("ENUM('red')", "1"),
    ("SET('x','y')", "'y,x'"),
    ("BINARY(4)", "'\\x01'::BLOB"),
    ("YEAR", "5"),
    ("YEAR", "'5'"),
    ("DATE", "20240101"),
    ("TINYINT NOT NULL", "NULL::TINYINT"),
    ("TIMESTAMP NOT NULL", "NULL::TIMESTAMP"),
    ("VARCHAR(9) CHARACTER SET latin1", "'😀'"),
    ("BIT(2)", "5"),
    ("DOUBLE", "'NaN'::DOUBLE"),
    ("DOUBLE", "'-Infinity'::DOUBLE"),
    ("DATE", "DATE '10000-01-01'"),
    ("INT UNSIGNED", "-1"),
    ("TIMESTAMP NULL", "TIMESTAMP '2050-01-01'"),
]


@pytest.mark.parametrize(("kind", "value"), SILENT, ids=[f"{value} into {kind}" for kind, value in SILENT])
def test_what_the_server_would_alter_is_refused(tmp_path: Path, database: Database, kind: str, value: str) -> None:
    database.execute(f"CREATE TABLE t (v {kind})")

    error = failure(load(tmp_path, database, f"SELECT {value} AS v"))
    assert error.code.startswith("write."), error
    assert error.code != "write.failed", error
    assert "v" in error.message
    assert error.hint
    assert database.execute("SELECT count(*) FROM t") == ((0,),)
