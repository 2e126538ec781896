"""Secrets never stand in OML: every one is refused, and no message repeats it."""

from __future__ import annotations

import pytest

from tests.compiler.pipelines import errors, pipeline, read, validate, write


def bank(config: str) -> str:
    return f"{{id: a, component: bank.extractor, mode: read, config: {{{config}}}}}"


SECRET = "hunter2-Pa55"  # noqa: S105


@pytest.mark.parametrize(
    "text",
    [
        pipeline(read("a").replace("path: a.csv", f"path: a.csv, options: {{password: {SECRET}}}"), write("b")),
        pipeline(read("a").replace("path: a.csv", f"path: 'postgres://u:{SECRET}@h/d'"), write("b")),
        pipeline(read("a").replace("path: a.csv", f"path: a.csv, types: {{'pg://u:{SECRET}@h': x}}"), write("b")),
        pipeline(read("a").replace("path: a.csv", f"path: a.csv, api_key: {SECRET}"), write("b")),
        pipeline(read("a").replace("path: a.csv", f"path: a.csv, limit: 'pwd={SECRET}'"), write("b")),
        pipeline(read("a"), write("b"), head=f"description: 'see mysql://u:{SECRET}@h'"),
        pipeline(read("a"), write("b"), head=f"metadata: {{token: {SECRET}}}"),
        pipeline(read("a"), write("b"), head=f"metadata: {{clientSecret: {SECRET}}}"),
        pipeline(read("a"), write("b"), head=f"'x-pg://u:{SECRET}@h': 1"),
        pipeline(read("a"), write("b"), head=f"params: {{'x-pg://u:{SECRET}@h': 1}}"),
        pipeline(read("a"), write("b"), head=f"requires: {{'x-pg://u:{SECRET}@h': 1}}"),
        pipeline(read("a"), write("b", f", inputs: {{'x-pg://u:{SECRET}@h': 1, df: '${{a.df}}'}}")),
        pipeline(read("a"), write("b"), head=f"x-note: {{deep: [{{credentials: {{value: {SECRET}}}}}]}}"),
        pipeline(read("a"), write("b"), head=f"params: {{url: {{type: string, default: 'a://u:{SECRET}@h'}}}}"),
        pipeline(read("a"), write("b"), head=f"params: {{api_token: {{type: string, default: {SECRET}}}}}"),
        pipeline(read("a"), write("b"), head=f"profiles: {{p: {{params: {{api_token: {SECRET}}}}}}}"),
        pipeline(bank(f"pin: {SECRET}"), write("b")),
        pipeline(bank(f"auth: {{code: {SECRET}}}"), write("b")),
        pipeline(read("a"), write("b"), head=f"description: |\n  -----BEGIN RSA PRIVATE KEY-----\n  {SECRET}"),
        pipeline(read("a"), write("b"), head=f"mysql_password: {SECRET}"),
        pipeline(read("a", f", password: {SECRET}"), write("b")),
    ],
)
def test_a_secret_is_refused_wherever_it_stands_and_never_repeated(text: str) -> None:
    found = validate(text).errors
    assert found
    assert SECRET not in repr(found)
    words = ("secret", "password", "private key")
    assert any(word in error.problem for error in found for word in words)
    assert all(error.line and error.column for error in found)


def test_a_secret_does_not_come_in_through_a_parameter() -> None:
    text = pipeline(
        bank("pin: '${params.code}'"),
        write("b"),
        head="params: {code: {type: string}}",
    )
    found = errors(text, params={"code": SECRET})
    assert found == ["5:66 steps[0].config.pin: a secret stands here in the clear"]
    dsn = f"postgres://u:{SECRET}@h"
    assert "params.code (from --param): the value is a DSN with a password" in str(errors(text, params={"code": dsn}))
    assert SECRET not in str(errors(text, params={"code": dsn}))


@pytest.mark.parametrize(
    "text",
    [
        pipeline(read("a").replace("path: a.csv", "path: a.csv, types: {password: VARCHAR, token: 'DECIMAL(9, 2)'}")),
        pipeline(read("a").replace("path: a.csv", "path: a.csv, options: {max_tokens: 5, primary_key: id}")),
        pipeline(read("a").replace("path: a.csv", "path: 's3://bucket/a:b/day=1/*.csv'")),
        pipeline(read("a"), head="description: 'Passwords and tokens: ask ada@example.org, see https://e.org:80/a'"),
        pipeline(read("a"), head="metadata: {token: null, password: '', secret: false, api_key: '${API_KEY}'}"),
        pipeline(read("a"), head="x-note: {tokens: [a], secrets_in: vault, keys: {primary: id}}"),
        pipeline(
            read("a"),
            head="params: {token_count: {type: int, default: 5}, password_column: {type: bool, default: true}}",
        ),
    ],
)
def test_ordinary_texts_and_columns_are_no_secrets(text: str) -> None:
    assert errors(text) == []


def test_a_reference_to_the_environment_is_no_secret() -> None:
    text = pipeline(bank("pin: '${PIN}', url: 'pg://u:${PASSWORD}@h'"), write("b"))
    assert errors(text) == []
