"""The shape of the code itself: short files, short functions, plain names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "osiris").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])
LONGEST_FILE = 300
LONGEST_FUNCTION = 50
FORBIDDEN_NAMES = re.compile(r"(^|_)(manager|helpers?|utils?|info|process|handle|common)(_|$)")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_no_file_is_longer_than_300_lines_and_no_function_than_50(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE
    too_long = [
        f"{function.name}: {length} lines"
        for function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    ]
    assert too_long == []


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_names_say_what_a_thing_is(path: Path) -> None:
    names = {path.stem, *(function.name for function in functions(path))}
    assert [name for name in names if FORBIDDEN_NAMES.search(name.lower())] == []


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_every_public_definition_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    silent = [node.name for node in definitions if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert ast.get_docstring(tree) is not None
    assert silent == []


def test_only_durable_syncs_and_only_output_prints() -> None:
    def users_of(pattern: str) -> set[str]:
        return {ids(path) for path in SOURCES if re.search(pattern, path.read_text("utf-8"))}

    assert users_of(r"\bos\.f(data)?sync\(") == {"osiris/durable.py"}
    assert users_of(r"\bclick\.echo\(|\bprint\(") <= {"osiris/cli/output.py", "osiris/cli/progress.py"}
    assert users_of(r"\bdatetime\.now\(|\btime\.time\(") == {"osiris/clock.py"}
