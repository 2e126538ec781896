"""Advisory file locks: the kernel drops them when their holder dies, so there are no pid files and no stale locks.

Built on ``portalocker.lock``, the bare ``flock``. ``portalocker.Lock`` is not used: it polls every 250 ms.
A lock file is created once and kept. Should somebody unlink one, two processes could hold "the" lock through two
files; so a lock counts only while its path still leads to the locked file.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from osiris.errors import ExitCode, OsirisError, disk_error

_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.02


class HeldLock:
    """A lock that this process holds until :meth:`release`, the end of a ``with`` block, or its death."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self.path = path

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> HeldLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def try_acquire(path: Path, *, create: bool = True, shared: bool = False) -> HeldLock | None:
    """Take the lock at ``path`` now, or return None if another holder has it.

    Without ``create`` a missing file raises ``FileNotFoundError``. Exit 7 if the file cannot be opened otherwise.
    """
    from portalocker import LockFlags, lock  # noqa: PLC0415 - costs 60 ms of start-up; most reading verbs take no lock
    from portalocker.exceptions import LockException  # noqa: PLC0415

    kind = (LockFlags.SHARED if shared else LockFlags.EXCLUSIVE) | LockFlags.NON_BLOCKING
    flags = (os.O_RDWR | os.O_CREAT if create else os.O_RDONLY) | os.O_CLOEXEC
    while True:
        try:
            fd = os.open(path, flags, 0o644)
        except FileNotFoundError:
            raise
        except OSError as cause:
            raise disk_error("open the lock", path, cause) from cause
        try:
            lock(fd, kind)
        except LockException:
            os.close(fd)
            return None
        if _leads_to(path, fd):
            return HeldLock(fd, path)
        os.close(fd)


def acquire(path: Path, *, timeout_s: float, purpose: str, create: bool = True, shared: bool = False) -> HeldLock:
    """Take the lock at ``path``, waiting up to ``timeout_s`` seconds; exit 6 past that.

    A ``shared`` lock keeps writers out and lets others share it; see :func:`try_acquire` for ``create``.
    Waiting is a retry with a short, growing, slightly random pause, so that no waiter is starved by a rhythm.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        held = try_acquire(path, create=create, shared=shared)
        if held is not None:
            return held
        if time.monotonic() >= deadline:
            raise OsirisError(
                f"another process held {path} for {timeout_s:g} s, {purpose} could not go on",
                "Find the process with `fuser` or `lsof` on that file and let it finish, then try again.",
                code="lock.timeout",
                exit_code=ExitCode.LOCKED,
                path=str(path),
            )
        time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


@contextlib.contextmanager
def quiet(path: Path, *, timeout_s: float, purpose: str) -> Iterator[None]:
    """Keep the lock's holders out for the length of the block without creating the file: what is missing has none."""
    try:
        held = acquire(path, timeout_s=timeout_s, purpose=purpose, create=False, shared=True)
    except FileNotFoundError:
        yield
        return
    with held:
        yield


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at ``path``; a missing file is held by nobody.

    Creates nothing, and two that ask at once do not take each other for the holder.
    """
    try:
        held = try_acquire(path, create=False, shared=True)
    except FileNotFoundError:
        return False
    if held is None:
        return True
    held.release()
    return False


def _leads_to(path: Path, fd: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False
