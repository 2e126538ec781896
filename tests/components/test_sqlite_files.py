"""``sqlite.extractor`` and ``sqlite.writer``: values keep their storage class, or are refused with what to write."""

from __future__ import annotations

import math
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osiris.components import sqlite_file
from osiris.errors import OsirisError
from osiris.runner.results import ExecutionOutcome
from tests.cli.shop import new_shop, running, step_started
from tests.components.reading import Context, read, types_of, write
from tests.docs.pages import ROOT
from tests.runner.pipelines import Step, rows_of, run, select, write_csv

ROWS_BEFORE = 2000
"""More than one batch of the driver, which takes its types from the first."""


def make(root: Path, *statements: str, rows: Sequence[tuple[Any, ...]] = ()) -> Path:
    """The database ``shop.db``; the last statement is executed for each of ``rows``."""
    file = root / "shop.db"
    with closing(sqlite3.connect(file)) as con:
        for statement in statements[:-1] if rows else statements:
            con.execute(statement)
        if rows:
            con.executemany(statements[-1], rows)
        con.commit()
    return file


def ask(root: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(root / "shop.db")) as con:
        return con.execute(sql).fetchall()


def context(root: Path) -> Context:
    made = Context(root)
    made.connection = {"path": "shop.db"}
    return made


def column(root: Path, declared: str, *values: Any) -> tuple[str, list[Any]]:
    """The type and the values of a column that was declared so, behind two thousand NULLs."""
    (root / "shop.db").unlink(missing_ok=True)
    make(root, f"CREATE TABLE t (v {declared})", "INSERT INTO t VALUES (?)", rows=[(None,)] * ROWS_BEFORE)
    make(root, "INSERT INTO t VALUES (?)", rows=[(value,) for value in values]) if values else None
    produced = read(context(root), "sqlite.extractor", table="t")
    assert produced.row_count == ROWS_BEFORE + len(values)
    return types_of(produced)["v"], [value for (value,) in produced.rows.fetchall()[ROWS_BEFORE:]]


def put(root: Path, query: str, **config: Any) -> int:
    return write(context(root), "sqlite.writer", query, **{"table": "t", **config}).rows


def steps(root: Path, *of: Step) -> ExecutionOutcome:
    return run(root, *of, connections={step.id: {"path": "shop.db"} for step in of})


def extractor(id: str, **config: Any) -> Step:  # noqa: A002
    return Step(id=id, component="sqlite.extractor", config=config)


def writer(id: str, *reads: str, **config: Any) -> Step:  # noqa: A002
    return Step(id=id, component="sqlite.writer", config={"table": "t", **config}, reads=reads)


@pytest.mark.parametrize(
    ("declared", "values", "type_"),
    [
        ("INTEGER", [2**63 - 1, -(2**63), 0, None], "BIGINT"),
        ("", [1, None], "BIGINT"),
        ("BOOLEAN", [1, 0, None], "BOOLEAN"),
        ("BOOLEAN", [1, 2], "BIGINT"),
        ("REAL", [0.1 + 0.2, math.inf, -1.7976931348623157e308, 5e-324, 1.0], "DOUBLE"),
        ("DECIMAL(10,2)", [1.5, 2, None], "DOUBLE"),
        ("DECIMAL(10,2)", [1, 2], "DOUBLE"),
        ("NUMERIC", [2**53 + 1], "BIGINT"),
        ("TEXT", ["00501", "", "a\0b", "1.10", "é\U0001f600", None], "VARCHAR"),
        ("DATE", ["2020-01-01", "not a date"], "VARCHAR"),
        ("DATETIME", [1577836800], "BIGINT"),
        ("BLOB", [b"\x00\xff", b"", None], "BLOB"),
        ("TEXT", [b"raw"], "BLOB"),
        ("INTEGER", ["only", "text"], "VARCHAR"),
    ],
)
def test_a_column_has_the_type_that_holds_all_its_values(
    tmp_path: Path, declared: str, values: list[Any], type_: str
) -> None:
    assert column(tmp_path, declared, *values) == (type_, values)


