"""The pages under ``docs/`` are true: each command in them is run, as a person would who follows the page.

A page that does not begin with ``osiris init`` speaks to somebody in a project: the example, in which something ran.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import Shop
from tests.docs.pages import ROOT, blocks, run_page

PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if any(block.language == "sh" for block in blocks(page)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_the_page_works(page: Path, tmp_path: Path) -> None:
    first = next(block for block in blocks(page) if block.language == "sh")
    folder = tmp_path
    if not first.text.startswith("osiris init"):
        shop = Shop(tmp_path)
        shop.run("init", "daylight", "--example")
        folder = tmp_path / "daylight"
        Shop(folder).run("run", "daylight")
    _, commands = run_page(page, folder)
    assert commands


def test_commands_stand_in_blocks_that_are_run() -> None:
    """A block without a language, or in another spelling of sh, would be shown and never tried."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for block in blocks(page):
            shows_a_command = any(line.startswith(("osiris ", "$ osiris ")) for line in block.text.splitlines())
            assert block.language == "sh" or not shows_a_command, f"{page.name}:\n{block.text}"
