"""A database for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mysql.server import Database, new_database


@pytest.fixture
def database() -> Iterator[Database]:
    with new_database() as made:
        yield made
