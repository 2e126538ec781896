"""One HTTP request at a time, as a pipeline needs it: whole or an error, never faster than allowed, never unstoppable.

Credentials go to the origin (scheme, host and port) of the connection's ``base_url`` and nowhere else.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from osiris.clock import SystemClock
from osiris.errors import ExitCode, OsirisError
from osiris.families.base import FamilySpec, missing_extra
from osiris.families.http_connection import Connection
from osiris.families.http_errors import http_error, shown_url, status_error, transport_error
from osiris.redaction import Redactor

if TYPE_CHECKING:
    import urllib3
    from urllib3.exceptions import HTTPError

_WHOLE = (200, 201, 203, 204)
_REDIRECTS = (301, 302, 303, 307, 308)
_REDIRECTS_AT_MOST = 5
_TRY_LATER = (429, 503)
_GATEWAY_FAILED = (502, 504)
_FIRST_WAIT_S, _LONGEST_BACK_OFF_S = 0.5, 30.0
_LOOK_S = 0.1
_BLOCK = 1 << 16


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask. ``headers`` are no secrets; ``idempotent`` says that asking twice does no harm."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    idempotent: bool = True


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer with a status that means success. ``url`` is where it came from after all redirects.

    The names of ``headers`` are in lower case; ``shown`` is ``url`` as an error may show it.
    """

    url: str
    shown: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How hard to try and how much to take: ``rate`` in requests a second (0: no limit), waits in seconds."""

    retries: int = 0
    longest_wait_s: float = 60.0
    rate: float = 0.0
    body_bytes: int = 1 << 20


class _Received(NamedTuple):
    """An answer of any status, and the server's words for it."""

    answer: Answer
    reason: str


