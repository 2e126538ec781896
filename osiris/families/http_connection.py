"""What a connection of the family ``http`` holds."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from osiris.errors import OsirisError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class Connection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Where an API is, and who is asking. Waits are in seconds."""

    base_url: Annotated[
        str, Meta(description="Where all paths begin: https://host/v1", examples=["https://api.example.com/v1"])
    ]
    token: Annotated[str, Meta(description="Sent as Authorization: Bearer")] = ""
    user: Annotated[str, Meta(description="For basic authentication")] = ""
    password: Annotated[str, Meta(description="For basic authentication")] = ""
    headers: Annotated[dict[str, str], Meta(description="Sent with each request, such as X-Api-Key")] = {}
    params: Annotated[dict[str, str], Meta(description="Put into each URL, such as api_key")] = {}
    verify: Annotated[bool, Meta(description="Whether the server's certificate has to be good")] = True
    ca: Annotated[str, Meta(description="File with the authorities to trust instead of the system's")] = ""
    connect_timeout: Annotated[float, Meta(gt=0, description="Seconds until a server has to answer the call")] = 10.0
    read_timeout: Annotated[float, Meta(gt=0, description="Seconds that a server may stay silent")] = 60.0
    probe: Annotated[str, Meta(description="Path that a check of the connection asks for")] = ""

    def __post_init__(self) -> None:
        """Refuse what could not be sent; no message repeats a value."""
        check_url(self.base_url, "base_url")
        check_headers(self.headers)
        check_headers({"Authorization": self.token})
        ways = [bool(self.token), bool(self.user or self.password), "authorization" in map(str.lower, self.headers)]
        if sum(ways) > 1:
            raise ValueError("give one of token, user with password, and the header Authorization")

    @cached_property
    def all_headers(self) -> Mapping[str, str]:
        """The headers with which it signs in, besides its own."""
        if self.token:
            return {**self.headers, "Authorization": f"Bearer {self.token}"}
        if self.user or self.password:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return {**self.headers, "Authorization": f"Basic {pair}"}
        return self.headers

    @property
    def secrets(self) -> list[str]:
        """What no message may show; whatever a header or parameter holds may be a key."""
        return [self.token, self.password, *self.all_headers.values(), *self.params.values()]


def read_connection(values: Mapping[str, Any]) -> Connection:
    """A resolved connection; raises OsirisError ``connection.invalid``, which repeats no value."""
    try:
        # What comes from a variable is text, also where a number is wanted.
        return msgspec.convert(values, Connection, strict=False)
    except msgspec.ValidationError as cause:
        hint = "Correct it in osiris_connections.yaml; docs/http.md lists the fields."
        raise OsirisError(f"the connection is not usable: {cause}", hint, code="connection.invalid") from cause


def check_url(url: str, name: str) -> None:
    """Raises ``ValueError`` where ``url`` is none of HTTP, or holds a user."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or re.search(r"[\s\x00-\x1f]", url):
        raise ValueError(f"{name} has to begin with https:// (or http://) and a host")
    if "@" in parts.netloc:
        raise ValueError(f"{name} holds a user: use the fields user and password of a connection")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ``ValueError`` where a header could not be sent; only its name is told."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("the name of a header is made of letters, digits and -")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {name} holds something else than plain ASCII")
