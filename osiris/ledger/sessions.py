"""Which runs are alive: each running process holds a lock file of its own for as long as it lives."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from osiris import durable
from osiris.clock import Clock, next_ulid
from osiris.errors import OsirisError, disk_error
from osiris.locks import HeldLock, is_held, try_acquire


class Sessions:
    """The lock files in one directory, named by ULIDs."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def open(self) -> tuple[str, HeldLock]:
        """A new session and its lock, held before anybody can hear of the session."""
        try:
            durable.make_directory(self._directory)
        except OSError as cause:
            raise disk_error("create", self._directory, cause) from cause
        name = ""
        while True:
            name = next_ulid(self._clock.now(), after=name)
            path = self._path(name)
            if not path.exists():
                held = try_acquire(path)
                if held is not None:
                    return name, held

    def sweep(self, kept: Collection[str]) -> None:
        """Remove the files of sessions that died before anybody heard of them: not in ``kept``, and held by nobody."""
        try:
            for path in self._directory.glob("*.lock"):
                if path.stem not in kept and path.stem.isupper():
                    with contextlib.suppress(FileNotFoundError):
                        held = try_acquire(path, create=False)
                        if held is not None:
                            durable.remove_file(path)
                            held.release()
        except OSError as cause:
            raise disk_error("sweep", self._directory, cause) from cause

    def close(self, name: str, held: HeldLock) -> None:
        """End a session whose run has its last event in the journal."""
        self.forget(name)
        held.release()

    def is_alive(self, name: str) -> bool:
        """Whether the process of the session still lives."""
        return is_held(self._path(name))

    def forget(self, name: str) -> None:
        """Remove the file of a session that has ended."""
        try:
            durable.remove_file(self._path(name))
        except OSError as cause:
            raise disk_error("remove", self._path(name), cause) from cause

    def _path(self, name: str) -> Path:
        if not name.isalnum():
            raise OsirisError(f"{name!r} names no session", code="session.invalid")
        return self._directory / f"{name}.lock"
