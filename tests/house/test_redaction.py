"""Secrets by shape, by key and by value."""

from __future__ import annotations

import pytest

from osiris.redaction import Redactor, is_secret_key, secret_shape


@pytest.mark.parametrize(
    "text",
    [
        "postgres://ada:hunter2@db/shop",
        "mysql://:hunter2@db",
        "host=db user=ada password=hun.ter2",
        "server=db;uid=sa;pwd=hunter2;",
        "pwd=hunter2",
        "-----BEGIN PRIVATE KEY-----\nMIIE",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY",
        "postgres://ada:${DB_PASSWORD}@db/shop, once postgres://ada:hunter2@db/shop",
        "jdbc:postgresql://db/shop?user=ada&password=hunter2",
    ],
)
def test_a_secret_is_known_by_its_shape(text: str) -> None:
    assert secret_shape(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://ada:${DB_PASSWORD}@db/shop",
        "host=db password=${DB_PASSWORD}",
        "SELECT * FROM a JOIN b ON a.password=b.password",
        "SELECT * FROM a WHERE password = $1 OR a.pwd=other",
        "SELECT password FROM users",
        "SELECT * FROM a JOIN b ON a.user=b.user AND a.password=b.password",
        "Reads https://example.org:8080/orders; ask ada@example.org for the password. Key: see the vault.",
        "every day at 10:30, token buckets of 100; s3://bucket/year=2024/day=1/*.parquet",
        "-----BEGIN CERTIFICATE-----\nMIIE",
        "-----BEGIN PUBLIC KEY-----\nMIIE",
        "https://example.org/a:b@c",
        "the password is in the environment",
    ],
)
def test_a_reference_and_a_query_are_no_secret(text: str) -> None:
    assert secret_shape(text) == ""


def test_keys_that_hold_secrets_are_known() -> None:
    for key in ("password", "DB_PASSWORD", "api_key", "client.secret", "service_role_key", "dsn", "access-token"):
        assert is_secret_key(key), key
    for key in ("clientSecret", "accessToken", "apiKey", "dbPassword", "privateKey", "connectionString"):
        assert is_secret_key(key), key
    for key in (
        "path",
        "token_count",
        "passwords_checked",
        "keyboard",
        "secretary",
        "maxTokens",
        "primaryKey",
        "sort_key",
    ):
        assert not is_secret_key(key), key


def test_a_secrets_value_is_scrubbed_wherever_it_stands_the_longest_first() -> None:
    redactor = Redactor(["hunter2", "hunter2000", "abc"])
    assert redactor.scrub("x=hunter2000;y=hunter2 abc") == "x=***;y=*** abc"
    assert Redactor().scrub("postgres://ada:hunter2@db") == "postgres://ada:***@db"
