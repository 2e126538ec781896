"""The README is true: what it tells a person to type works, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    """A fenced block: its language, the file that it is the content of, its text."""

    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    fenced = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*groups) for groups in fenced]


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    folder = tmp_path
    commands = 0
    for block in blocks(ROOT / "README.md"):
        if block.file:
            target = folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
        elif block.language == "sh" and "make demo" not in block.text:
            script = f"set -e\n{block.text}\npwd > '{tmp_path}/folder'"
            done = subprocess.run(
                ["bash", "-c", script], check=False, cwd=folder, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
            folder = Path((tmp_path / "folder").read_text().strip())
            commands += len(block.text.splitlines())
    assert commands >= 10
    assert (folder / "out" / "by_customer.csv").read_text() == (
        "customer,zip,orders,total\nAda,00501,2,12.75\nGrace,10115,1,7.25\n"
    )


def test_the_two_commands_that_set_everything_up_are_run_by_ci() -> None:
    [text] = [block.text for block in blocks(ROOT / "README.md") if "make demo" in block.text]
    named = re.findall(r"^make [a-z-]+", text, re.MULTILINE)
    ci = (ROOT / ".ci" / "run").read_text()
    assert named == ["make demo", "make test"]
    assert all(re.search(rf"^{command}$", ci, re.MULTILINE) for command in named)


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
