"""Work folders of runs under the cache: one for each living run, and what dead runs left is removed."""

from __future__ import annotations

from pathlib import Path

from osiris import durable
from osiris.errors import disk_error
from osiris.ledger.sessions import Sessions


class WorkFolders:
    """Folders named by the session of their run, so that it can be told whether somebody still uses one."""

    def __init__(self, root: Path, sessions: Sessions) -> None:
        self._root = root
        self._sessions = sessions

    def open(self, session: str) -> Path:
        """An empty folder for a run; folders of dead runs go."""
        folder = self._root / session
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            for other in self._root.iterdir():
                if not self._sessions.is_alive(other.name):
                    durable.remove_tree(other)
            folder.mkdir()
        except OSError as cause:
            raise disk_error("make the work folder", folder, cause) from cause
        return folder

    def close(self, session: str) -> None:
        """The run needs its folder no longer."""
        try:
            durable.remove_tree(self._root / session)
        except OSError as cause:
            raise disk_error("empty the work folder", self._root / session, cause) from cause
