"""Lines of the index's growing files, from either end, without reading a long file whole.

``holding`` are bytes that stand in the wanted lines. The search for the first of them runs at the speed of memory, so
that a few lines among a million are found without looking at the others one by one.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lines_forward(path: Path, holding: tuple[bytes, ...] = ()) -> Iterator[bytes]:
    """The lines of a file, first first."""
    if not holding:
        with path.open("rb") as file:
            yield from file
        return
    with _mapped(path) as content:
        end = 0
        while (found := content.find(holding[0], end)) >= 0:
            start = content.rfind(b"\n", end, found) + 1 or end
            end = content.find(b"\n", found) + 1 or len(content)
            line = content[start:end]
            if all(part in line for part in holding):
                yield line


def lines_backward(path: Path, holding: tuple[bytes, ...] = ()) -> Iterator[bytes]:
    """The lines of a file, last first; a last line without its newline is left out."""
    wanted = holding[0] if holding else b"\n"
    with _mapped(path) as content:
        start = content.rfind(b"\n") + 1
        while (found := content.rfind(wanted, 0, start)) >= 0:
            end = content.find(b"\n", found) + 1
            start = content.rfind(b"\n", 0, found) + 1
            line = content[start:end]
            if all(part in line for part in holding):
                yield line


def lines_beginning_with(key: bytes, path: Path) -> Iterator[bytes]:
    """The lines that begin with ``key``, last first."""
    with _mapped(path) as content:
        start = len(content)
        while (start := _last_line_start(content, key, start)) >= 0:
            yield content[start : content.find(b"\n", start)]


def _last_line_start(content: mmap.mmap | bytes, key: bytes, before: int) -> int:
    found = content.rfind(b"\n" + key, 0, before)
    if found >= 0:
        return found + 1
    return 0 if before > 0 and content[: len(key)] == key else -1


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """The file in memory, as far as anybody looks at it; no bytes can be mapped of an empty one."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
