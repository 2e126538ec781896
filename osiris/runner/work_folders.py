"""Work folders of runs under the cache: one for each living run, and what dead runs left is removed."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from osiris import durable
from osiris.errors import disk_error
from osiris.ledger.sessions import Sessions

_SESSION = re.compile(r"[0-9A-Z]{26}")
_log = logging.getLogger("osiris.runner")


class WorkFolders:
    """Folders named by the session of their run, so that it can be told whether somebody still uses one."""

    def __init__(self, root: Path, sessions: Sessions) -> None:
        self._root = root
        self._sessions = sessions

    def open(self, session: str) -> Path:
        """An empty folder for a run; folders of dead runs go."""
        folder = self._root / session
        try:
            folder.mkdir(parents=True)
        except OSError as cause:
            raise disk_error("make the work folder", folder, cause) from cause
        self._sweep()
        return folder

    def _sweep(self) -> None:
        """Remove what dead runs left. What else lies there is left alone, and no run fails for it."""
        try:
            for other in self._root.iterdir():
                if _SESSION.fullmatch(other.name) and not self._sessions.is_alive(other.name):
                    durable.remove_tree(other)
        except OSError as cause:
            _log.warning("work folders of earlier runs could not be removed: %s", cause)

    def close(self, session: str) -> None:
        """The run needs its folder no longer."""
        try:
            durable.remove_tree(self._root / session)
        except OSError as cause:
            raise disk_error("empty the work folder", self._root / session, cause) from cause