@pytest.mark.parametrize(
    ("declared", "type_"),
    [
        ("INT", "BIGINT"),
        ("REAL", "DOUBLE"),
        ("VARCHAR(5)", "VARCHAR"),
        ("BLOB", "BLOB"),
        ("BOOL", "BOOLEAN"),
        ("", "VARCHAR"),
    ],
)
def test_a_column_without_values_has_the_type_that_it_was_declared(tmp_path: Path, declared: str, type_: str) -> None:
    assert column(tmp_path, declared) == (type_, [])


@pytest.mark.parametrize("values", [[1, ""], ["a", b"a"], [1, b""], [2**53 + 1, 0.5], [1, 1.5, "x"]])
def test_a_column_of_several_storage_classes_is_refused_with_what_to_write(tmp_path: Path, values: list[Any]) -> None:
    with pytest.raises(OsirisError) as raised:
        column(tmp_path, "", *values)
    assert (raised.value.code, 'CAST("v" AS TEXT)' in raised.value.hint) == ("extract.mixed_types", True)


def test_columns_in_more_combinations_than_can_be_listed_are_told_one_by_one(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(10)]
    rows = [tuple((number if number >> place & 1 else None) for place in range(10)) for number in range(1024)]
    make(tmp_path, f"CREATE TABLE t ({', '.join(names)})", f"INSERT INTO t VALUES ({', '.join('?' * 10)})", rows=rows)
    produced = read(context(tmp_path), "sqlite.extractor", table="t")
    assert set(types_of(produced).values()) == {"BIGINT"}
    assert produced.rows.fetchall() == rows


VALUES = {
    "INTEGER": st.integers(-(2**63), 2**63 - 1),
    "REAL": st.floats(allow_nan=False),
    "TEXT": st.text(st.characters(exclude_categories=["Cs"])),
    "BLOB": st.binary(),
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(VALUES)), st.data())
def test_whatever_is_read_and_written_again_is_the_same(tmp_path: Path, declared: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), VALUES[declared]), min_size=1))
    (tmp_path / "shop.db").unlink(missing_ok=True)
    make(tmp_path, f"CREATE TABLE t (v {declared})", f"CREATE TABLE u (v {declared})")
    make(tmp_path, "INSERT INTO t VALUES (?)", rows=[(value,) for value in values])
    mine = context(tmp_path)
    read(mine, "sqlite.extractor", table="t").rows.create_view("read", replace=True)
    assert write(mine, "sqlite.writer", "FROM read", table="u").rows == len(values)
    assert ask(tmp_path, "SELECT v, typeof(v) FROM u") == ask(tmp_path, "SELECT v, typeof(v) FROM t")


def test_a_query_is_sqlites_own_and_one_select(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER, day DATE)", "INSERT INTO t VALUES (?, ?)", rows=[(1, "x"), (2, "y")])
    query = "SELECT group_concat(day, '+') AS days, id IN (1) AS first FROM t GROUP BY id ORDER BY id; "
    assert read(context(tmp_path), "sqlite.extractor", query=query).rows.fetchall() == [("x", 1), ("y", 0)]
    for wrong in ("DROP TABLE t", "SELECT 1; DELETE FROM t", "PRAGMA user_version", "SELECT nothing FROM t", ""):
        with pytest.raises((OsirisError, ValueError)):
            read(context(tmp_path), "sqlite.extractor", query=wrong)
    assert ask(tmp_path, "SELECT count(*) FROM t") == [(2,)]


