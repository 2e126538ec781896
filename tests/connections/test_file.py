"""``osiris_connections.yaml``: what is refused, never with a value, and which connection is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from osiris.connections.file import Connections, load_connections
from osiris.errors import OsirisError

SECRET = "hunter2-Pa55"  # noqa: S105
TWO = """\
connections:
  postgres:
    warehouse: {default: true, host: db, password: "${PGPASSWORD}"}
    shop: {host: db2}
  mysql:
    default: {host: db3}
    old: {host: db4}
  http:
    api: {url: "https://example.org"}
    other: {url: "https://example.org"}
"""


def load(folder: Path, text: str) -> Connections:
    (folder / "osiris_connections.yaml").write_text(text, "utf-8")
    return load_connections(folder)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(OsirisError) as raised:
        load(folder, text)
    assert raised.value.exit_code == 2
    assert SECRET not in repr(raised.value.findings)
    assert all(found.hint for found in raised.value.findings)
    return [f"{found.line}:{found.column} {found.problem}" for found in raised.value.findings]


def test_the_default_is_the_one_that_says_so_or_is_called_so(tmp_path: Path) -> None:
    connections = load(tmp_path, TWO)
    assert connections.find("", "postgres").name == "@postgres.warehouse"
    assert connections.find("", "mysql").name == "@mysql.default"
    assert connections.find("@postgres.shop", "postgres").name == "@postgres.shop"


@pytest.mark.parametrize(
    ("reference", "family", "code", "words"),
    [
        ("", "http", "connection.no_default", "@http.api, @http.other"),
        ("", "postgre", "connection.unknown", "Did you mean 'postgres'?"),
        ("@postgres.warehuose", "postgres", "connection.unknown", "Did you mean '@postgres.warehouse'?"),
        ("@postgres.zzz", "postgres", "connection.unknown", "@postgres.warehouse, @postgres.shop"),
        ("@mysql.default", "postgres", "connection.family", "@postgres.warehouse, @postgres.shop"),
        ("postgres.warehouse", "postgres", "connection.reference", "@postgres.ALIAS"),
        ("@postgres", "postgres", "connection.reference", "@postgres.ALIAS"),
        ("@postgres.a.b", "postgres", "connection.reference", "@postgres.ALIAS"),
    ],
)
def test_a_connection_that_is_not_there_is_an_error_with_a_way_out(
    tmp_path: Path, reference: str, family: str, code: str, words: str
) -> None:
    connections = load(tmp_path, TWO)
    with pytest.raises(OsirisError) as raised:
        connections.find(reference, family)
    assert raised.value.code == code
    assert words in raised.value.hint


def test_no_file_and_an_empty_one_have_no_connections(tmp_path: Path) -> None:
    assert load_connections(tmp_path).families == {}
    assert load(tmp_path, "").families == {}
    assert load(tmp_path, "connections: {}\n").families == {}


def test_an_unknown_key_is_a_warning_and_an_x_key_is_free(tmp_path: Path) -> None:
    connections = load(tmp_path, "conections: {}\nx-note: hello\n")
    assert [(found.line, found.problem) for found in connections.warnings] == [(1, "unknown key 'conections'")]
    assert connections.warnings[0].hint == "Did you mean 'connections'?"


@pytest.mark.parametrize(
    "value",
    [
        f"password: {SECRET}",
        "password: 12345",
        f"password: '${{PW:-{SECRET}}}'",
        f"api_key: {SECRET}",
        f"headers: {{X-API-Key: {SECRET}}}",
        f"credentials: {{deep: [{SECRET}]}}",
        f"url: 'pg://u:{SECRET}@h/d'",
        f"url: 'pg://u:{SECRET}${{PW}}@h/d'",
        f"url: 'pg://${{PGUSER:-ada}}:{SECRET}@h/d'",
        f"url: 'pg://u:${{PW:-{SECRET}}}@h/d'",
        f"dsn: 'host=h user=u password={SECRET}'",
        f"user: '${{DB_TOKEN:-{SECRET}}}'",
        f"options: {{'pg://u:{SECRET}@h': 1}}",
    ],
)
def test_a_secret_in_the_clear_is_refused(tmp_path: Path, value: str) -> None:
    found = problems(tmp_path, f"connections:\n  pg:\n    main:\n      {value}\n")
    assert len(found) == 1
    assert found[0].startswith("4:")
    assert "in the clear" in found[0] or "stands in a key" in found[0]


@pytest.mark.parametrize(
    "value",
    [
        "password: ${PW}",
        "password: '${PW:-}'",
        "password:",
        "dsn: pg://h/d",
        "dsn: pg://${PGUSER:-ada}:${PW}@${PGHOST:-localhost}/d",
        "headers: {Authorization: 'Bearer ${TOKEN}'}",
        "token_count: 5",
        "host: '${PGHOST:-localhost}'",
    ],
)
def test_a_reference_is_no_secret(tmp_path: Path, value: str) -> None:
    assert load(tmp_path, f"connections:\n  pg:\n    main:\n      {value}\n").families


def test_every_problem_is_reported_at_its_place(tmp_path: Path) -> None:
    text = (
        "connections:\n"
        "  pg:\n"
        "    a: {default: yes-please}\n"
        "    b: {default: true}\n"
        "    default: {}\n"
        "    c d: {}\n"
        "    e: text\n"
        "  my: [1]\n"
        "  x:\n"
        "    y: {host: '${1X}', port: '${', user: '${A-b}'}\n"
    )
    assert problems(tmp_path, text) == [
        "3:18 connections.pg.a.default: expected true or false, got text",
        "6:5 connections.pg: 'c d' is not a name",
        "7:8 connections.pg.e: expected a map, got text",
        "5:5 connections.pg.default: 'b' at line 4 is the default already",
        "8:7 connections.my: expected a map, got a list",
        "10:15 connections.x.y.host: a ${ here begins no reference to a variable",
        "10:30 connections.x.y.port: a ${ here begins no reference to a variable",
        "10:42 connections.x.y.user: a ${ here begins no reference to a variable",
    ]


def test_broken_yaml_is_an_error_with_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, f"connections:\n  pg:\n    a: {{password: '{SECRET}\n")[0].startswith("3:19 ")
