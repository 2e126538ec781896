"""Rows into a table: all of them as they are, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mysql.server import Database
from tests.mysql.steps import failure, load

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
    key = {"primary_key": ["id" if "AS id" in query else "ID"]} if mode == "upsert" else {}
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
