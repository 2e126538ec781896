"""``duckdb.extractor`` and ``duckdb.writer``: a DuckDB file read in place, and written in one transaction."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from osiris.components.base import quote_identifier
from osiris.errors import OsirisError
from osiris.runner.results import ExecutionOutcome
from tests.cli.shop import new_shop, running, step_started
from tests.components.reading import Context, read, write
from tests.docs.pages import ROOT
from tests.runner.pipelines import Step, rows_of, run, select, write_csv

ROWS = "CREATE TABLE orders AS SELECT range AS id, 'name ' || range AS name FROM range(1000)"
KEYED = "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR DEFAULT 'none', n DECIMAL(10,2))"


def make(root: Path, sql: str, name: str = "shop.duckdb") -> Path:
    with duckdb.connect(str(root / name)) as con:
        con.execute(sql)
    return root / name


def ask(root: Path, sql: str, name: str = "shop.duckdb") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(root / name), read_only=True) as con:
        return con.execute(sql).fetchall()


def context(root: Path, name: str = "shop.duckdb") -> Context:
    made = Context(root)
    made.connection = {"path": name}
    return made


def put(root: Path, query: str, **config: Any) -> int:
    mine = context(root)
    with mine.con:
        return write(mine, "duckdb.writer", query, **{"table": "t", **config}).rows


def steps(root: Path, *of: Step, **files: str) -> ExecutionOutcome:
    """Run for real; the keywords say which file a step's connection leads to, ``shop.duckdb`` if nothing is said."""
    paths = {step.id: {"path": files.get(step.id, "shop.duckdb")} for step in of}
    outcome = run(root, *of, connections=paths)
    for thread in threading.enumerate():  # the run's instance, which has the file open, is closed behind its back
        if thread.name == "osiris-database":
            thread.join()
    return outcome


def extractor(id: str, **config: Any) -> Step:  # noqa: A002
    return Step(id=id, component="duckdb.extractor", config=config)


def writer(id: str, *reads: str, **config: Any) -> Step:  # noqa: A002
    return Step(id=id, component="duckdb.writer", config={"table": "t", **config}, reads=reads)


def test_a_table_gives_all_its_rows_or_the_columns_that_are_named(tmp_path: Path) -> None:
    make(tmp_path, ROWS)
    produced = read(context(tmp_path), "duckdb.extractor", table="orders", columns=["name", "id"])
    assert (produced.rows.columns, produced.row_count) == (["name", "id"], 1000)
    assert produced.rows.fetchall()[7] == ("name 7", 7)


def test_the_file_is_only_read_so_that_others_may_read_it_too(tmp_path: Path) -> None:
    file = make(tmp_path, ROWS)
    before = file.read_bytes()
    mine = context(tmp_path)
    read(mine, "duckdb.extractor", table="orders")
    other = f"import duckdb; print(duckdb.connect({str(file)!r}, read_only=True).execute('FROM orders').fetchall()[1])"
    assert "name 1" in subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True).stdout
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        mine.con.execute(f"DROP TABLE {quote_identifier(read_only_name(mine))}.main.orders")
    assert file.read_bytes() == before


def read_only_name(mine: Context) -> str:
    [(name,)] = mine.con.execute("SELECT database_name FROM duckdb_databases() WHERE readonly").fetchall()
    return str(name)


def test_filters_and_projections_of_later_steps_reach_the_scan(tmp_path: Path) -> None:
    make(tmp_path, ROWS)
    mine = context(tmp_path)
    read(mine, "duckdb.extractor", table="orders").rows.create_view("rows")
    [(_, plan)] = mine.con.execute("EXPLAIN SELECT name FROM rows WHERE id = 3").fetchall()
    assert re.search(r"id\s*=\s*3", plan)
    assert "FILTER " not in plan


def test_a_query_names_the_tables_and_views_of_its_schema_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, f"{ROWS}; CREATE SCHEMA s; CREATE TABLE s.orders AS SELECT 1 AS n; CREATE VIEW odd AS FROM orders")
    mine = context(tmp_path)
    mine.con.execute("CREATE TABLE orders AS SELECT 'not this one' AS id; CREATE TABLE mine AS SELECT 1 AS x")

    def rows(query: str, **config: Any) -> list[tuple[Any, ...]]:
        produced = read(mine, "duckdb.extractor", query=query, **config)
        assert produced.row_count is None
        return list(produced.rows.fetchall())

    assert rows("SELECT o.id FROM Orders AS o JOIN odd USING (id) WHERE id = 5; -- the end") == [(5,)]
    assert rows("WITH odd AS (SELECT 1 AS a) SELECT a, (SELECT count(*) FROM orders) FROM odd") == [(1, 1000)]
    assert rows("FROM orders", schema="s") == [(1,)]


