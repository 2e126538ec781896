"""The one error that Osiris raises on purpose, and the one table of exit codes."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple


class ExitCode(IntEnum):
    """How an ``osiris`` process ends. ``docs/exit-codes.md`` shows the same table; a test holds them together."""

    DONE = 0
    PIPELINE_FAILED = 1
    USAGE = 2
    INDEX_DRIFT = 3
    TORN_TAIL = 4
    CORRUPT = 5
    LOCKED = 6
    DISK = 7
    NEWER_OSIRIS = 8
    BUG = 70
    CANCELLED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.PIPELINE_FAILED: "the pipeline ran and failed",
    ExitCode.USAGE: "wrong usage, configuration, connection or pipeline file",
    ExitCode.INDEX_DRIFT: "the index differs from the journal (`osiris index rebuild` mends it)",
    ExitCode.TORN_TAIL: "the journal has a torn tail (the next write mends it)",
    ExitCode.CORRUPT: "the journal is corrupt or was rolled back",
    ExitCode.LOCKED: "a lock could not be had in time",
    ExitCode.DISK: "the disk failed: full, read-only or I/O error, or the journal is fenced off after that",
    ExitCode.NEWER_OSIRIS: "written by a newer Osiris",
    ExitCode.BUG: "a bug in Osiris",
    ExitCode.CANCELLED: "stopped by Ctrl-C or SIGTERM; a run is recorded as cancelled",
}


class Finding(NamedTuple):
    """One problem in a file, with its place. Lines and columns count from 1; 0 means that the place is unknown."""

    problem: str
    hint: str = ""
    path: str = ""
    line: int = 0
    column: int = 0

    @property
    def where(self) -> str:
        """``file:line:column``, as far as it is known."""
        parts = [self.path] if self.path else []
        if self.line:
            parts += [str(self.line), str(self.column)]
        return ":".join(parts)


class OsirisError(Exception):
    """Something that a person can understand and act on.

    ``problem`` says what is wrong and where, ``hint`` what to do about it, ``code`` is a stable dotted name for
    programs, ``path`` the file it is about. ``findings`` holds every problem where one check found several.
    """

    def __init__(
        self,
        problem: str,
        hint: str = "",
        *,
        code: str,
        exit_code: ExitCode = ExitCode.USAGE,
        path: str = "",
        findings: Sequence[Finding] = (),
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.code = code
        self.exit_code = exit_code
        self.path = path
        self.findings = tuple(findings)


def findings_error(findings: Sequence[Finding], *, code: str) -> OsirisError:
    """One error for all that a check found; ``findings`` must not be empty. The first finding speaks for the rest."""
    first = findings[0]
    problem = f"{first.where}: {first.problem}" if first.where else first.problem
    return OsirisError(problem, first.hint, code=code, path=first.path, findings=findings)


_DISK_HINTS = {
    errno.ENOSPC: "Free some space on that disk, then run the command again.",
    errno.EDQUOT: "Free some of your quota, then run the command again.",
    errno.EROFS: "The file system is read-only; mount it for writing or work on a copy of the project.",
    errno.EACCES: "Check the permissions of that path, or work on a copy of the project.",
    errno.EPERM: "Check the permissions of that path, or work on a copy of the project.",
    errno.EIO: "The disk reports an I/O error; check it before you go on.",
}


def disk_error(operation: str, path: Path | str, cause: OSError) -> OsirisError:
    """Exit 7, with the operation, the path and the system's own words."""
    hint = _DISK_HINTS.get(cause.errno or 0, "Check the path and the disk, then run the command again.")
    reason = cause.strerror or str(cause)
    return OsirisError(
        f"could not {operation} {path}: {reason}", hint, code="disk.failed", exit_code=ExitCode.DISK, path=str(path)
    )
