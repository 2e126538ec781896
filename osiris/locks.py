"""Advisory file locks: the kernel drops them when their holder dies, so there are no pid files and no stale locks.

Built on ``flock``, mostly through ``portalocker.lock``; ``portalocker.Lock`` polls every 250 ms. Should somebody unlink
a lock file, two processes could hold "the" lock through two files; so a lock counts only while its path still leads to
the locked file. A forked child gives up what it inherited: else the lock of a dead parent would live on in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.forks import undivided

if TYPE_CHECKING:
    from portalocker import LockFlags

_FIRST_PAUSE_S = 0.0001
_LONGEST_PAUSE_S = 0.008
_LONG_S = 0.1
_PAUSE_OF_THE_LONGEST_S = 0.0003
_EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB


class HeldLock:
    """A lock that this process holds until :meth:`release`, the end of a ``with`` block, or its death."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self.path = path
        _descriptors.add(self)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    after_fork = release

    def __enter__(self) -> HeldLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class LockFile:
    """A lock that one object takes again and again, for its threads in turn; its descriptor stays open in between.

    ``guard`` is a directory that is locked as well. It cannot be unlinked while there is something in it, so it keeps
    two apart who hold the lock through two files after somebody has removed the first.
    """

    def __init__(self, path: Path, *, guard: Path) -> None:
        self.path = path
        self._name = str(path)
        self._guard = guard
        self._fds = (-1, -1)
        self._file = (0, 0)
        self._thread = threading.Lock()
        _descriptors.add(self)

    def take(self, *, timeout_s: float, purpose: str) -> None:
        """Take the lock, waiting up to ``timeout_s`` seconds; exit 6 past that."""
        began = time.monotonic()
        if not self._thread.acquire(blocking=False) and not self._thread.acquire(timeout=timeout_s):
            raise _timed_out(self.path, timeout_s, purpose)
        try:
            if self._try():
                return
            for _ in _pauses(began + timeout_s):
                if self._try():
                    return
        except BaseException:
            self._thread.release()
            raise
        self._thread.release()
        raise _timed_out(self.path, timeout_s, purpose)

    def release(self) -> None:
        """Let go, for the next who wants it."""
        lock_fd, guard_fd = self._fds
        if guard_fd >= 0:
            fcntl.flock(guard_fd, fcntl.LOCK_UN)
            fcntl.flock(lock_fd, fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        """Close the descriptors; the next use opens them again."""
        for fd in self._fds:
            if fd >= 0:
                os.close(fd)
        self._fds = (-1, -1)

    __del__ = close

    def after_fork(self) -> None:
        """In a forked child: what was inherited is the parent's, and so is whoever held it."""
        self.close()
        self._thread = threading.Lock()

    def _try(self) -> bool:
        while True:
            if self._fds[0] < 0:
                self._open()
            lock_fd, guard_fd = self._fds
            try:
                # The call that portalocker.lock wraps: its checks of the flags cost as much as the rest of an append.
                fcntl.flock(lock_fd, _EXCLUSIVE)
                if not self._is_where_it_was():
                    self.close()
                    continue
                fcntl.flock(guard_fd, _EXCLUSIVE)
            except BlockingIOError:
                fcntl.flock(lock_fd, fcntl.LOCK_UN)
                return False
            except OSError as cause:
                raise disk_error("lock", self.path, cause) from cause
            return True

    def _is_where_it_was(self) -> bool:
        try:
            found = os.stat(self._name)  # noqa: PTH116 - on the path of every append
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._file

    def _open(self) -> None:
        try:
            lock_fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._fds = (lock_fd, -1)
            self._fds = (lock_fd, os.open(self._guard, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            opened = os.fstat(lock_fd)
            self._file = (opened.st_dev, opened.st_ino)
        except OSError as cause:
            self.close()
            raise disk_error("open the lock", self.path, cause) from cause


_descriptors: WeakSet[HeldLock | LockFile] = WeakSet()


def _give_up_what_was_inherited() -> None:
    for inherited in list(_descriptors):
        inherited.after_fork()


os.register_at_fork(after_in_child=_give_up_what_was_inherited)


def try_acquire(path: Path, *, create: bool = True, shared: bool = False) -> HeldLock | None:
    """Take the lock at ``path`` now, or return None if another holder has it.

    Without ``create`` a missing file raises ``FileNotFoundError``. Exit 7 if the file cannot be opened otherwise.
    """
    calls = _portalocker()
    flags = (os.O_RDWR | os.O_CREAT if create else os.O_RDONLY) | os.O_CLOEXEC
    while True:
        try:
            fd = os.open(path, flags, 0o644)
        except FileNotFoundError:
            raise
        except OSError as cause:
            raise disk_error("open the lock", path, cause) from cause
        if not (calls.try_shared(fd) if shared else calls.try_exclusive(fd)):
            os.close(fd)
            return None
        if _leads_to(path, fd):
            return HeldLock(fd, path)
        os.close(fd)


def acquire(path: Path, *, timeout_s: float, purpose: str, create: bool = True, shared: bool = False) -> HeldLock:
    """Take the lock at ``path``, waiting up to ``timeout_s`` seconds; exit 6 past that.

    A ``shared`` lock keeps writers out and lets others share it; see :func:`try_acquire` for ``create``.
    """
    for _ in _pauses(time.monotonic() + timeout_s):
        held = try_acquire(path, create=create, shared=shared)
        if held is not None:
            return held
    raise _timed_out(path, timeout_s, purpose)


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


def _pauses(deadline: float) -> Iterator[None]:
    """A try now and one after each pause, the last one at ``deadline``.

    The pauses grow, for many who look often keep those who work from working. Who has waited long looks often again, so
    that nobody is starved by those who come and go. They are slightly random, against rhythms.
    """
    pause_s, began = _FIRST_PAUSE_S, time.monotonic()
    while True:
        yield
        now = time.monotonic()
        if now >= deadline:
            return
        time.sleep(min(deadline - now, pause_s * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter, not a secret
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S) if now - began < _LONG_S else _PAUSE_OF_THE_LONGEST_S


def _timed_out(path: Path, timeout_s: float, purpose: str) -> OsirisError:
    return OsirisError(
        f"another process held {path} for {timeout_s:g} s, {purpose} could not go on",
        "Find the process with `fuser` or `lsof` on that file and let it finish, then try again.",
        code="lock.timeout",
        exit_code=ExitCode.LOCKED,
        path=str(path),
    )


class _Calls(NamedTuple):
    """portalocker's calls on a descriptor; the tries say whether they got the lock."""

    lock: Callable[[int, LockFlags], None]
    exclusive: LockFlags
    shared: LockFlags
    already_locked: type[Exception]
    failed: type[Exception]

    def try_exclusive(self, fd: int) -> bool:
        """Lock ``fd`` against everybody."""
        return self._try(fd, self.exclusive)

    def try_shared(self, fd: int) -> bool:
        """Lock ``fd`` against those who want it for themselves."""
        return self._try(fd, self.shared)

    def _try(self, fd: int, kind: LockFlags) -> bool:
        try:
            self.lock(fd, kind)
        except self.already_locked:
            return False
        except self.failed as cause:
            raise OsirisError(
                f"the file system gives no lock: {cause}",
                "Keep the project on a local disk.",
                code="lock.failed",
                exit_code=ExitCode.DISK,
            ) from cause
        return True


@functools.cache
def _portalocker() -> _Calls:
    with undivided:
        import portalocker  # noqa: PLC0415 - costs 8 ms of start-up; most reading verbs take no lock

    non_blocking = portalocker.LockFlags.NON_BLOCKING
    return _Calls(
        lock=portalocker.lock,
        exclusive=portalocker.LockFlags.EXCLUSIVE | non_blocking,
        shared=portalocker.LockFlags.SHARED | non_blocking,
        already_locked=portalocker.exceptions.AlreadyLocked,
        failed=portalocker.exceptions.LockException,
    )


def _leads_to(path: Path, fd: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(fd))  # noqa: PTH116 - on the path of every append
    return False