def test_a_query_that_is_no_single_select_is_refused(tmp_path: Path) -> None:
    make(tmp_path, ROWS)
    for query in ("DROP TABLE orders", "SELECT 1; SELECT 2", "ATTACH 'x' AS y", "", " "):
        with pytest.raises((OsirisError, ValueError)):
            read(context(tmp_path), "duckdb.extractor", query=query)
    assert ask(tmp_path, "SELECT count(*) FROM orders") == [(1000,)]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "query or table is missing"),
        ({"query": "SELECT 1", "table": "t"}, "give either query or table"),
        ({"query": "SELECT 1", "columns": ["a"]}, "columns goes with table"),
        ({"table": "t", "columns": ["a", "a"]}, "columns names a twice"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(tmp_path: Path, config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read(context(tmp_path), "duckdb.extractor", **config)


def test_what_is_missing_is_told_with_what_there_is(tmp_path: Path) -> None:
    make(tmp_path, ROWS)
    for config, code, hint in (
        ({"table": "order"}, "extract.missing_table", "orders"),
        ({"table": "orders", "schema": "s"}, "extract.missing_table", "osiris discover"),
        ({"table": "orders", "columns": ["id", "Name"]}, "extract.missing_column", "name"),
    ):
        with pytest.raises(OsirisError) as raised:
            read(context(tmp_path), "duckdb.extractor", **config)
        assert raised.value.code == code
        assert hint in raised.value.hint
    with pytest.raises(OsirisError) as raised:
        read(context(tmp_path, "shp.duckdb"), "duckdb.extractor", table="orders")
    assert (raised.value.code, "shop.duckdb" in raised.value.hint) == ("connection.database_missing", True)


def test_row_counts_are_exact_whatever_later_steps_take_of_a_table(tmp_path: Path) -> None:
    make(tmp_path, ROWS)
    few = select("few", "SELECT * FROM df_read WHERE id >= 990 LIMIT 5", "read")
    done = steps(tmp_path, extractor("read", table="orders"), few, write_csv("w", "out.csv", "few"))
    assert rows_of(done) == {"read": (None, 1000), "few": (1000, 5), "w": (5, 5)}


def test_append_adds_rows_and_leaves_other_columns_their_defaults(tmp_path: Path) -> None:
    make(tmp_path, f"{KEYED}; INSERT INTO t VALUES (1, 'old', 0.5)")
    assert put(tmp_path, "SELECT 1.25 AS n, 2::BIGINT AS id") == 1
    assert ask(tmp_path, "SELECT id, v, n::VARCHAR FROM t ORDER BY id") == [(1, "old", "0.50"), (2, "none", "1.25")]


def test_replace_keeps_the_table_and_swaps_its_rows(tmp_path: Path) -> None:
    make(tmp_path, f"{KEYED}; INSERT INTO t VALUES (1, 'old', 0.5), (2, 'old', 0.5)")
    assert put(tmp_path, "SELECT 1 AS id, 'new' AS v", write_mode="replace") == 1
    assert ask(tmp_path, "SELECT id, v, n FROM t") == [(1, "new", None)]
    with pytest.raises(duckdb.ConstraintException):
        put(tmp_path, "SELECT 1 AS id")


def test_upsert_changes_the_rows_with_a_known_key_and_adds_the_others(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (a INTEGER, b VARCHAR, v VARCHAR, w VARCHAR DEFAULT 'kept')")
    make(tmp_path, "INSERT INTO t VALUES (1, 'x', 'old', 'mine'), (1, 'y', 'old', 'mine')")
    query = "SELECT * FROM (VALUES (1, 'y', NULL), (2, 'y', 'new')) AS r(a, b, v)"
    assert put(tmp_path, query, write_mode="upsert", primary_key=["a", "b"]) == 2
    rows = [(1, "x", "old", "mine"), (1, "y", None, "mine"), (2, "y", "new", "kept")]
    assert ask(tmp_path, "FROM t ORDER BY a, b") == rows
    assert put(tmp_path, "SELECT 3 AS a", write_mode="upsert", primary_key=["a"]) == 1
    assert ask(tmp_path, "SELECT count(*) FROM t") == [(4,)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT NULL::INTEGER AS id, 'x' AS v", "write.null_key"),
        ("SELECT 1 AS id, x AS v FROM (VALUES ('a'), ('b')) AS r(x)", "write.doubled_key"),
        ("SELECT 'x' AS v", "write.missing_key_column"),
        ("SELECT 1 AS id, 'x' AS V", "write.missing_column"),
        ("SELECT 1 AS id, 5 AS v", "write.unfit_type"),
    ],
)
def test_rows_that_cannot_be_upserted_leave_the_file_as_it_was(tmp_path: Path, query: str, code: str) -> None:
    make(tmp_path, f"{KEYED}; INSERT INTO t VALUES (1, 'old', 0.5)")
    with pytest.raises(OsirisError) as raised:
        put(tmp_path, query, write_mode="upsert", primary_key=["id"])
    assert raised.value.code == code
    assert ask(tmp_path, "SELECT id, v FROM t") == [(1, "old")]


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("1.5", "INTEGER"),
        ("3000000000", "INTEGER"),
        ("9007199254740993", "DOUBLE"),
        ("0.1::DOUBLE", "FLOAT"),
        ("1.234", "DECIMAL(10,2)"),
        ("TIMESTAMP '2020-01-01 10:00:00'", "DATE"),
        ("TIMESTAMP_NS '2020-01-01 10:00:00.000000001'", "TIMESTAMP"),
        ("'sad'", "ENUM('happy')"),
    ],
)
def test_a_value_that_the_columns_type_would_change_is_refused(tmp_path: Path, value: str, type_: str) -> None:
    make(tmp_path, f"CREATE TABLE t (v {type_})")
    done = steps(tmp_path, select("q", f"SELECT {value} AS v"), writer("w", "q"))
    assert done.error is not None
    assert (done.error.step, done.error.code) == ("w", "write.unfit_value")
    assert ask(tmp_path, "SELECT count(*) FROM t") == [(0,)]


