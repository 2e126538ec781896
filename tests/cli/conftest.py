"""Projects for the acceptance tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.shop import Shop, new_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project with the pipeline ``orders``, of which nothing was compiled yet."""
    return new_shop(tmp_path / "shop")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A project in which ``orders`` ran once; not to be touched. See ``used``."""
    shop = new_shop(tmp_path_factory.mktemp("finished") / "shop")
    shop.run("run", "orders")
    return shop


@pytest.fixture
def used(finished: Shop, tmp_path: Path) -> Shop:
    """A project in which ``orders`` ran once: a copy, for a project may be moved."""
    return Shop(shutil.copytree(finished.root, tmp_path / "used"))
