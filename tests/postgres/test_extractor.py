"""Reading from a real PostgreSQL: streamed, read-only, stoppable, and with errors that name the step."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from osiris.components import find_component
from osiris.components.base import quote_identifier
from osiris.runner.cancellation import Cancellation
from tests.postgres.server import Database, extract, extracted, texts
from tests.runner.pipelines import Diary, Step, rows_of, run

HOSTILE = [
    'a"b',
    "a.b",
    "x; DROP TABLE t; --",
    " two  words ",
    "Ünïcode",
    "😀",
    "'",
    "n" * 63,
    "select",
    "$1",
    "\\",
    "?",
]


def test_rows_are_counted_exactly(database: Database, tmp_path: Path) -> None:
    outcome = extract(tmp_path, database, query="SELECT i, i::text AS t FROM generate_series(1, 250000) AS i")
    assert rows_of(outcome) == {"read": (None, 250_000), "write": (250_000, 250_000)}


def test_an_empty_table_is_read(database: Database, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (a integer, b numeric(5,1))")
    assert texts(extracted(tmp_path, database, table="t")) == []


def test_hostile_names_are_names(database: Database, tmp_path: Path) -> None:
    declared = ", ".join(f"{quote_identifier(name)} integer" for name in HOSTILE)
    values = ", ".join(map(str, range(len(HOSTILE))))
    schema = f'{database.schema} "; .😀'
    database.sql(f"CREATE SCHEMA {quote_identifier(schema)}")
    try:
        for name in HOSTILE:
            table = f"{quote_identifier(schema)}.{quote_identifier(name)}"
            database.sql(f"CREATE TABLE {table} ({declared})")
        database.sql(f"INSERT INTO {table} VALUES ({values})")
        read = extracted(tmp_path, database, table=HOSTILE[-1], schema=schema, columns=HOSTILE[::-1])
        assert read.columns == HOSTILE[::-1]
        assert texts(read) == [tuple(map(str, range(len(HOSTILE))[::-1]))]
        for name in HOSTILE[:-1]:
            assert rows_of(extract(tmp_path, database, table=name, schema=schema))["read"] == (None, 0)
    finally:
        database.sql(f"DROP SCHEMA {quote_identifier(schema)} CASCADE")


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ({"table": "ordres"}, "extract.unknown_name", "Did you mean orders?"),
        ({"table": "orders", "columns": ["nope"]}, "extract.unknown_name", "id, price"),
        ({"query": "SELECT nope FROM orders"}, "extract.unknown_name", 'column "nope" does not exist'),
        ({"query": "SELEC 1"}, "extract.sql_syntax", "syntax error"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "extract.doubled_column", "more than once"),
        ({"query": 'SELECT 1 AS a, 2 AS "A"'}, "extract.doubled_column", "called A"),
        ({"query": "SELECT 1/(i - 90000) AS x FROM generate_series(1, 99999) AS i"}, "extract.invalid_value", "zero"),
        ({"query": "SELECT setval('counter', 5)"}, "extract.read_only", "read-only"),
        ({"query": "DELETE FROM orders"}, "extract.sql_syntax", "syntax error"),
        ({"query": "SELECT 1) AS x; DROP TABLE orders; --"}, "extract.sql_syntax", ""),
    ],
)
def test_errors_name_the_step_and_have_a_code(
    database: Database, tmp_path: Path, config: dict[str, Any], code: str, said: str
) -> None:
    database.sql("CREATE TABLE orders (id integer, price numeric(5,1))", "CREATE SEQUENCE counter")
    outcome = extract(tmp_path, database, **config)
    assert outcome.error is not None
    assert (outcome.error.step, outcome.error.code) == ("read", code)
    assert said in outcome.error.message + outcome.error.hint
    assert database.ask("SELECT count(*) FROM orders") == [(0,)]


def test_without_temporary_views_a_query_still_has_all_but_the_precision(database: Database, tmp_path: Path) -> None:
    database.connection = {"dsn": f"{database.dsn}%20-cdefault_transaction_read_only%3Don"}
    query = 'SELECT 1.50::numeric(5,2) AS "a ""b", ARRAY[1] AS c, DATE \'infinity\' AS d'
    read = extracted(tmp_path, database, query=query)
    assert (read.columns, list(map(str, read.types))) == (['a "b', "c", "d"], ["VARCHAR", "INTEGER[]", "DATE"])
    assert texts(read) == [("1.50", "[1]", "infinity")]


@pytest.mark.parametrize(
    "query",
    ["SELECT pg_sleep(60)::text AS x", "SELECT count(*) AS x FROM generate_series(1, 10000000000) AS i"],
)
def test_a_run_that_is_stopped_ends_the_query_on_the_server(database: Database, tmp_path: Path, query: str) -> None:
    cancel, diary = Cancellation(), Diary()
    mark = database.schema
    steps = (
        Step(id="read", component="postgres.extractor", config={"query": f"{query} /* {mark} */"}),
        Step(id="write", component="filesystem.parquet_writer", config={"path": "x.parquet"}, reads=("read",)),
    )
    running = (
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE state = 'active' AND query LIKE 'COPY%{mark}%' AND pid <> pg_backend_pid()"
    )

    def press() -> None:
        while database.ask(running) == [(0,)]:
            time.sleep(0.01)
        cancel.cancel()

    hand = threading.Thread(target=press)
    hand.start()
    outcome = run(tmp_path, *steps, connections={"read": database.connection}, cancel=cancel, listener=diary)
    hand.join()
    assert (outcome.status, outcome.error) == ("cancelled", None)
    with_deadline = (database.ask(running) == [(0,)] for _ in range(500))
    assert any(with_deadline), "the server still computes it"


def test_a_connection_that_is_lost_is_the_extractors_failure(database: Database, tmp_path: Path) -> None:
    query = "SELECT i, pg_terminate_backend(pg_backend_pid()) AS t FROM generate_series(1, 10) AS i"
    outcome = extract(tmp_path, database, query=query)
    assert outcome.error is not None
    assert (outcome.error.step, outcome.error.code) == ("read", "connection.lost")


def test_supabase_reads_the_same_through_its_own_connection_shape(database: Database, tmp_path: Path) -> None:
    database.connection = {"project_ref": "abc", "dsn": database.dsn}
    outcome = extract(tmp_path, database, component="supabase.extractor", query="SELECT 1 AS x")
    assert rows_of(outcome)["read"] == (None, 1)


@pytest.mark.parametrize("config", [{}, {"query": "x", "table": "y"}, {"query": "x", "columns": ["y"]}])
def test_a_config_names_either_a_query_or_a_table(config: dict[str, object]) -> None:
    component = find_component("postgres.extractor")
    assert component is not None
    with pytest.raises((ValueError, TypeError)):
        component.config_type(**config)
