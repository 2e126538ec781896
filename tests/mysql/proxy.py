"""A line between client and server on which things go wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from tests.mysql.server import Database

COMMIT = b"\x03COMMIT"
_LOCAL_FILES = 0x80


Meddling = Callable[[socket.socket, bytes], bytes]
"""From the client's socket, which it may close, and what the client sends to what goes on to the server."""


@contextmanager
def line_to(database: Database, meddle: Meddling) -> Iterator[dict[str, Any]]:
    """The values of a connection that leads through a proxy."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((database.values["host"], database.values["port"]))
                forth = threading.Thread(target=_pump, args=(client, server, partial(meddle, client)))
                for pump in (forth, threading.Thread(target=_pump, args=(server, client, bytes))):
                    pump.daemon = True
                    pump.start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield {**database.values, "host": "127.0.0.1", "port": listener.getsockname()[1]}
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def without_local_files(client: socket.socket, sent: bytes) -> bytes:
    """The client's sign-in (packet 1) does not offer files any more, so the server refuses LOAD DATA LOCAL."""
    if len(sent) > 32 and sent[3] == 1:
        return sent[:4] + bytes([sent[4] & ~_LOCAL_FILES]) + sent[5:]
    return sent


def untouched(client: socket.socket, sent: bytes) -> bytes:
    """A line without a fault."""
    return sent


def _pump(source: socket.socket, target: socket.socket, meddle: Callable[[bytes], bytes]) -> None:
    with suppress(OSError):
        while received := source.recv(1 << 16):
            target.sendall(meddle(received))
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
