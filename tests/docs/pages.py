"""Pages of documentation whose commands are run, in the order in which they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120


class Block(NamedTuple):
    """A fenced block: its language, what else its fence says, and its text.

    ``file`` is the file that it is the content of, ``exit_code`` the one that its commands end with, ``needs`` a tool
    that they call and that a machine may lack. What is ``from_clone`` is typed in a clone of this repository, with the
    project's folder in ``$PROJECT``.
    """

    language: str
    file: str
    exit_code: int
    needs: str
    from_clone: bool
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page: ```` ```sh ````, ```` ```sh exit=2 ````, ```` ```yaml file=pipelines/x.yaml ````."""
    found = re.findall(r"^```(\w*)((?: \w+=\S+)*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    fenced = [(language, dict(pair.split("=", 1) for pair in said.split()), text) for language, said, text in found]
    return [
        Block(
            language,
            said.get("file", ""),
            int(said.get("exit", 0)),
            said.get("needs", ""),
            said.get("from") == "clone",
            text,
        )
        for language, said, text in fenced
    ]


def run_page(page: Path, folder: Path, *, without: str = "") -> tuple[Path, int]:
    """Do in ``folder`` what the page tells a person to do, but for blocks that hold the text ``without``.

    A ``text`` block right behind commands is what they print, other lines left out; ``…`` stands for any text.
    Returns the folder in which that ends, and how many lines of commands there were.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OSIRIS_", "GIT_"))}
    environment = {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    commands, where = 0, folder / ".where"
    printed: str | None = None
    for block in blocks(page):
        if block.file:
            target = folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
        elif block.language == "sh" and not (without and without in block.text) and _can_run(block):
            end = "" if block.from_clone else f"trap 'pwd > \"{where}\"' EXIT\n"
            script = f"set -e\n{end}{block.text}"
            done = subprocess.run(
                ["bash", "-c", script],
                check=False,
                cwd=ROOT if block.from_clone else folder,
                env={**environment, "PROJECT": str(folder)},
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
            )
            said = f"{page.name}:\n{block.text}\nexit {done.returncode}\n{done.stdout}{done.stderr}"
            assert done.returncode == block.exit_code, said
            folder = folder if block.from_clone else Path(where.read_text().strip())
            commands += len(block.text.splitlines())
            printed = done.stdout
        elif block.language == "sh":
            printed = None
        elif block.language == "text" and printed is not None:
            assert_printed(block.text, printed)
    return folder, commands


def assert_printed(shown: str, printed: str) -> None:
    """Hold that the lines of ``shown`` stand in ``printed``, in that order, with ``…`` for any text in a line."""
    rest = iter(printed.splitlines())
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        assert any(re.fullmatch(pattern, there) for there in rest), f"not printed: {line}\n{printed}"


def _can_run(block: Block) -> bool:
    """Whether the tool that it needs is here; where all services must be there, a missing one is a failure."""
    return not block.needs or bool(shutil.which(block.needs)) or os.environ.get("CI") == "true"