class Client:
    """Requests with the credentials of ``connection``, one at a time. Close it, or use it as a context."""

    def __init__(
        self,
        connection: Connection,
        spec: FamilySpec,
        root: Path,
        limits: Limits,
        *,
        cancelled: Callable[[], bool],
        warn: Callable[[str], None],
    ) -> None:
        self.requests = 0
        self._connection = connection
        self._limits = limits
        self._cancelled = cancelled
        self._warn = warn
        self._redactor = Redactor(connection.secrets)
        self._pool = _open_pool(connection, spec, root)
        self._origin = origin_of(connection.base_url)
        self._next_start_s = 0.0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def fetch(self, request: Request) -> Answer:
        """The answer to ``request``, asked again where that can help. Raises OsirisError without secrets."""
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, SSLError  # noqa: PLC0415 - an extra

        for tried in itertools.count():
            self._keep_pace()
            wanted_wait_s = None
            try:
                answer, reason = self._in_background(request)
                if answer.status in _WHOLE:
                    return answer
                failure = status_error(answer.status, reason, answer.headers, answer.body, answer.shown)
                again = answer.status in (_TRY_LATER + _GATEWAY_FAILED if request.idempotent else _TRY_LATER)
                wanted_wait_s = wait_wanted(answer.headers)
            except (HTTPError, OSError) as cause:
                failure = transport_error(cause, self.shown(request.url))
                unsent = isinstance(cause, ConnectTimeoutError)
                again = (request.idempotent or unsent) and not isinstance(cause, SSLError | LocationValueError)
            wait_s = min(_FIRST_WAIT_S * 2.0**tried, _LONGEST_BACK_OFF_S) if wanted_wait_s is None else wanted_wait_s
            if again and wait_s > self._limits.longest_wait_s:
                failure.hint = f"The server asks to wait {wait_s:.0f} s; max_retry_wait allows it from that value on."
                again = False
            if not again or tried >= self._limits.retries:
                raise self._redactor.scrub_error(failure)
            self._warn(f"{self._redactor.scrub(failure.problem)}; asking again in {wait_s:.1f} s")
            self._rest(wait_s)
        raise AssertionError("unreachable")

    def shown(self, url: str) -> str:
        """``url`` as an error may show it."""
        return self._redactor.scrub(shown_url(url, self._connection.params))

    def _in_background(self, request: Request) -> _Received:
        """A thread of its own waits for the network, so that this one can give up at once when it has to."""
        outcome: list[_Received | HTTPError | OSError | OsirisError] = []
        thread = threading.Thread(target=self._exchange, args=(request, outcome), name="osiris-http", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_S)
            self._stop_if_cancelled()
        [result] = outcome
        if isinstance(result, BaseException):
            raise result
        return result

    def _exchange(self, request: Request, outcome: list[_Received | HTTPError | OSError | OsirisError]) -> None:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - an extra

        try:
            outcome.append(self._followed(request))
        except (HTTPError, OSError, OsirisError) as failure:
            outcome.append(failure)

    def _followed(self, request: Request) -> _Received:
        url = self._with_credentials(request.url)
        for _ in range(_REDIRECTS_AT_MOST + 1):
            own = origin_of(url) == self._origin
            response = self._pool.request(
                request.method,
                url,
                headers={**request.headers, **(self._connection.all_headers if own else {})},
                body=request.body,
                redirect=False,
                retries=False,
                preload_content=False,
            )
            self.requests += 1
            try:
                target = response.headers.get("location", "")
                if response.status in _REDIRECTS and target:
                    url = self._redirected(request, response.status, url, target)
                    continue
                headers = {name.lower(): value for name, value in response.headers.items()}
                body = self._read(response, url)
                answer = Answer(url=url, shown=self.shown(url), status=response.status, headers=headers, body=body)
                return _Received(answer, response.reason or "")
            finally:
                response.close()
                response.release_conn()
        problem = f"{self.shown(request.url)}: more than {_REDIRECTS_AT_MOST} redirects, the last to {self.shown(url)}"
        raise http_error("redirect", problem, "Write the URL to which it leads into base_url.")

    def _with_credentials(self, url: str) -> str:
        """``url`` with the connection's parameters at its own origin, and without them anywhere else."""
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True)
        own = self._connection.params
        if not own:
            return url
        kept = [(name, value) for name, value in given if name not in own]
        added = list(own.items()) if origin_of(url) == self._origin else []
        return urlunsplit(parts._replace(query=urlencode(kept + added)))

    def _redirected(self, request: Request, status: int, url: str, target: str) -> str:
        following = urljoin(url, target)
        hint = "Write the URL to which it leads into base_url, if you trust it."
        said = f"{self.shown(url)} redirects to {self.shown(following)}"
        if request.method != "GET" and status not in (307, 308):
            raise http_error("redirect", f"{said}, which would drop the body", hint)
        refuse_downgrade(url, following, said, hint)
        return self._with_credentials(following)

    def _read(self, response: urllib3.BaseHTTPResponse, url: str) -> bytes:
        body = bytearray()
        while block := response.read(_BLOCK):
            body += block
            if len(body) > self._limits.body_bytes:
                problem = f"{self.shown(url)}: the body is larger than {self._limits.body_bytes} bytes"
                raise http_error("too_large", problem, "Ask for smaller pages, or set max_page_bytes higher.")
            if self._cancelled():
                break
        return bytes(body)

    def _keep_pace(self) -> None:
        if self._limits.rate:
            self._rest(self._next_start_s - time.monotonic())
            self._next_start_s = max(time.monotonic(), self._next_start_s) + 1 / self._limits.rate

    def _rest(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _LOOK_S))
            self._stop_if_cancelled()

    def _stop_if_cancelled(self) -> None:
        if self._cancelled():
            raise OsirisError("stopped", code="runtime.cancelled", exit_code=ExitCode.CANCELLED)


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials belong to."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


def refuse_downgrade(url: str, following: str, said: str, hint: str) -> None:
    """Raises where one leads from https to http, or to something that is no HTTP at all."""
    schemes = urlsplit(url).scheme.lower(), urlsplit(following).scheme.lower()
    if schemes[1] not in ("http", "https") or schemes == ("https", "http"):
        raise http_error("redirect", f"{said}, which is not safe", hint)


def wait_wanted(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks for, in either of its forms; None where it does not say."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - SystemClock().now()).total_seconds(), 0.0)
    except (TypeError, ValueError):  # no date, or one without a zone
        return None


def _open_pool(connection: Connection, spec: FamilySpec, root: Path) -> urllib3.PoolManager:
    try:
        import urllib3  # noqa: PLC0415 - the extra osiris[http]
    except ImportError as cause:
        raise missing_extra(spec, cause) from cause
    authorities = str(root / Path(connection.ca).expanduser()) if connection.ca else None
    if authorities and not Path(authorities).is_file():
        raise OsirisError(f"there is no file {connection.ca}", "Correct ca in the connection.", code="connection.tls")
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=connection.connect_timeout, read=connection.read_timeout),
        cert_reqs="CERT_REQUIRED" if connection.verify else "CERT_NONE",
        ca_certs=authorities,
        headers={"accept-encoding": "gzip, deflate"},
    )
