"""Whole lines of a file that may be growing: forward from where one is, or backward from its end. Nothing is locked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from osiris.errors import disk_error

_BLOCK_BYTES = 256 * 1024


class LineFile:
    """One file that is read once from here to its end, and again as it grows; opened when it is there.

    A last line without its end is kept back: it is being written, or a kill cut it. Raises exit 7 where the disk does
    not give the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._offset = 0
        self._rest = b""

    def open(self) -> bool:
        """Whether the file could be opened, now or before; what is open stays readable when it is removed."""
        if self._fd < 0:
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                return False
            except OSError as cause:
                raise disk_error("read", self.path, cause) from cause
        return True

    @property
    def unfinished_bytes(self) -> int:
        """How much there is behind the last whole line that was read."""
        return len(self._rest)

    def blocks(self) -> Iterator[list[bytes]]:
        """The whole lines behind those that were read already, without their ends; a list for each block."""
        while self.open() and (block := self._read(self._offset)):
            self._offset += len(block)
            lines, end, self._rest = (self._rest + block).rpartition(b"\n")
            if end:
                yield lines.split(b"\n")

    def backward(self) -> Iterator[bytes]:
        """The whole lines that there are now, last first; :meth:`blocks` then gives what comes behind them."""
        if not self.open():
            return
        start = self._offset = self._size()
        self._rest = pending = b""
        line_end_seen = False  # what stands behind the last line end is no line
        while start > 0:
            size = min(start, _BLOCK_BYTES)
            start -= size
            parts = (self._read(start, size) + pending).split(b"\n")
            if not line_end_seen and len(parts) > 1:
                self._rest = parts.pop()
                line_end_seen = True
            pending = parts[0]
            yield from reversed(parts[1:])
        if line_end_seen:
            yield pending
        else:
            self._rest = pending

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _size(self) -> int:
        try:
            return os.fstat(self._fd).st_size
        except OSError as cause:
            raise disk_error("read", self.path, cause) from cause

    def _read(self, offset: int, size: int = _BLOCK_BYTES) -> bytes:
        try:
            return os.pread(self._fd, size, offset)
        except OSError as cause:
            raise disk_error("read", self.path, cause) from cause
