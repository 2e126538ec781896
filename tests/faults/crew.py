"""Workers in processes of their own: started, told to go on, listened to, killed."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cli.shop import environment

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 60


class Worker:
    """One process in a role of :mod:`tests.faults.ledger_worker`; it waits for :meth:`go`."""

    def __init__(self, role: str, root: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.ledger_worker", role, str(root), *arguments],
            cwd=REPOSITORY,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        self._unread = b""

    def go(self) -> None:
        """Wait until it is ready, and let it go on."""
        assert self.hear() == {"ready": True}
        self.tell()

    def tell(self) -> None:
        """Send the line that it waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any] | None:
        """Its next document; None once it has ended."""
        deadline = time.monotonic() + DEADLINE_S
        while b"\n" not in self._unread:
            assert select.select([self._out], [], [], deadline - time.monotonic())[0], "it said nothing in time"
            if not (read := os.read(self._out.fileno(), 65536)):
                return None
            self._unread += read
        line, self._unread = self._unread.split(b"\n", 1)
        document: dict[str, Any] = json.loads(line)
        return document

    def heard_at_once(self) -> bool:
        """Whether :meth:`hear` would not have to wait."""
        return b"\n" in self._unread or bool(select.select([self._out], [], [], 0)[0])

    def fileno(self) -> int:
        """So that many can be waited for at once."""
        return self._out.fileno()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; a kill is waited for, a stop is seen by the kernel before this returns."""
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(DEADLINE_S)
        elif number == signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def end(self, check: int = 0) -> str:
        """Let it end by itself, with the exit code ``check``; what it said on stderr."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        error = self._process.stderr.read().decode() if self._process.stderr else ""
        assert self._process.wait(DEADLINE_S) == check, error
        assert "Traceback" not in error, error
        return error

    def close(self) -> None:
        """Kill it and what it left behind in its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()


@contextlib.contextmanager
def crew(*roles: tuple[str, Path, str] | tuple[str, Path, str, str]) -> Iterator[list[Worker]]:
    """Workers that are ready and have been told to go on; all are gone after the block."""
    workers: list[Worker] = []
    try:
        for role, root, *arguments in roles:
            workers.append(Worker(role, root, *arguments))
        for worker in workers:
            worker.go()
        yield workers
    finally:
        for worker in workers:
            worker.close()
