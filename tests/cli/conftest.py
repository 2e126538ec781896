"""Projects for the acceptance tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import Shop, new_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project with the pipeline ``orders``, of which nothing was compiled yet."""
    return new_shop(tmp_path / "shop")
