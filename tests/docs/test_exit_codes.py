"""The page on exit codes is the table in the code."""

from __future__ import annotations

import re
from pathlib import Path

from osiris.errors import EXIT_CODE_MEANINGS, ExitCode

PAGE = Path(__file__).parents[2] / "docs" / "exit-codes.md"


def test_the_page_shows_every_exit_code_with_the_words_of_the_help_texts() -> None:
    rows = re.findall(r"^\| ([0-9]+) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in rows] == [*EXIT_CODE_MEANINGS.items()]


def test_every_exit_code_has_a_meaning() -> None:
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)
