"""A real S3 server on this machine, in a process of its own: moto's, which the tests talk to over HTTP alone."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import msgspec

READY = re.compile(rb"Running on (http://127\.0\.0\.1:\d+)")

# The server asks only for there being a signature, until it is told to check it.
SIGNED = "AWS4-HMAC-SHA256 Credential=tests/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


class ObjectServer(msgspec.Struct, frozen=True):
    """What can be asked of it without the library that is under test."""

    endpoint: str
    process: subprocess.Popen[bytes]

    @property
    def connection(self) -> dict[str, object]:
        """The keys of a connection that leads to it."""
        return {
            "endpoint": self.endpoint,
            "access_key_id": "AKIAOFTHETESTS",
            "secret_access_key": "s3cr3t-of-the-tests",
            "region": "us-east-1",
            "allow_http": True,
        }

    def make_bucket(self, bucket: str) -> None:
        self._ask("PUT", bucket)

    def put(self, path: str, content: bytes) -> None:
        self._ask("PUT", path, content)

    def get(self, path: str) -> bytes:
        return self._ask("GET", path)

    def keys(self, bucket: str) -> list[str]:
        """All keys, those of no more than a thousand objects."""
        return re.findall(r"<Key>(.*?)</Key>", self._ask("GET", f"{bucket}?list-type=2").decode())

    def uploads(self, bucket: str) -> list[str]:
        """The keys of uploads that were begun and neither finished nor aborted."""
        return re.findall(r"<Key>(.*?)</Key>", self._ask("GET", f"{bucket}?uploads").decode())

    def check_keys_after(self, requests: str) -> None:
        """From so many further requests on (``0``, or ``inf``), only those that are signed by a known key pass."""
        self._ask("POST", "moto-api/reset-auth", requests.encode())

    def _ask(self, method: str, path: str, content: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/octet-stream", "Authorization": SIGNED}
        asked = urllib.request.Request(f"{self.endpoint}/{path}", content, headers, method=method)  # noqa: S310 - to this machine
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            body: bytes = answer.read()
        return body


@contextlib.contextmanager
def object_server() -> Iterator[ObjectServer]:
    """The server, ready; gone at the end of the block."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        try:
            ready = next(found for line in process.stderr if (found := READY.search(line)))
            # Nobody reads its log: with the pipe closed it cannot fill up.
            drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
            yield ObjectServer(ready[1].decode(), process)
        finally:
            process.kill()
        drain.wait()
