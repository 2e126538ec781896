"""A real HTTP server on a free port of this machine, whose answers a test gives as functions."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


class Asked(NamedTuple):
    """A request as it came in; the names of ``headers`` are in lower case."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Reply(NamedTuple):
    """An answer. ``raw`` is sent as it is, after the headers, without a length, and then the connection is cut."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    raw: bytes | None = None


Answering = Callable[[Asked], Reply]


class Api:
    """The server: what it was asked, and how it answers; ``silence`` ends when the server does."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        self.asked: list[Asked] = []
        self.answer: Answering = lambda _: Reply(status=404)
        self.silence = threading.Event()
        self.reached = threading.Event()

    def fall_silent(self, _: Asked) -> Reply:
        """An answer that does not come while the server runs."""
        self.reached.set()
        self.silence.wait(60)
        return Reply(status=500)


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    """A JSON document; ``content_type`` stands for Content-Type, and so on."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(json.dumps(value).encode(), status, {"content-type": "application/json", **named})


def in_turn(*replies: Reply) -> Answering:
    """One answer after the other, the last for ever."""
    waiting = list(replies)
    return lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def serving(wrap: Callable[[Any], Any] | None = None) -> Iterator[Api]:
    """A server for the time of the block; ``wrap`` makes TLS of its socket."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            params = dict(parse_qsl(parts.query, keep_blank_values=True))
            asked = Asked(self.command, parts.path, params, headers, body)
            api.asked.append(asked)
            reply = api.answer(asked)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.raw is None:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body if reply.raw is None else reply.raw)
            self.close_connection = self.close_connection or reply.raw is not None

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None: ...

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that goes away is what some tests are about."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if wrap is not None:
        server.socket = wrap(server.socket)
    api = Api(server, "http" if wrap is None else "https")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        api.silence.set()
        server.shutdown()
        thread.join()
        server.server_close()
