"""``osiris`` and ``python -m osiris``: what happens before the command line itself is imported."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

_CANCELLED = 130
"""``ExitCode.CANCELLED``, which is not imported yet."""


def main() -> NoReturn:
    """Run the command line. Ctrl-C ends it quietly from here on: nothing has been done yet."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from osiris.cli.main import main as run  # noqa: PLC0415 - takes long enough to be interrupted

    run()


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signal module's signature
    os._exit(_CANCELLED)


if __name__ == "__main__":
    main()