def test_what_is_missing_is_told_with_what_there_is(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE orders (id INTEGER, odd GENERATED ALWAYS AS (id % 2))")
    assert read(context(tmp_path), "sqlite.extractor", table="orders", columns=["odd"]).rows.columns == ["odd"]
    for config, code, hint in (
        ({"table": "order"}, "extract.missing_table", "orders"),
        ({"table": "orders", "columns": ["Id"]}, "extract.missing_column", "id"),
    ):
        with pytest.raises(OsirisError) as raised:
            read(context(tmp_path), "sqlite.extractor", **config)
        assert (raised.value.code, hint in raised.value.hint) == (code, True)


def test_text_that_is_no_utf8_is_an_error_of_its_step(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t AS SELECT CAST(x'ff41' AS TEXT) AS v")
    done = steps(tmp_path, extractor("r", table="t"), write_csv("w", "out.csv", "r"))
    assert done.error is not None
    assert (done.error.step, done.error.code.split(".")[0]) == ("r", "extract")


def test_modes_append_replace_and_upsert(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER, v TEXT DEFAULT 'none', w TEXT)")
    assert put(tmp_path, "SELECT 1 AS id") == 1
    assert put(tmp_path, "SELECT 'new' AS v, range AS id FROM range(2)") == 2
    assert ask(tmp_path, "SELECT * FROM t ORDER BY id, v") == [(0, "new", None), (1, "new", None), (1, "none", None)]
    make(tmp_path, "UPDATE t SET w = 'kept'")
    upsert = {"write_mode": "upsert", "primary_key": ["id"]}
    assert put(tmp_path, "SELECT * FROM (VALUES (0, NULL), (7, 'seven')) AS r(id, v)", **upsert) == 2
    rows = [(0, None, "kept"), (1, "new", "kept"), (1, "none", "kept"), (7, "seven", None)]
    assert ask(tmp_path, "SELECT * FROM t ORDER BY id, v") == rows
    assert put(tmp_path, "SELECT 8 AS id", **upsert) == 1
    assert put(tmp_path, "SELECT 9 AS id", write_mode="replace") == 1
    assert ask(tmp_path, "SELECT * FROM t") == [(9, "none", None)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT NULL::INTEGER AS id, 'x' AS v", "write.null_key"),
        ("SELECT 1 AS id, x AS v FROM (VALUES ('a'), ('b')) AS r(x)", "write.doubled_key"),
        ("SELECT 'x' AS v", "write.missing_key_column"),
        ("SELECT 1 AS id, 'x' AS V", "write.missing_column"),
        ("SELECT 1 AS id, 5 AS v", "write.unfit_type"),
        ("SELECT 1 AS id, [1] AS v", "write.unfit_type"),
        ("SELECT 2 AS id, NULL::VARCHAR AS v", "write.failed"),
    ],
)
def test_rows_that_cannot_be_upserted_leave_the_file_as_it_was(tmp_path: Path, query: str, code: str) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)", "INSERT INTO t VALUES (1, 'old')")
    with pytest.raises(OsirisError) as raised:
        put(tmp_path, query, write_mode="upsert", primary_key=["id"])
    assert raised.value.code == code
    assert ask(tmp_path, "SELECT * FROM t") == [(1, "old")]


@pytest.mark.parametrize(
    ("declared", "value", "code"),
    [
        ("NUMERIC", "'1.10'", "write.unfit_value"),
        ("INTEGER", "' 00501 '", "write.unfit_value"),
        ("REAL", "'1e5'", "write.unfit_value"),
        ("REAL", "9007199254740993", "write.unfit_value"),
        ("REAL", "'nan'::DOUBLE", "write.unfit_value"),
        ("NUMERIC", "1.10", "write.unfit_type"),
        ("INTEGER", "1.0::DOUBLE", "write.unfit_type"),
        ("TEXT", "5", "write.unfit_type"),
        ("TEXT", "0.5::DOUBLE", "write.unfit_type"),
    ],
)
def test_a_value_that_the_column_would_change_is_refused(tmp_path: Path, declared: str, value: str, code: str) -> None:
    make(tmp_path, f"CREATE TABLE t (v {declared})")
    done = steps(tmp_path, select("q", f"SELECT {value} AS v"), writer("w", "q"))
    assert done.error is not None
    assert (done.error.step, done.error.code) == ("w", code)
    assert ask(tmp_path, "SELECT count(*) FROM t") == [(0,)]


