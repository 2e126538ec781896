"""The fence: a file that makes every writer refuse, left where nobody can say what the disk holds.

An append that fails is taken back. Where that fails as well, the journal's end is unknown, also to the kernel: bytes
that can be read may not be on the disk. So nothing more is written behind them until a person has looked.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from osiris import durable
from osiris.errors import ExitCode, OsirisError

FENCE_NAME = "FENCE"
_RAISING = ".FENCE.tmp"
_log = logging.getLogger("osiris.journal")


class FenceNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says: when, where the journal had ended before, and what failed."""

    at: str
    segment: str
    offset: int
    problem: str


class Fence:
    """The fence of the journal in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FENCE_NAME
        self._name = str(self.path)
        self._raised = False

    def refuse(self) -> None:
        """Exit 7 where the fence stands."""
        if self._raised or os.access(self._name, os.F_OK):
            raise OsirisError(
                f"the journal is fenced off: {self._story()}",
                "Check the disk, then run `osiris index repair`; nothing was recorded.",
                code="journal.fenced",
                exit_code=ExitCode.DISK,
                path=self._name,
            )

    def put_up(self, note: FenceNote) -> None:
        """Put the fence up, for every process and over a power cut; ``OSError`` where that cannot be had."""
        content = msgspec.json.encode(note) + b"\n"
        durable.replace_file(self.path, content, sync=True, temporary=self.path.with_name(_RAISING))

    def raise_somehow(self, note: FenceNote) -> None:
        """Put the fence up; on a disk that takes no file either, it stands in this process alone."""
        try:
            self.put_up(note)
        except OSError as cause:
            self._raised = True
            _log.error("no fence could be left in %s: %s; let no other Osiris write there", self.path.parent, cause)

    def take_down(self) -> None:
        """After a repair."""
        durable.remove_file(self.path)
        durable.sync_directory(self.path.parent)
        self._raised = False

    def _story(self) -> str:
        try:
            note = msgspec.json.decode(self.path.read_bytes(), type=FenceNote)
        except (OSError, msgspec.MsgspecError):
            return "a write to it failed, and nobody knows what the disk holds"
        return f"since {note.at}, for {note.segment} is in doubt ({note.problem})"
