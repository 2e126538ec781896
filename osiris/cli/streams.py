"""What components print while they run: masked, and never among the results on stdout."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TextIO

from osiris.redaction import known_secrets


class ScrubbedStream(io.TextIOBase):
    """Writes whole lines to ``stream``, each without the secrets that this process knows.

    A live display at the end of the screen draws under ``lock``; ``make_room``, which it sets meanwhile, says what to
    write before anything else is, so that this comes to stand above the display.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.make_room: Callable[[], str] = str
        self._stream = stream
        self._held = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a settable attribute here
        """The stream's."""
        return self._stream.encoding

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The stream's. What is written to it directly, by a C library or a child process, is not masked."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Hold back what is no whole line yet: a secret may come in pieces."""
        with self.lock:
            lines, end, self._held = (self._held + text).rpartition("\n")
            if end:
                self._pass_on(lines + end)
        return len(text)

    def flush(self) -> None:
        """Pass on what is held back."""
        with self.lock:
            held, self._held = self._held, ""
            if held:
                self._pass_on(held)
            self._stream.flush()

    def _pass_on(self, text: str) -> None:
        self._stream.write(self.make_room() + known_secrets().scrub(text))


@contextmanager
def steps_print_to_stderr() -> Iterator[ScrubbedStream]:
    """Inside, what is printed goes to stderr; that, and what is written to ``sys.stderr``, is masked.

    Gives the stream through which it goes.
    """
    stream = ScrubbedStream(sys.stderr)
    with redirect_stdout(stream), redirect_stderr(stream):
        try:
            yield stream
        finally:
            with suppress(OSError):  # nobody reads it
                stream.flush()
