"""What a YAML parser's complaint means for whoever wrote the file: the place to look at, and what to do there."""

from __future__ import annotations

import re

import yaml

LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What the parser counts lines by."""

SYNTAX_HINT = "Check the indentation, the colons and the quotes at that place and in the line before it."

_TABS = "Indent with spaces, not with tabs."
_BRACKETS = "Close the bracket, and put a value that holds { } [ ] or , in quotes."
_HINTS = {
    "tab character": _TABS,
    "mapping values are not allowed": "Put a value with a colon in quotes, or indent the key like its neighbours.",
    "expected ':'": "Write key: value, with a colon and a space after the key.",
    "while scanning a quoted scalar": "Close the quotes that open here.",
    "while parsing a flow": _BRACKETS,
    "expected '-' indicator": "Begin each item of a list with '- ', all in one column.",
    "expected key": "Indent the key like its neighbours, and put a text with an apostrophe in double quotes.",
    "while scanning an alias": "Put a value that begins with * in quotes.",
    "while scanning an anchor": "Put a value that begins with & in quotes.",
}
_BEGINNINGS = ("while scanning a simple key", "while scanning a quoted scalar")
"""Complaints whose cause stands where they begin, and not where the parser gave up."""


def describe_syntax_error(text: str, error: yaml.MarkedYAMLError) -> tuple[int, int, str, str]:
    """Line and column, from 1, then the problem and a hint, for what the parser says of the document ``text``."""
    words = ", ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    if words.startswith(_BEGINNINGS) and error.context_mark:
        mark = error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = LINE_END.split(text)
    if line >= len(lines):  # behind a last line without an end
        line, column = len(lines) - 1, len(lines[-1])
    return line + 1, column + 1, f"not YAML: {words}", _hint(words, lines[line], column)


def _hint(words: str, written: str, column: int) -> str:
    if "\u00a0" in written:
        return "Write ordinary spaces: there is a no-break space in that line."
    if "cannot start any token" in words:
        return _TABS if written[column : column + 1] == "\t" else "Put the value in quotes."
    return next((hint for complaint, hint in _HINTS.items() if complaint in words), SYNTAX_HINT)
