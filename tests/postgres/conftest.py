"""A schema for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres.server import Database, require_server


@pytest.fixture(scope="session")
def server() -> None:
    require_server()


@pytest.fixture
def database(server: None) -> Iterator[Database]:
    made = Database()
    yield made
    made.close()
