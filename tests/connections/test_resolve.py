"""Values and secrets of a connection, from the environment and from ``.env``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osiris.connections.file import load_connections
from osiris.connections.resolve import ResolvedConnection, resolve
from osiris.connections.variables import Variables, mentioned_names
from osiris.errors import OsirisError
from osiris.redaction import Redactor

PW = "s3cr3t/p@ss"


def resolved(folder: Path, body: str, environ: Mapping[str, str], **more: Any) -> ResolvedConnection:
    text = "connections:\n  pg:\n    default:\n" + "".join(f"      {line}\n" for line in body.splitlines())
    (folder / "osiris_connections.yaml").write_text(text, "utf-8")
    return resolve(load_connections(folder).find("", "pg"), Variables(folder, environ), **more)


def test_values_keep_their_types_and_a_variable_is_text(tmp_path: Path) -> None:
    body = "host: ${HOST:-localhost}\nport: 5432\nport2: ${PORT}\nssl: true\nnone:\nversion: '1.10'\ncost: $$5 $x\n"
    body += "opts: {a: [1, '${HOST:-b}']}"
    found = resolved(tmp_path, body, {"PORT": "5433"})
    assert found.values == {
        "host": "localhost",
        "port": 5432,
        "port2": "5433",
        "ssl": True,
        "none": None,
        "version": "1.10",
        "cost": "$5 $x",
        "opts": {"a": [1, "b"]},
    }
    assert found.secrets == frozenset()


def test_a_value_is_not_looked_through_for_references(tmp_path: Path) -> None:
    assert resolved(tmp_path, "password: ${PW}", {"PW": "${HOME}$$x"}).values == {"password": "${HOME}$$x"}


@pytest.mark.parametrize(
    ("body", "environ", "secrets"),
    [
        ("password: ${PW}", {"PW": PW}, {PW}),
        ("host: ${DB_TOKEN}", {"DB_TOKEN": PW}, {PW}),
        ("auth: Bearer ${API_KEY}", {"API_KEY": PW}, {PW, f"Bearer {PW}"}),
        ("url: ${U}", {"U": "pg://u:p%40ssword@h/d"}, {"p%40ssword", "p@ssword"}),
        ("url: pg://u:${X}@h/d", {"X": PW}, {PW, "s3cr3t"}),
        ("conn: ${C}", {"C": "host=h user=u password='a b\\'cd'"}, {"a b'cd"}),
        ("conn: ${C}", {"C": "Server=h;Uid=u;Pwd=a bcd;"}, {"a bcd"}),
        ("conn: ${C}", {"C": "AccountName=n;AccountKey=abcd==;"}, {"abcd=="}),
        ("url: ${U}", {"U": "https://h/p?api_key=kkkk%21&x=1"}, {"kkkk!"}),
        ("login: ${J}", {"J": '{"private_key": "AAAA\\nBBBBBBBB", "id": "visible"}'}, {"AAAA\nBBBBBBBB"}),
        ("user: ada\npassword: ${PW}", {"PW": "abcd"}, {"abcd", base64.b64encode(b"ada:abcd").decode()}),
        ("headers: {Authorization: 'Basic ${B}'}", {"B": "YWRh"}, {"Basic YWRh"}),
    ],
)
def test_what_is_a_secret(tmp_path: Path, body: str, environ: dict[str, str], secrets: set[str]) -> None:
    found = resolved(tmp_path, body, environ)
    assert secrets <= found.secrets
    assert "visible" not in found.secrets
    assert not Redactor(found.secrets).holds("pg://h/d server.example user=ada")
    assert repr(found) == "ResolvedConnection(@pg.default, ***)"


def test_a_field_that_a_component_declares_is_a_secret(tmp_path: Path) -> None:
    body = "pin: ${PIN}\nauth: {code: '${CODE}', name: '${NAME}'}"
    environ = {"PIN": "4711-4711", "CODE": "codecode", "NAME": "name-name"}
    assert resolved(tmp_path, body, environ, secret_fields=("pin", "auth.code")).secrets == {"4711-4711", "codecode"}


def test_a_dsn_that_is_all_one_variable_hides_its_password_but_not_its_parts(tmp_path: Path) -> None:
    found = resolved(
        tmp_path, "dsn: ${DATABASE_URL}", {"DATABASE_URL": "postgres://ada:pass-word@db.example:5432/shop"}
    )
    assert Redactor(found.secrets).scrub("db.example 5432 shop pass-word") == "db.example 5432 shop ***"


def test_a_secret_that_is_too_short_is_named_by_its_place(tmp_path: Path) -> None:
    found = resolved(tmp_path, "password: ${PW}\npin: '123'\ntoken: ${EMPTY}", {"PW": "abc", "EMPTY": ""})
    assert found.too_short == ("connections.pg.default.password",)


def test_missing_variables_are_named_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(OsirisError) as raised:
        resolved(tmp_path, "user: ${A}\npassword: ${B}-${C}\nhost: ${D:-x}", {"C": PW})
    error = raised.value
    assert (error.code, error.exit_code) == ("connection.variable_missing", 2)
    assert [(found.line, found.column) for found in error.findings] == [(4, 13), (5, 17)]
    assert "the variable B is not set, and @pg.default needs it" in error.findings[1].problem
    assert PW not in repr(error.findings)


def test_an_empty_variable_is_a_value_and_takes_a_default_where_there_is_one(tmp_path: Path) -> None:
    assert resolved(tmp_path, "a: ${E}\nb: ${E:-x}", {"E": ""}).values == {"a": "", "b": "x"}


def test_the_env_file_is_read_behind_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeff# comment\n\nexport A=one # comment\nB='two # no comment'\nC=\"three\\nlines\"\n"
        "D=\nE = spaced\nA2=${A}\n",
        "utf-8",
    )
    variables = Variables(tmp_path, {"B": "environment"})
    found = {name: variables.get(name) for name in ("A", "B", "C", "D", "E", "A2", "Z")}
    assert found == {
        "A": "one",
        "B": "environment",
        "C": "three\nlines",
        "D": "",
        "E": "spaced",
        "A2": "${A}",
        "Z": None,
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=1\nhunter2\n", 2), ("A=1\n\n\nB='hunter2\n", 4), ("A=1\nB='hun'ter2\n", 2), (b"A=\xff\n", 1)],
)
def test_a_line_of_the_env_file_that_is_no_assignment_is_an_error(tmp_path: Path, text: str | bytes, line: int) -> None:
    (tmp_path / ".env").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(OsirisError) as raised:
        Variables(tmp_path, {}).get("X")
    assert [(found.path, found.line) for found in raised.value.findings] == [(".env", line)]
    assert "hun" not in repr(raised.value.findings)
    assert raised.value.exit_code == 2


def test_the_names_in_a_file_are_found_without_reading_it() -> None:
    assert mentioned_names("# ${NO}\na: ${A}-${B:-x} # ${C}\nb: '${D'\nc: $${E}\n") == {"A", "B", "C"}
