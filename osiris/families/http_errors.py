"""What can go wrong between here and an HTTP server, in words that hold no secret."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from osiris.errors import ExitCode, OsirisError
from osiris.redaction import MASK, is_secret_key

if TYPE_CHECKING:
    from urllib3.exceptions import HTTPError

_EXCERPT = 200
_TELLING = ("json", "text/plain")
_STATUS_ERRORS: dict[int, tuple[str, str]] = {
    401: ("connection.auth", "Check the connection's token, or its user and password."),
    403: ("connection.permission", "The server knows who is asking and refuses: give that account access to it."),
    404: ("extract.http_not_found", "Check base_url and path."),
    407: ("connection.auth", "A proxy wants credentials; go around it, for Osiris uses none."),
    429: ("extract.http_rate_limited", "Set rate_limit to what the API allows, or more retries."),
}


def http_error(name: str, problem: str, hint: str) -> OsirisError:
    """The error ``extract.http_<name>``: the step failed."""
    return _error(f"extract.http_{name}", problem, hint)


def shown_url(url: str, secret_params: Collection[str] = ()) -> str:
    """``url`` as an error may show it: no user, and ``***`` for each parameter that is or may be a secret."""
    parts = urlsplit(url)
    shown = [
        f"{quote(name)}={MASK if name in secret_params or is_secret_key(name) else quote(value, safe='/:,@')}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "&".join(shown), ""))


def status_error(status: int, reason: str, headers: Mapping[str, str], body: bytes, shown: str) -> OsirisError:
    """The answer of a server that did not give what was asked for; ``body`` often says why."""
    told = ""
    if any(kind in headers.get("content-type", "") for kind in _TELLING):
        text = " ".join(body[: _EXCERPT * 4].decode("utf-8", "replace").split())
        told = f": {text[:_EXCERPT]}{'…' if len(text) > _EXCERPT else ''}" if text else ""
    if status in _STATUS_ERRORS:
        code, hint = _STATUS_ERRORS[status]
    elif status >= 500:
        code, hint = "extract.http_server_error", "The server failed; try later, or ask those who run it."
    elif status >= 400:
        code, hint = "extract.http_refused", "Check path, params and body against the API's documentation."
    else:
        code, hint = "extract.http_status", "Only an answer that is complete can be read: 200, 201, 203 or 204."
    return _error(code, f"{shown} answered {status} {reason}".rstrip() + told, hint)


def transport_error(cause: HTTPError | OSError, shown: str) -> OsirisError:
    """A request that got no whole answer, by the exception's type."""
    from urllib3 import exceptions  # noqa: PLC0415 - the extra osiris[http]

    host = urlsplit(shown).netloc
    if isinstance(cause, exceptions.SSLError):
        hint = "Set ca to the file of the authority that signed the server's certificate. verify: false trusts anybody."
        return _error("connection.tls", f"no TLS connection to {host}: {_reason(cause)}", hint)
    if isinstance(cause, exceptions.LocationValueError):
        return http_error("bad_url", f"{shown} is not a URL that can be asked for", "Check base_url and path.")
    if isinstance(cause, exceptions.NameResolutionError):
        return _error("connection.unreachable", f"there is no host {host}, or no DNS", "Check base_url.")
    if isinstance(cause, exceptions.NewConnectionError):
        return _error("connection.unreachable", f"{host} cannot be reached: {_reason(cause)}", "Check base_url.")
    if isinstance(cause, exceptions.ConnectTimeoutError):
        hint = "Check base_url and the network, or set connect_timeout higher."
        return _error("connection.unreachable", f"{host} cannot be reached in time", hint)
    if isinstance(cause, exceptions.ReadTimeoutError):
        return http_error("timeout", f"{shown} fell silent", "Ask for smaller pages, or set read_timeout higher.")
    if isinstance(cause, exceptions.DecodeError):
        return http_error("broken_encoding", f"{shown}: the body is not packed as it says", "Ask those who run it.")
    return http_error("cut", f"{shown}: the answer was cut off: {_reason(cause)}", "Run it again; nothing was kept.")


def _reason(cause: BaseException) -> str:
    """The system's own words: urllib3 wraps them in addresses of objects."""
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause)


def _error(code: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code=code, exit_code=ExitCode.PIPELINE_FAILED)
