"""Rows into a table: all of them as they are, or none."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import characters, lists, text

from osiris.compiler.manifest import RetryPolicy
from osiris.runner.cancellation import Cancellation
from tests.mysql.proxy import COMMIT, line_to, untouched, without_local_files
from tests.mysql.server import Database
from tests.mysql.steps import extract, failure, load, write
from tests.runner.pipelines import Step, run

OLD = ((1, "a"), (2, "b"))
NEW = "SELECT * FROM (VALUES (2, 'z'), (3, 'c')) r(id, name)"


def a_table(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id INT, name VARCHAR(20), extra INT DEFAULT 7)",
        "INSERT INTO t (id, name) VALUES (1, 'a'), (2, 'b')",
    )


def rows(database: Database) -> tuple[tuple[object, ...], ...]:
    return database.execute("SELECT id, name FROM t ORDER BY id, name")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("append", ((1, "a"), (2, "b"), (2, "z"), (3, "c"))),
        ("replace", ((2, "z"), (3, "c"))),
        ("upsert", ((1, "a"), (2, "z"), (3, "c"))),
    ],
)
def test_the_three_modes_do_what_they_say(
    tmp_path: Path, database: Database, mode: str, expected: tuple[object, ...]
) -> None:
    a_table(database)
    outcome = load(tmp_path, database, NEW, write_mode=mode, primary_key=["id"] if mode == "upsert" else [])
    assert outcome.status == "success", outcome.error
    assert outcome.steps[-1].rows_out == 2
    assert rows(database) == expected
    assert database.execute("SELECT DISTINCT extra FROM t") == ((7,),), "a column that the rows have not"


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("SELECT 2 AS id, 'x' AS nix", "write.missing_column", "nix"),
        ("SELECT 2 AS ID, 'x' AS name", "write.missing_column", "ID"),
        ("SELECT 2 AS id, repeat('x', 21) AS name", "write.altered_value", "name"),
        ("SELECT 3000000000 AS id, 'x' AS name", "write.out_of_range", "id"),
        ("SELECT 1.5 AS id, 'x' AS name", "write.altered_value", "id"),
        ("SELECT 2 AS id, 'x   ' || repeat(' ', 20) AS name", "write.altered_value", "name"),
        ("SELECT 2 AS id, [1] AS name", "write.unfit_type", "name"),
    ],
)
def test_a_value_that_does_not_fit_leaves_the_table_as_it_was(
    tmp_path: Path, database: Database, mode: str, query: str, code: str, named: str
) -> None:
    a_table(database)
    key: dict[str, Any] = {"primary_key": ["id" if "AS id" in query else "ID"]} if mode == "upsert" else {}
    error = failure(load(tmp_path, database, query, write_mode=mode, **key))
    assert (error.step, error.code) == ("write", code), error
    assert named in error.message
    assert error.hint
    assert rows(database) == OLD


def test_upsert_refuses_a_key_that_is_null_or_doubled(tmp_path: Path, database: Database) -> None:
    a_table(database)
    for query, code in {
        "SELECT NULL::INTEGER AS id, 'x' AS name": "write.null_key",
        "SELECT 3 AS id, unnest(['x', 'y']) AS name": "write.doubled_key",
    }.items():
        error = failure(load(tmp_path, database, query, write_mode="upsert", primary_key=["id"]))
        assert error.code == code
    error = failure(load(tmp_path, database, NEW, write_mode="upsert", primary_key=["no"]))
    assert error.code == "write.missing_key_column"
    assert rows(database) == OLD


def test_a_table_is_made_after_the_rows_and_gone_again_if_they_cannot_be_written(
    tmp_path: Path, database: Database
) -> None:
    assert failure(load(tmp_path, database, NEW)).code == "write.missing_table"
    key: dict[str, Any] = {"create_if_missing": True, "write_mode": "upsert", "primary_key": ["name"]}
    too_long = failure(load(tmp_path, database, "SELECT repeat('x', 256) AS name", **key))
    assert too_long.code == "write.too_long"
    assert database.execute("SHOW TABLES") == ()
    for _ in range(2):
        assert load(tmp_path, database, f"{NEW} UNION ALL SELECT 4, 'C'", **key).status == "success"
    assert rows(database) == ((2, "z"), (3, "c"), (4, "C"))


def test_every_type_makes_a_column_that_holds_it(tmp_path: Path, database: Database) -> None:
    query = (
        "SELECT true AS a, -1::TINYINT AS b, 18446744073709551615::UBIGINT AS c, "
        "85070591730234615865843651857942052864 AS d, "
        "0.1::FLOAT AS e, 0.1::DOUBLE AS f, 1.10::DECIMAL(38,10) AS g, 'é😀' AS h, '\\x00\\xFF'::BLOB AS i, "
        "DATE '2024-02-29' AS j, TIME '12:00:00.000001' AS k, TIMESTAMP '2024-02-29 12:00:00.000001' AS l, "
        "TIMESTAMPTZ '2024-02-29 12:00:00.000001+02' AS m, '{\"a\": 1}'::JSON AS n, NULL AS o, "
        "'red'::ENUM('red', 'green')::VARCHAR AS p, 'NULL' AS q, '' AS r, ''::BLOB AS s, "
        "'123e4567-e89b-12d3-a456-426614174000'::UUID AS t"
    )
    outcome = load(tmp_path, database, query, create_if_missing=True)
    assert outcome.status == "success", outcome.error
    out = extract(tmp_path, database, table="t")
    [row] = out.project(", ".join(f"CAST({name} AS VARCHAR)" for name in out.columns)).fetchall()
    assert row == REREAD


REREAD = (
    "1",
    "-1",
    "18446744073709551615",
    "85070591730234615865843651857942052864",
    "0.1",
    "0.1",
    "1.1000000000",
    "é😀",
    "\\x00\\xFF",
    "2024-02-29",
    "12:00:00.000001",
    "2024-02-29 12:00:00.000001",
    "2024-02-29 10:00:00.000001+00",
    '{"a": 1}',
    None,
    "red",
    "NULL",
    "",
    "",
    "123e4567-e89b-12d3-a456-426614174000",
)


@pytest.mark.parametrize(
    "made",
    ["CREATE TABLE t (id INT, name TEXT) ENGINE = MyISAM", "CREATE VIEW t AS SELECT 1 AS id, 'a' AS name"],
)
def test_a_target_that_takes_no_transaction_is_refused(tmp_path: Path, database: Database, made: str) -> None:
    database.execute(made)
    assert failure(load(tmp_path, database, NEW)).code == "write.not_transactional"


def test_a_rule_of_the_table_that_fails_late_undoes_the_whole_replace(tmp_path: Path, database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9) UNIQUE, CHECK (id < 100))",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    for query, code in {
        "SELECT 3 AS id, unnest(['x', 'x']) AS name": "write.duplicate",
        "SELECT unnest([5, 100]) AS id, unnest(['x', 'y']) AS name": "write.constraint",
        "SELECT NULL::INTEGER AS id, 'c' AS name": "write.null",
    }.items():
        assert failure(load(tmp_path, database, query, write_mode="replace")).code == code
        assert rows(database) == OLD


def test_zero_stays_zero_in_a_column_that_counts_by_itself(tmp_path: Path, database: Database) -> None:
    database.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, name TEXT)")
    assert load(tmp_path, database, "SELECT 0 AS id, 'a' AS name").status == "success"
    assert load(tmp_path, database, "SELECT 'b' AS name").status == "success"
    assert rows(database) == ((0, "a"), (1, "b"))


@given(texts=lists(text(characters(exclude_categories=["Cs"])), min_size=1, max_size=30))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("local_files", [True, False])
def test_any_text_and_any_bytes_arrive_as_they_are(
    tmp_path: Path, database: Database, local_files: bool, texts: list[str]
) -> None:
    database.execute("CREATE OR REPLACE TABLE t (id INT, name LONGTEXT, bytes LONGBLOB)")
    source = duckdb.connect()
    numbered = "SELECT generate_subscripts($1, 1) AS id, unnest($1) AS name"
    source.execute(f"CREATE TABLE s AS SELECT *, encode(name) AS bytes FROM ({numbered})", [texts])
    source.execute(f"COPY s TO '{tmp_path}/i.parquet'")
    with line_to(database, untouched if local_files else without_local_files) as values:
        from_file = Step(id="read", component="filesystem.parquet_extractor", config={"path": "i.parquet"})
        outcome = run(tmp_path, from_file, write(), connections={"write": values})
    assert outcome.status == "success", outcome.error
    arrived = database.execute("SELECT name, bytes FROM t ORDER BY id")
    assert arrived == tuple((one, one.encode()) for one in texts)


def test_without_local_infile_rows_go_by_insert_and_the_log_says_so(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    a_table(database)
    duckdb.execute(f"COPY (SELECT i AS id, 'row' || i AS name FROM range(3000) r(i)) TO '{tmp_path}/i.parquet'")
    from_file = Step(id="read", component="filesystem.parquet_extractor", config={"path": "i.parquet"})
    with line_to(database, without_local_files) as values:
        outcome = run(tmp_path, from_file, write(write_mode="replace"), connections={"write": values})
    assert outcome.status == "success", outcome.error
    assert database.execute("SELECT count(*), sum(id), max(name) FROM t") == ((3000, 4498500, "row999"),)
    assert "refuses LOAD DATA LOCAL INFILE" in caplog.text


@pytest.mark.parametrize(("mode", "code"), [("append", "write.outcome_unknown"), ("replace", "")])
def test_a_commit_of_which_nobody_knows_is_not_repeated_where_rows_could_be_there_twice(
    tmp_path: Path, database: Database, mode: str, code: str
) -> None:
    a_table(database)
    commits = []

    def lose_the_first_answer(client: socket.socket, sent: bytes) -> bytes:
        if sent.endswith(COMMIT):
            commits.append(sent)
            if len(commits) == 1:
                client.shutdown(socket.SHUT_RDWR)
        return sent

    duckdb.execute(f"COPY ({NEW}) TO '{tmp_path}/i.parquet'")
    from_file = Step(id="read", component="filesystem.parquet_extractor", config={"path": "i.parquet"})
    again = RetryPolicy(max=3, backoff="fixed", delay_ms=1)
    with line_to(database, lose_the_first_answer) as values:
        to = msgspec.structs.replace(write(write_mode=mode), retry=again)
        outcome = run(tmp_path, from_file, to, connections={"write": values})
    assert (outcome.error.code if outcome.error else "") == code
    assert len(commits) == (1 if mode == "append" else 2)
    if mode == "append":
        database.wait_for("SELECT 1 FROM t HAVING count(*) = 4")
    else:
        assert rows(database) == ((2, "z"), (3, "c"))


def test_a_writer_that_is_stopped_leaves_the_table_as_it_was(tmp_path: Path, database: Database) -> None:
    a_table(database)
    cancel = Cancellation()

    def stop_when_it_waits() -> None:
        database.wait_for(database.running("DELETE FROM"))
        cancel.cancel()

    hand = threading.Thread(target=stop_when_it_waits)
    with pymysql.connect(**database.values) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM t FOR UPDATE")
        hand.start()
        outcome = load(tmp_path, database, NEW, write_mode="replace", cancel=cancel)
        hand.join()
    assert outcome.status == "cancelled"
    assert rows(database) == OLD
