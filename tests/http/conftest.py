"""What the tests of HTTP sources share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.reading import Context
from tests.http.server import Api, serving


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as started:
        yield started


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)
