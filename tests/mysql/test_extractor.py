"""What an extractor reads, and what it refuses."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from osiris.components.mysql_extractor import Config
from osiris.runner.cancellation import Cancellation
from tests.mysql.server import Database
from tests.mysql.steps import extract, failure, read, refusal
from tests.runner.pipelines import Step, rows_of, run, write_csv

HOSTILE = ["a`b", "a.b", 'q"u', "x'; DROP TABLE t; --", "ünï 😀"[:3], "100%s %(a)s", "n" * 64, "select"]


def test_columns_are_those_of_the_config_in_its_order(tmp_path: Path, database: Database) -> None:
    database.execute("CREATE TABLE t (a INT, b TEXT, c INT)", "INSERT INTO t VALUES (1, 'x', 2)")
    out = extract(tmp_path, database, table="t", columns=["c", "b"])
    assert (out.columns, out.fetchall()) == (["c", "b"], [(2, "x")])


def test_a_table_of_another_database_is_read_by_its_schema(tmp_path: Path, database: Database) -> None:
    database.execute("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    elsewhere = msgspec.structs.replace(database, name="information_schema")
    assert extract(tmp_path, elsewhere, table="t", schema=database.name).fetchall() == [(1,)]


def test_a_result_without_rows_keeps_its_columns_and_types(tmp_path: Path, database: Database) -> None:
    out = extract(tmp_path, database, query="SELECT 1 AS a, 'x' AS b FROM DUAL WHERE 1 = 0")
    assert (out.columns, list(map(str, out.types)), len(out)) == (["a", "b"], ["INTEGER", "VARCHAR"], 0)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_never_becomes_sql(tmp_path: Path, database: Database, name: str) -> None:
    quoted = "`" + name.replace("`", "``") + "`"
    database.execute(f"CREATE TABLE {quoted} ({quoted} INT, t INT)", f"INSERT INTO {quoted} VALUES (1, 2)")
    database.execute("CREATE TABLE t (id INT)")
    both = {"read": database.values, "write": database.values}
    writing = {"write_mode": "upsert", "primary_key": [name], "create_if_missing": True}
    for target in (name, "made " + name[:50]):
        to = Step(id="write", component="mysql.writer", config={"table": target, **writing}, reads=("read",))
        outcome = run(tmp_path, read(table=name, columns=[name]), to, connections=both)
        assert outcome.status == "success", outcome.error
    out = extract(tmp_path, database, table=name)
    assert (out.columns, out.fetchall()) == ([name, "t"], [(1, 2)])
    assert database.execute("SELECT count(*) FROM t") == ((0,),)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"table": "nix"}, "extract.missing_table"),
        ({"query": "SELECT nix FROM t"}, "extract.unknown_column"),
        ({"table": "t", "columns": ["nix"]}, "extract.unknown_column"),
        ({"query": "SELECT a, a FROM t"}, "extract.doubled_column"),
        ({"query": "SELECT a FRM t WHERE"}, "extract.sql_syntax"),
        ({"query": "SELECT 1; DROP TABLE t"}, "extract.sql_syntax"),
        ({"query": "WITH x AS (SELECT 1) DELETE FROM t"}, "extract.sql_syntax"),
        ({"query": "SELECT a INTO @x FROM t"}, "extract.no_rows"),
        ({"query": "SELECT 18446744073709551615 + a FROM t"}, "extract.out_of_range"),
        ({"query": "SELECT nix()"}, "extract.failed"),
    ],
)
def test_a_query_that_fails_says_why_with_a_hint(
    tmp_path: Path, database: Database, config: dict[str, object], code: str
) -> None:
    database.execute("CREATE TABLE t (a BIGINT UNSIGNED)", "INSERT INTO t VALUES (2)")
    error = refusal(tmp_path, database, **config)
    assert (error.step, error.code) == ("read", code), error
    assert error.hint
    assert database.execute("SELECT count(*) FROM t") == ((1,),)


@pytest.mark.parametrize(
    "query", ["DROP TABLE t", "/* x */ TRUNCATE t", "-- SELECT\nDROP TABLE t", "/*!DROP TABLE t*/", "(DELETE FROM t)"]
)
def test_what_is_no_select_is_refused_before_anything_runs(query: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="one SELECT"):
        msgspec.convert({"query": query}, Config)


@pytest.mark.parametrize(
    "query",
    ["-- why\nSELECT 1", "/* why */ (SELECT 1)", "# why\n\twith x as (select 1) select * from x", "--\nVALUES (1)"],
)
def test_a_comment_may_stand_before_a_query(query: str) -> None:
    assert msgspec.convert({"query": query}, Config).query == query


@pytest.mark.parametrize("config", [{}, {"query": "SELECT 1", "table": "t"}, {"query": "SELECT 1", "columns": ["a"]}])
def test_a_config_that_does_not_say_what_to_read_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(config, Config)


def test_a_query_cannot_write(tmp_path: Path, database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a INT)",
        "CREATE FUNCTION f() RETURNS INT BEGIN INSERT INTO t VALUES (1); RETURN 1; END",
    )
    error = refusal(tmp_path, database, query="SELECT f() AS a")
    assert error.code == "extract.read_only"
    assert database.execute("SELECT count(*) FROM t") == ((0,),)


def test_what_the_server_warns_of_stands_in_the_log(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    out = extract(tmp_path, database, query="SELECT GROUP_CONCAT(REPEAT('x', 1000)) AS a FROM seq_1_to_2000")
    assert len(out) == 1
    assert "cut by GROUP_CONCAT()" in caplog.text


def test_large_values_and_many_rows_come_whole(tmp_path: Path, database: Database) -> None:
    query = (
        "SELECT seq AS n, IF(seq % 50000 = 0, REPEAT('é', 3000000), NULLIF(seq % 3, 0)) AS text FROM seq_1_to_120000"
    )
    outcome = run(tmp_path, read(query=query), write_csv("w", "o.csv", "read"), connections={"read": database.values})
    assert rows_of(outcome) == {"read": (None, 120_000), "w": (120_000, 120_000)}
    out = extract(tmp_path, database, query=query)
    [row] = out.aggregate("count(*), sum(n), count(text), max(length(text)), sum(strlen(text))").fetchall()
    assert row == (120_000, 120_000 * 120_001 // 2, 80_000, 3_000_000, 2 * 6_000_000 + 79_998)


def test_a_stopped_run_stops_its_query_on_the_server(tmp_path: Path, database: Database) -> None:
    cancel = Cancellation()

    def stop_when_it_runs() -> None:
        database.wait_for(database.running("sleep(100)"))
        cancel.cancel()

    hand = threading.Thread(target=stop_when_it_runs)
    hand.start()
    steps = read(query="SELECT sleep(100) AS a"), write_csv("w", "o.csv", "read")
    outcome = run(tmp_path, *steps, connections={"read": database.values}, cancel=cancel)
    hand.join()
    assert (outcome.status, outcome.error) == ("cancelled", None)
    assert database.execute(database.running("sleep(100)")) == ()


def test_a_connection_that_is_killed_while_rows_come_is_an_error(tmp_path: Path, database: Database) -> None:
    def kill() -> None:
        database.wait_for(database.running("sleep(99)"))
        [(number,)] = database.execute(database.running("sleep(99)"))
        database.execute(f"KILL {number}")

    hand = threading.Thread(target=kill)
    hand.start()
    query = "SELECT seq, IF(seq = 90000, sleep(99), 0) AS slow FROM seq_1_to_100000"
    outcome = run(tmp_path, read(query=query), write_csv("w", "o.csv", "read"), connections={"read": database.values})
    hand.join()
    assert failure(outcome).code == "connection.lost"
    assert not (tmp_path / "o.csv").exists()
