"""Writing to a real PostgreSQL: all of it or nothing, and never twice."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osiris.compiler.manifest import RetryPolicy
from osiris.components.base import quote_identifier
from osiris.families.postgres import address_of
from tests.postgres.server import DSN, Database, write
from tests.postgres.test_extractor import HOSTILE
from tests.runner.pipelines import Diary, Step, rows_of, run

ROWS = "SELECT i::INTEGER AS id, 'n' || i AS name FROM range(3) AS r(i)"


@pytest.fixture
def people(database: Database) -> Database:
    """A table with one row, a default, a serial and a generated column."""
    database.sql(
        "CREATE TABLE people (id integer, name text, city text DEFAULT 'Brno', n serial,"
        " twice integer GENERATED ALWAYS AS (id * 2) STORED)",
        "INSERT INTO people (id, name, city) VALUES (1, 'Ada', 'London')",
    )
    return database


def content(database: Database) -> list[tuple[object, ...]]:
    return database.ask("SELECT id, name, city, twice FROM people ORDER BY id, name")


def test_append_adds_rows_and_leaves_defaults_alone(people: Database, tmp_path: Path) -> None:
    outcome = write(tmp_path, people, ROWS, table="people")
    assert rows_of(outcome)["write"] == (3, 3)
    assert content(people) == [
        (0, "n0", "Brno", 0), (1, "Ada", "London", 2), (1, "n1", "Brno", 2), (2, "n2", "Brno", 4)
    ]  # fmt: skip


def test_replace_swaps_the_rows(people: Database, tmp_path: Path) -> None:
    outcome = write(tmp_path, people, ROWS.replace("INTEGER", "BIGINT"), table="people", write_mode="replace")
    assert rows_of(outcome)["write"] == (3, 3)
    assert content(people) == [(0, "n0", "Brno", 0), (1, "n1", "Brno", 2), (2, "n2", "Brno", 4)]


def test_upsert_needs_no_unique_index_and_keeps_other_columns(people: Database, tmp_path: Path) -> None:
    config: dict[str, Any] = {"table": "people", "write_mode": "upsert", "primary_key": ["id"]}
    for _ in range(2):
        assert rows_of(write(tmp_path, people, ROWS, **config))["write"] == (3, 3)
        assert content(people) == [(0, "n0", "Brno", 0), (1, "n1", "London", 2), (2, "n2", "Brno", 4)]


def test_upsert_by_a_composite_key_of_all_columns(people: Database, tmp_path: Path) -> None:
    config: dict[str, Any] = {"table": "people", "write_mode": "upsert", "primary_key": ["id", "name"]}
    write(tmp_path, people, "SELECT 1 AS id, 'Ada' AS name UNION ALL SELECT 1, 'Bob'", **config)
    assert content(people) == [(1, "Ada", "London", 2), (1, "Bob", "Brno", 2)]


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_no_rows_are_written_well(people: Database, tmp_path: Path, mode: str) -> None:
    key = ["id"] if mode == "upsert" else []
    outcome = write(tmp_path, people, f"FROM ({ROWS}) WHERE false", table="people", write_mode=mode, primary_key=key)
    assert rows_of(outcome)["write"] == (0, 0)
    assert len(content(people)) == (0 if mode == "replace" else 1)


@pytest.mark.parametrize(
    ("query", "more", "code", "said"),
    [
        ("SELECT 1 AS idd", {}, "write.missing_column", "idd"),
        ("SELECT 1 AS id", {"table": "peeple"}, "write.missing_table", "people"),
        ("SELECT 1 AS id", {"key": "nr"}, "write.missing_key_column", "nr"),
        ("SELECT 1 AS id UNION ALL SELECT 1", {"key": "id"}, "write.doubled_key", "id = 1"),
        ("SELECT NULL::INT AS id", {"key": "id"}, "write.null_key", "id"),
        ("SELECT 5000000000 AS id", {}, "write.invalid_value", "integer out of range"),
        ("SELECT 'x' || chr(0) AS name", {}, "write.nul_character", "column name"),
        ("SELECT 'x' || chr(0) AS name, 1::BIGINT AS id", {}, "write.nul_character", "column name"),
        ("SELECT 1 AS id, 2 AS twice", {}, "write.generated_column", "twice"),
        ("SELECT {'a': 1} AS name", {}, "write.unfit_type", "to_json"),
        ("SELECT 1.5::DOUBLE AS id", {}, "write.unfit_type", 'CAST("id" AS INTEGER)'),
        (
            "SELECT CASE WHEN i = 7 THEN error('no') ELSE 'x' END AS name FROM range(9) AS r(i)",
            {},
            "transform.sql_invalid_input",
            "no",
        ),
    ],
)
def test_a_refusal_leaves_the_table_as_it_was(
    people: Database, tmp_path: Path, query: str, more: dict[str, str], code: str, said: str
) -> None:
    mode: dict[str, Any] = {"write_mode": "upsert", "primary_key": [more["key"]]} if "key" in more else {}
    outcome = write(tmp_path, people, query, table=more.get("table", "people"), **mode)
    assert outcome.error is not None
    assert outcome.error.code == code
    assert said in outcome.error.message + outcome.error.hint
    assert content(people) == [(1, "Ada", "London", 2)]


def test_hostile_names_are_names(database: Database, tmp_path: Path) -> None:
    columns = ", ".join(f"{place} AS {quote_identifier(name)}" for place, name in enumerate(HOSTILE))
    for name in HOSTILE[:3]:
        config: dict[str, Any] = {"table": name, "write_mode": "upsert", "primary_key": [HOSTILE[0], HOSTILE[2]]}
        again: dict[str, Any] = {"write_mode": "append", "primary_key": []}
        for write_mode in ({}, again):
            outcome = write(tmp_path, database, f"SELECT {columns}", **{**config, **write_mode}, create_if_missing=True)
            if not write_mode:
                assert rows_of(outcome)["write"] == (1, 1)
            else:
                assert outcome.error is not None
                assert outcome.error.code == "write.constraint", "it came as far as the primary key"
        assert database.ask(f"SELECT * FROM {quote_identifier(name)}") == [tuple(range(len(HOSTILE)))]


class Cutter:
    """Between writer and server: passes all on, and hangs up when the commit has been sent or has been answered."""

    def __init__(self, *, forward_commit: bool, once: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._forward, self._once, self.cuts = forward_commit, once, 0
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.cuts and not self._once:
                client.close()
                continue
            server = socket.create_connection(address_of(DSN))
            cut, answered = threading.Event(), threading.Event()
            threading.Thread(target=self._ask, args=(client, server, cut, answered), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client, cut, answered), daemon=True).start()

    def _ask(
        self, client: socket.socket, server: socket.socket, cut: threading.Event, answered: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while block := client.recv(65536):
                if b"COMMIT\x00" in block and (not self._once or self.cuts == 0):
                    self.cuts += 1
                    cut.set()  # before the server can answer
                    if self._forward:
                        server.sendall(block)
                        answered.wait()
                    client.shutdown(socket.SHUT_RDWR)
                    break
                server.sendall(block)
            server.shutdown(socket.SHUT_RDWR)

    def _answer(
        self, server: socket.socket, client: socket.socket, cut: threading.Event, answered: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while block := server.recv(65536):
                if cut.is_set():
                    answered.set()
                else:
                    client.sendall(block)
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def cutter(request: pytest.FixtureRequest) -> Iterator[Cutter]:
    made = Cutter(**request.param)
    yield made
    made.close()


def append_through(cutter: Cutter, database: Database, root: Path, diary: Diary) -> Any:
    host, port = address_of(DSN)
    database.connection = {"dsn": database.dsn.replace(f"{host}:{port}", f"127.0.0.1:{cutter.port}")}
    steps = (
        Step(id="rows", component="duckdb.processor", config={"query": ROWS}),
        Step(
            id="write",
            component="postgres.writer",
            config={"table": "people"},
            reads=("rows",),
            retry=RetryPolicy(max=2, backoff="fixed", delay_ms=1),
        ),
    )
    return run(root, *steps, connections={"write": database.connection}, listener=diary)


@pytest.mark.parametrize("cutter", [{"forward_commit": True, "once": True}], indirect=True)
def test_a_commit_whose_answer_is_lost_counts_once(people: Database, tmp_path: Path, cutter: Cutter) -> None:
    diary = Diary()
    outcome = append_through(cutter, people, tmp_path, diary)
    assert (outcome.status, diary.retries, cutter.cuts) == ("success", [], 1)
    assert len(content(people)) == 4


@pytest.mark.parametrize("cutter", [{"forward_commit": False, "once": True}], indirect=True)
def test_a_commit_that_never_arrived_is_tried_again(people: Database, tmp_path: Path, cutter: Cutter) -> None:
    diary = Diary()
    outcome = append_through(cutter, people, tmp_path, diary)
    assert (outcome.status, len(diary.retries)) == ("success", 1)
    assert len(content(people)) == 4


@pytest.mark.parametrize("cutter", [{"forward_commit": True, "once": False}], indirect=True)
def test_an_unknown_outcome_is_said_and_not_tried_again(
    people: Database, tmp_path: Path, cutter: Cutter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osiris.components.postgres_writer._OUTCOME_WAIT_S", 0.5)
    diary = Diary()
    outcome = append_through(cutter, people, tmp_path, diary)
    assert outcome.error.code == "write.outcome_unknown"
    assert diary.retries == []
    assert len(content(people)) == 4
