"""A small shop's API, for the time of one command: ``python api.py osiris run orders``.

It listens on a free port of this machine, whose URL the command finds in ``SHOP_API``, wants the token that stands in
``SHOP_TOKEN``, and gives its orders three a page.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-for-the-example"  # noqa: S105
PAGE = 3
NAMES = ("Ada", "Grace", "Edsger")
ORDERS = [
    {"id": 9007199254740993 + n, "customer": {"name": NAMES[n % 3], "zip": f"0050{n}"}, "total": 10.25 * n + 0.50}
    for n in range(8)
]


class Shop(BaseHTTPRequestHandler):
    """``GET /v1/orders?cursor=…``."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"message": "who are you?"})
        if parts.path != "/v1/orders":
            return self.answer(404, {"message": "there is nothing but /v1/orders"})
        start = int(parse_qs(parts.query).get("cursor", ["0"])[0])
        end = start + PAGE
        return self.answer(200, {"orders": ORDERS[start:end], "next": str(end) if end < len(ORDERS) else None})

    def answer(self, status: int, document: object) -> None:
        """Send a JSON document."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the command's own words are what counts."""


def main(command: list[str]) -> int:
    """Run ``command`` while the API listens; gives its exit status."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = {"SHOP_API": f"http://127.0.0.1:{server.server_port}/v1", "SHOP_TOKEN": TOKEN}
    return subprocess.run(command, env={**os.environ, **address}, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
