"""One growing file of the index, compared with what the journal gives while the journal is being read.

A fold renders lines oldest first, so a file is passed over from its start, a newest-first one from its end. What has
been compared is forgotten. The file is open only while it is looked at, for there may be thousands.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from osiris.ledger.replay import Edits, line_key, revised

_LINES_AT_ONCE = 128
_REACH_BYTES = 512
_LONGEST_LINE_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which the index differs from the journal; ``path`` is relative to the index, lines count from 1.

    ``line`` is the first one that differs; in a newest-first file, the one nearest to the end of the file.
    """

    path: str
    problem: Literal["missing", "extra", "edited", "stale", "empty", "link", "not_a_file", "unreadable"]
    detail: str
    line: int = 0


class ComparedFile:
    """How far the file ``path`` is what the journal gives."""

    def __init__(self, path: str, *, newest_first: bool) -> None:
        self._path = path
        self._newest_first = newest_first
        self._passed_bytes = 0
        self._alike = 0
        self._verdict: Literal["alike", "behind", "differs"] = "alike"
        self._deferred: list[tuple[int, bytes]] = []
        self.wanted = 0
        self.wanted_bytes = 0
        self.difference: Difference | None = None

    def compare(self, directory: Path, lines: Sequence[bytes], *, may_defer: bool) -> int:
        """Compare the next ``lines`` with the file and pass over them; returns how many bytes had to be deferred.

        With ``may_defer``, a line that is known by the same key as the one in its place is kept: a later entry may
        explain the difference.
        """
        self.wanted += len(lines)
        self.wanted_bytes += sum(map(len, lines))
        before = len(self._deferred)
        if self._verdict == "alike" and self.difference is None:
            self._on_disk(directory, lambda disk: self._pass_over(disk, lines, may_defer=may_defer))
        return sum(len(line) for _, line in self._deferred[before:])

    def settle(self, directory: Path, edits: Edits) -> bool:
        """Whether ``edits`` explain every line that was deferred, and every one of them explains one."""
        if not edits.keys() <= {line_key(line) for _, line in self._deferred}:
            return False
        if self._deferred and self.difference is None:
            self._on_disk(directory, lambda disk: self._explain(disk, edits))
        return not self._deferred

    def finish(self, directory: Path) -> Difference | None:
        """How the file differs, once all lines were compared."""
        if self.difference is None:
            self._on_disk(directory, self._conclude)
        return self.difference

    def _pass_over(self, disk: _Disk, lines: Sequence[bytes], *, may_defer: bool) -> None:
        for start in range(0, len(lines), _LINES_AT_ONCE):
            some = lines[start : start + _LINES_AT_ONCE]
            if disk.pass_over(b"".join(reversed(some) if self._newest_first else some)):
                self._alike += len(some)
            elif not self._pass_over_each(disk, some, may_defer=may_defer):
                break
        self._passed_bytes = disk.passed_bytes

    def _pass_over_each(self, disk: _Disk, lines: Sequence[bytes], *, may_defer: bool) -> bool:
        for line in lines:
            actual = disk.line(len(line))
            if actual != line:
                if not (may_defer and line_key(line) and line_key(actual) == line_key(line)):
                    self._verdict = "differs" if actual else "behind"
                    return False
                self._deferred.append((disk.passed_bytes, line))
            disk.passed_bytes += len(actual)
            self._alike += 1
        return True

    def _explain(self, disk: _Disk, edits: Edits) -> None:
        for disk.passed_bytes, line in self._deferred:
            final = revised(line, edits)
            if disk.line(len(final)) != final:
                return
            self.wanted_bytes += len(final) - len(line)
        self._deferred = []

    def _conclude(self, disk: _Disk) -> None:
        if self._verdict != "alike" or disk.size != self._passed_bytes:
            self.difference = self._described(disk.count_lines())

    def _described(self, have: int) -> Difference:
        if have == 0:
            return Difference(path=self._path, problem="empty", detail=f"no lines, the journal gives {self.wanted}")
        if self._verdict == "behind":
            detail = f"{have} of {self.wanted} lines; the newest are not there"
            return Difference(path=self._path, problem="stale", detail=detail)
        line = have - self._alike if self._newest_first else self._alike + 1
        detail = f"line {line} differs ({have} lines, the journal gives {self.wanted})"
        return Difference(path=self._path, problem="edited", line=line, detail=detail)

    def _on_disk(self, directory: Path, use: Callable[[_Disk], None]) -> None:
        """Open the file for as long as ``use`` takes; whatever stops that is the difference."""
        self.difference = look(directory, self._path)
        if self.difference is not None:
            return
        try:
            fd = os.open(directory / self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                use(_Disk(fd, self._passed_bytes, newest_first=self._newest_first))
            finally:
                os.close(fd)
        except OSError as cause:
            self.difference = unreadable(self._path, cause)


class _Disk:
    """The lines of an open file in the order of a fold: from its start, or from its end if it is newest first."""

    def __init__(self, fd: int, passed_bytes: int, *, newest_first: bool) -> None:
        self._fd = fd
        self._newest_first = newest_first
        self.passed_bytes = passed_bytes
        self.size = os.fstat(fd).st_size

    def pass_over(self, block: bytes) -> bool:
        """Pass over whole lines if they are what comes next."""
        if not self._newest_first:
            found = os.pread(self._fd, len(block), self.passed_bytes) == block
        else:
            start = self.size - self.passed_bytes - len(block)
            before = start > 0  # what stands there must end a line: the first of ours may be the end of a longer one
            content = os.pread(self._fd, len(block) + before, start - before) if start >= 0 else b""
            found = len(content) == len(block) + before and content.endswith(block) and (content[0] == 10 or not before)
        if found:
            self.passed_bytes += len(block)
        return found

    def line(self, usual_bytes: int) -> bytes:
        """The next line, not yet passed over; empty at the end. One that is absurdly long is cut."""
        reach = usual_bytes + _REACH_BYTES
        while True:
            if self._newest_first:
                end = max(0, self.size - self.passed_bytes)
                content = os.pread(self._fd, min(reach, end), max(0, end - reach))
                start = content.rfind(b"\n", 0, -1) + 1
                if start or reach >= min(end, _LONGEST_LINE_BYTES):
                    return content[start:]
            else:
                content = os.pread(self._fd, reach, self.passed_bytes)
                end = content.find(b"\n") + 1
                if end or len(content) < reach or reach > _LONGEST_LINE_BYTES:
                    return content[: end or None]
            reach *= 8

    def count_lines(self) -> int:
        """How many lines the file has; a last one without its newline counts."""
        lines, offset, last = 0, 0, b"\n"
        while block := os.pread(self._fd, _BLOCK_BYTES, offset):
            lines += block.count(b"\n")
            offset += len(block)
            last = block[-1:]
        return lines + (last != b"\n")


def look(directory: Path, path: str) -> Difference | None:
    """Why ``path`` is not even a plain file."""
    try:
        mode = os.lstat(directory / path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Difference(path=path, problem="missing", detail="it is not there")
    except OSError as cause:
        return unreadable(path, cause)
    if stat.S_ISLNK(mode):
        return Difference(path=path, problem="link", detail="a link stands in its place")
    if not stat.S_ISREG(mode):
        return Difference(path=path, problem="not_a_file", detail="something else stands in its place")
    return None


def unreadable(path: str, cause: Exception) -> Difference:
    """``path`` is there and cannot be read."""
    return Difference(path=path, problem="unreadable", detail=str(cause))