def test_values_that_fit_take_the_columns_type(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (a TINYINT, b DOUBLE, c DECIMAL(4,1), d DATE, e ENUM('x'), f TIMESTAMP_NS, g UUID)")
    uuid = "'0197a3f0-0000-7000-8000-000000000001'"
    values = f"7 AS a, 0.1 AS b, 2.50 AS c, '2020-01-01'::TIMESTAMP AS d, 'x' AS e, NULL::TIMESTAMP AS f, {uuid} AS g"
    put(tmp_path, f"SELECT {values}")
    [row] = ask(tmp_path, "SELECT a, b, c::VARCHAR, d::VARCHAR, e, f, g::VARCHAR FROM t")
    assert row == (7, 0.1, "2.5", "2020-01-01", "x", None, uuid.strip("'"))


def test_a_missing_table_or_file_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(OsirisError) as raised:
        put(tmp_path, "SELECT 1 AS a")
    assert raised.value.code == "connection.database_missing"
    assert put(tmp_path, "SELECT 1 AS a, NULL AS b", schema="new", create_if_missing=True) == 1
    assert ask(tmp_path, "FROM new.t") == [(1, None)]
    with pytest.raises(OsirisError) as raised:
        put(tmp_path, "SELECT 1 AS a", schema="new", table="tt")
    assert (raised.value.code, "Did you mean t?" in raised.value.hint) == ("write.missing_table", True)


def test_the_rows_stand_in_the_file_itself_when_the_step_is_done(tmp_path: Path) -> None:
    mine = context(tmp_path)
    write(mine, "duckdb.writer", "SELECT range AS a FROM range(100000)", table="t", create_if_missing=True)
    assert [path.name for path in tmp_path.iterdir()] == ["shop.duckdb"]


def test_a_file_is_read_changed_and_written_in_one_statement(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t AS SELECT range::BIGINT AS n FROM range(1000)")
    more = select("more", "SELECT n + 1000 AS n FROM df_read WHERE n % 2 = 0", "read")
    for mode, rows in (("append", 1500), ("replace", 1000)):
        done = steps(tmp_path, extractor("read", table="t"), more, writer("w", "more", write_mode=mode))
        assert done.error is None
        assert ask(tmp_path, "SELECT count(*) FROM t") == [(rows,)]


def test_steps_share_a_file_that_is_read_written_and_read_again(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 2 AS n; CREATE TABLE t (n INTEGER)")
    both = select("both", "FROM df_a UNION ALL FROM df_b", "a", "b")
    again = Step(id="again", component="duckdb.extractor", config={"table": "t"}, after=("w",))
    done = steps(
        tmp_path,
        extractor("a", table="a"),
        extractor("b", query="SELECT n FROM b"),
        both,
        writer("w", "both"),
        again,
        write_csv("out", "out.csv", "again"),
    )
    assert done.error is None, done.error
    assert sorted((tmp_path / "out.csv").read_text().split()) == ["1", "2", "n"]


def test_two_files_of_one_name_are_two_files(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        make(tmp_path / str(number), f"CREATE TABLE t AS SELECT {number} AS n")
    both = select("both", "FROM df_one UNION ALL FROM df_two ORDER BY n", "one", "two")
    reads = (extractor("one", query="FROM t"), extractor("two", query="FROM t"))
    steps(tmp_path, *reads, both, write_csv("w", "out.csv", "both"), one="1/shop.duckdb", two="2/shop.duckdb")
    assert (tmp_path / "out.csv").read_text() == "n\n1\n2\n"


def test_a_file_that_another_process_writes_is_refused_with_a_remedy(tmp_path: Path) -> None:
    file = make(tmp_path, ROWS)
    hold = f"import duckdb, sys; c = duckdb.connect({str(file)!r}); print(1, flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        for done in (
            steps(tmp_path, extractor("r", table="orders"), write_csv("w", "o.csv", "r")),
            steps(tmp_path, select("q", "SELECT 1 AS id"), writer("w", "q", table="orders")),
        ):
            assert done.error is not None
            assert done.error.code == "connection.locked"
            assert "another process" in done.error.message
    finally:
        other.communicate()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    for content, told in (
        (b"", "DuckDB"),
        (b"id,name\n1,x\n" * 1000, "DuckDB"),
        (b"SQLite format 3\0" * 100, "SQLite"),
    ):
        (tmp_path / "shop.duckdb").write_bytes(content)
        with pytest.raises(OsirisError) as raised:
            read(context(tmp_path), "duckdb.extractor", table="orders")
        assert raised.value.code == "connection.unreadable"
        assert told in raised.value.problem + raised.value.hint


PIPELINE = """\
oml_version: "0.1.0"
name: fill
steps:
  - id: rows
    component: duckdb.processor
    mode: transform
    needs: [seed]
    config: {query: "SELECT md5(concat(n, range)) AS v FROM df_seed, range(100000000000)"}
  - id: seed
    component: filesystem.csv_extractor
    mode: read
    config: {path: data/seed.csv}
  - id: write
    component: duckdb.writer
    mode: write
    needs: [rows]
    config: {table: t, write_mode: replace}
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_in_the_middle_leaves_the_table_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    shop = new_shop(tmp_path)
    file = make(shop.root, "CREATE TABLE t AS SELECT 'old' AS v")
    shop.write("osiris_connections.yaml", "connections: {duckdb: {default: {path: shop.duckdb}}}\n")
    shop.write("data/seed.csv", "n\n1\n")
    shop.write("pipelines/fill.yaml", PIPELINE)

    def is_filling() -> bool:
        return step_started_already() and file.stat().st_size > 3_000_000

    step_started_already = step_started(shop, "write")
    with running(shop, "run", "fill", reached=is_filling) as process:
        os.kill(process.pid, number)
        process.communicate()
    assert ask(shop.root, "FROM t") == [("old",)]
    shop.write("pipelines/fill.yaml", PIPELINE.replace("100000000000", "3").replace("replace", "append"))
    shop.run("run", "fill")
    assert ask(shop.root, "SELECT count(*) FROM t") == [(4,)]


def _type_table() -> list[tuple[str, str, str]]:
    rows = re.findall(
        r"^\| `(.+?)` \| `(.+?)` \| (.+?) \|$", (ROOT / "docs/duckdb.md").read_text("utf-8"), re.MULTILINE
    )
    return [(type_, value, back.strip("`")) for type_, value, back in rows]


@pytest.mark.parametrize(("type_", "value", "back"), _type_table(), ids=lambda text: text[:30])
def test_a_value_of_each_type_comes_back_equal_through_parquet_or_is_refused(
    tmp_path: Path, type_: str, value: str, back: str
) -> None:
    make(
        tmp_path,
        f"CREATE TABLE a (v {type_}); INSERT INTO a VALUES (({value})::{type_}), (NULL); CREATE TABLE b (v {type_})",
    )
    to_parquet = Step(id="p", component="filesystem.parquet_writer", config={"path": "v.parquet"}, reads=("a",))
    assert steps(tmp_path, extractor("a", table="a"), to_parquet).error is None
    from_parquet = Step(id="r", component="filesystem.parquet_extractor", config={"path": "v.parquet"})
    done = steps(tmp_path, from_parquet, writer("w", "r", table="b"))
    if back != "itself":
        assert done.error is not None
        assert done.error.code == "write.unfit_type"
        assert f'CAST("v" AS {back})' in done.error.hint
        cast = select("c", f"SELECT CAST(v AS {back}) AS v FROM df_r", "r")
        done = steps(tmp_path, from_parquet, cast, writer("w", "c", table="b"))
    assert done.error is None, done.error
    same = " AND ".join(f"a.v{cast} IS NOT DISTINCT FROM b.v{cast}" for cast in ("", "::VARCHAR"))
    assert ask(tmp_path, f"SELECT count(*) FROM a JOIN b ON {same}") == [(2,)]
