"""``osiris`` and ``python -m osiris``: what happens before the command line itself is imported."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

_CANCELLED = 130
"""``ExitCode.CANCELLED``, which is not imported yet."""


def main() -> NoReturn:
    """Run the command line. Ctrl-C ends it quietly from here on: nothing has been done yet."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    _speak_utf8()
    from osiris.cli.main import main as run  # noqa: PLC0415 - takes long enough to be interrupted

    run()


def _speak_utf8() -> None:
    """Begin again in UTF-8 mode where the locale has names of files in anything else, ASCII say.

    Files are named by what stands in UTF-8 in pipelines and in the journal, and DuckDB knows no other encoding. Only a
    new interpreter can change it. Asked for once only: options such as ``-E`` or ``-X utf8=0`` have the last word.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command, without a shell


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signal module's signature
    os._exit(_CANCELLED)


if __name__ == "__main__":
    main()