def test_a_missing_table_or_file_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(OsirisError) as raised:
        put(tmp_path, "SELECT 1 AS a")
    assert raised.value.code == "connection.database_missing"
    assert put(tmp_path, "SELECT 1 AS a", create_if_missing=True) == 1
    with pytest.raises(OsirisError) as raised:
        put(tmp_path, "SELECT 1 AS a", table="tt")
    assert (raised.value.code, "Did you mean t?" in raised.value.hint) == ("write.missing_table", True)


def test_a_file_is_read_changed_and_written_in_one_run(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (?)", rows=[(n,) for n in range(1000)])
    even = select("even", "FROM df_read WHERE n % 2 = 0", "read")
    done = steps(tmp_path, extractor("read", table="t"), even, writer("w", "even", write_mode="replace"))
    assert done.error is None, done.error
    assert rows_of(done) == {"read": (None, 1000), "even": (1000, 500), "w": (500, 500)}
    assert ask(tmp_path, "SELECT count(*), max(n) FROM t") == [(500, 998)]


def test_a_file_that_another_program_keeps_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_PATIENCE_MS", 50)
    file = make(tmp_path, "CREATE TABLE t (id INTEGER)")
    hold = (
        f"import sqlite3, sys; c = sqlite3.connect({str(file)!r}, isolation_level=None); c.execute('BEGIN EXCLUSIVE')"
    )
    command = [sys.executable, "-c", f"{hold}; print(1, flush=True); sys.stdin.read()"]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        for done in (
            steps(tmp_path, extractor("r", table="t"), write_csv("w", "out.csv", "r")),
            steps(tmp_path, select("q", "SELECT 1 AS id"), writer("w", "q")),
        ):
            assert done.error is not None
            assert done.error.code == "connection.locked"
    finally:
        other.communicate()


PIPELINE = """\
oml_version: "0.1.0"
name: fill
steps:
  - id: seed
    component: filesystem.csv_extractor
    mode: read
    config: {path: data/orders.csv}
  - id: rows
    component: duckdb.processor
    mode: transform
    config: {query: "SELECT md5(concat(zip, range)) AS v FROM df_seed, range(1000000)"}
  - id: write
    component: sqlite.writer
    mode: write
    config: {table: t, write_mode: replace}
"""


def test_a_run_that_is_killed_in_the_middle_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    file = make(tmp_path, "CREATE TABLE t AS SELECT 'old' AS v")
    shop.write("osiris_connections.yaml", "connections: {sqlite: {default: {path: shop.db}}}\n")
    shop.write("pipelines/fill.yaml", PIPELINE)

    def is_in_the_transaction() -> bool:
        return has_begun() and file.stat().st_size > 5_000_000

    has_begun = step_started(shop, "write")
    with running(shop, "run", "fill", reached=is_in_the_transaction) as process:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert file.with_name("shop.db-journal").exists()
    assert ask(tmp_path, "SELECT * FROM t") == [("old",)]
    assert ask(tmp_path, "PRAGMA integrity_check") == [("ok",)]


ENDLESS = """\
oml_version: "0.1.0"
name: endless
steps:
  - id: read
    component: sqlite.extractor
    mode: read
    config: {query: "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS n FROM r"}
  - id: write
    component: filesystem.csv_writer
    mode: write
    config: {path: out/n.csv}
"""


def test_a_run_is_cancelled_while_sqlite_computes(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    make(tmp_path, "CREATE TABLE t (a)")
    shop.write("osiris_connections.yaml", "connections: {sqlite: {default: {path: shop.db}}}\n")
    shop.write("pipelines/endless.yaml", ENDLESS)
    with running(shop, "run", "endless", reached=step_started(shop, "read")) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert [record["status"] for record in shop.runs()] == ["cancelled"]


def _type_table() -> list[tuple[str, str, str, str]]:
    rows = re.findall(
        r"^\| `(.+?)` \| `(.+?)` \| `(\w+)` \| (.+?) \|$", (ROOT / "docs/sqlite.md").read_text("utf-8"), re.M
    )
    return [(type_, value, declared, back.strip("`")) for type_, value, declared, back in rows]


@pytest.mark.parametrize(("type_", "value", "declared", "back"), _type_table(), ids=lambda text: text[:30])
def test_a_value_of_each_type_comes_back_as_the_page_says(
    tmp_path: Path, type_: str, value: str, declared: str, back: str
) -> None:
    expression = f"({value})::{type_}"
    put(tmp_path, f"SELECT {expression} AS v UNION ALL SELECT NULL", create_if_missing=True)
    assert f'"v" {declared})' in ask(tmp_path, "SELECT sql FROM sqlite_master")[0][0]
    mine = context(tmp_path)
    produced = read(mine, "sqlite.extractor", table="t")
    produced.rows.create_view("read", replace=True)
    assert types_of(produced)["v"] == ("VARCHAR" if back.startswith("CAST") else back)
    term = back if back.startswith("CAST") else f"v::{type_}"
    sql = f"SELECT count(*) FROM read WHERE {term} IS NOT DISTINCT FROM {expression} OR v IS NULL"
    assert mine.con.execute(sql).fetchall() == [(2,)]


def test_a_type_that_sqlite_cannot_hold_is_refused_with_the_cast_to_write(tmp_path: Path) -> None:
    for value in ("[1, 2]", "{'a': 1}", "MAP {'a': 1}"):
        with pytest.raises(OsirisError) as raised:
            put(tmp_path, f"SELECT {value} AS v", create_if_missing=True)
        cast = raised.value.hint.removeprefix("Write ").removesuffix(" in a query before.")
        put(tmp_path, f"SELECT {cast} FROM (SELECT {value} AS v)", create_if_missing=True)
    assert [value for (value,) in ask(tmp_path, "SELECT v FROM t")] == ["[1,2]", '{"a":1}', '{"a":1}']


def test_the_family_lists_tables_and_tells_what_is_no_database(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    shop.write("osiris_connections.yaml", "connections: {sqlite: {shop: {path: shop.db}, text: {path: osiris.yaml}}}\n")
    make(
        tmp_path,
        "CREATE TABLE t (a INTEGER NOT NULL, b, PRIMARY KEY (b, a)) WITHOUT ROWID",
        "CREATE VIEW v AS SELECT 1 AS n",
    )
    t, v = shop.run("discover", "@sqlite.shop", "--json").json["tables"]
    assert (t["name"], t["kind"], t["primary_key"], v["name"], v["kind"]) == ("t", "table", ["b", "a"], "v", "view")
    assert t["columns"][0] == {"name": "a", "type": "INTEGER", "nullable": False}
    done = shop.run("connections", "doctor", "--json", check=2).json["connections"]
    assert [(each["status"], each["checks"][-1]["code"]) for each in done] == [
        ("ok", ""),
        ("failed", "connection.unreadable"),
    ]
    step = shop.run("discover", "@sqlite.shop", "t", "--oml").out
    write = "  - {id: w, component: filesystem.csv_writer, mode: write, config: {path: out/t.csv}}\n"
    shop.write("pipelines/p.yaml", f'oml_version: "0.1.0"\nname: p\nsteps:\n{step}{write}')
    shop.run("run", "p")
    assert shop.read("out/t.csv") == b"a,b\n"


def test_a_missing_driver_is_an_error_that_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "CREATE TABLE t (a)")
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite", None)
    with pytest.raises(OsirisError) as raised:
        read(context(tmp_path), "sqlite.extractor", table="t")
    assert (raised.value.code, "osiris[sqlite]" in raised.value.hint) == ("connection.extra_missing", True)


def test_duckdb_says_that_a_sqlite_file_is_one(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (a)")
    with pytest.raises(OsirisError, match="DuckDB") as raised:
        read(context(tmp_path), "duckdb.extractor", table="t")
    assert "sqlite" in raised.value.hint
