"""Stopping a library that waits for a server: DuckDB's interrupt reaches DuckDB alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from osiris.components.base import CancelToken

_LOOK_S = 0.1


@contextlib.contextmanager
def interrupting(cancel: CancelToken, interrupt: Callable[[], None]) -> Iterator[None]:
    """While the block lasts, call ``interrupt`` when the run is being stopped, and again until the block ends.

    Again, because what comes between two statements of the block is lost. The calls come from a thread of their own.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_S):
            if cancel.cancelled:
                interrupt()

    watcher = threading.Thread(target=watch, name="osiris-interrupt", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
