"""Group commit: of the threads that append at the same time, one leads and commits for all who wait.

So many appends share one sync, as many as come in while the one before goes on. The idea is that of DeWitt et al.,
"Implementation Techniques for Main Memory Database Systems", SIGMOD 1984.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_Work = TypeVar("_Work")
_Outcome = TypeVar("_Outcome")


class _Waiting(Generic[_Work, _Outcome]):
    """One thread's piece of work; ``woken`` is released once it is done or its thread is to lead."""

    __slots__ = ("error", "outcome", "woken", "work")

    def __init__(self, work: _Work) -> None:
        self.work = work
        self.outcome: _Outcome | None = None
        self.error: BaseException | None = None
        self.woken = threading.Lock()
        self.woken.acquire()

    def is_done(self) -> bool:
        return self.outcome is not None or self.error is not None

    def result(self) -> _Outcome:
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome


class GroupCommit(Generic[_Work, _Outcome]):
    """``commit`` takes the work of one or more threads and gives an outcome for each, or raises for all of them."""

    def __init__(self, commit: Callable[[Sequence[_Work]], Sequence[_Outcome]]) -> None:
        self._commit = commit
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._gate = threading.Lock()
        self._queue: list[_Waiting[_Work, _Outcome]] = []
        self._is_led = False
        self._next: _Waiting[_Work, _Outcome] | None = None

    def submit(self, work: _Work) -> _Outcome:
        """Have ``work`` committed, by this thread or by one that leads already."""
        if os.getpid() != self._pid:
            self._begin()  # a forked child has none of the threads that were waiting here
        with self._gate:
            alone = not self._is_led
            if alone:
                self._is_led = True
            else:
                mine: _Waiting[_Work, _Outcome] = _Waiting(work)
                self._queue.append(mine)
        if alone:
            try:
                return self._commit([work])[0]
            finally:
                with self._gate:
                    self._appoint()
        self._wait(mine)
        if not mine.is_done():
            self._lead(mine)
        return mine.result()

    def _wait(self, mine: _Waiting[_Work, _Outcome]) -> None:
        try:
            mine.woken.acquire()
        except BaseException:  # an interrupt: whoever may have been told to lead must not leave the others waiting
            with self._gate:
                if mine in self._queue:
                    self._queue.remove(mine)
                if self._next is mine:
                    self._appoint()
            raise

    def _lead(self, mine: _Waiting[_Work, _Outcome]) -> None:
        with self._gate:
            batch, self._queue, self._next = self._queue, [], None
        try:
            outcomes = self._commit([waiting.work for waiting in batch])
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcome = outcome
        except BaseException as error:  # noqa: BLE001 - each thread raises it itself
            for waiting in batch:
                waiting.error = error
        for waiting in batch:
            if waiting is not mine:
                waiting.woken.release()
        with self._gate:
            self._appoint()

    def _appoint(self) -> None:
        """Let the thread lead that has waited longest; the caller holds the gate."""
        self._next = self._queue[0] if self._queue else None
        self._is_led = self._next is not None
        if self._next is not None:
            self._next.woken.release()
