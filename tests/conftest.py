"""What all tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.cli.shop import Shop, new_shop

# Examples here write real files and sync them. How long that takes is the machine's affair and no property of the code.
settings.register_profile("osiris", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("osiris")

# Commands are started thousands of times: without it each would compile every module anew, twice its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


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
