"""From one page of an API to the next, until there is none: every record once, or an error.

Where a page cannot tell whether it is the last, one more is asked for; nothing ends early by a guess.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec
from msgspec import Meta, Raw

from osiris.components.json_pages import Page, find_value, has_path, read_page
from osiris.errors import OsirisError
from osiris.families.http_client import Client, Request, origin_of, refuse_downgrade
from osiris.families.http_errors import http_error

_LINK = re.compile(r"<(?P<target>[^>]*)>(?P<params>(?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s\";,]+))?)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>[^\s\";,]+))", re.IGNORECASE)
# By type: the fields that it needs, and those that it may have besides.
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "link": ((), ("next", "other_origins")),
    "cursor": (("cursor", "param"), ("more", "place")),
    "page": (("param",), ("start", "size", "size_param", "total_pages", "place")),
    "offset": (("param", "limit"), ("start", "limit_param", "total", "place")),
}


class Pagination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an API says what comes next. Paths are as in ``records``."""

    type: Annotated[
        Literal["none", "link", "cursor", "page", "offset"], Meta(description="What a page tells of the next one")
    ] = "none"
    next: Annotated[str, Meta(description="link: path to the next URL; left out: the header Link, rel=next")] = ""
    other_origins: Annotated[bool, Meta(description="link: follow to other hosts, without credentials")] = False
    cursor: Annotated[
        str, Meta(description="cursor: path to the cursor of the next page; null or empty at the end")
    ] = ""
    more: Annotated[str, Meta(description="cursor: path to true where there is a next page")] = ""
    param: Annotated[str, Meta(description="cursor, page, offset: the parameter that carries it")] = ""
    place: Annotated[Literal["query", "body"], Meta(description="Where the parameters go")] = "query"
    start: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="page: number of the first (1); offset: where to begin (0)")
    ] = None
    size: Annotated[int, Meta(ge=0, description="page: records a page, sent as size_param")] = 0
    size_param: Annotated[str, Meta(description="page: the parameter for size")] = ""
    total_pages: Annotated[str, Meta(description="page: path to the number of pages; left out: to an empty page")] = ""
    limit: Annotated[int, Meta(ge=0, description="offset: records a page")] = 0
    limit_param: Annotated[str, Meta(description="offset: the parameter for limit")] = "limit"
    total: Annotated[str, Meta(description="offset: path to the number of records; left out: to an empty page")] = ""

    def __post_init__(self) -> None:
        """Refuse fields that the type does not use, and the lack of those that it needs."""
        needed, possible = _FIELDS[self.type]
        defaults = {field.name: field.default for field in msgspec.structs.fields(self)}
        given = [name for name, default in defaults.items() if name != "type" and getattr(self, name) != default]
        missing = [name for name in needed if name not in given]
        if missing:
            raise ValueError(f"pagination of type {self.type} needs {', '.join(missing)}")
        strange = [name for name in given if name not in needed + possible]
        if strange:
            raise ValueError(f"pagination of type {self.type} has no use for {', '.join(strange)}")
        if bool(self.size) != bool(self.size_param):
            raise ValueError("size and size_param go together")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for one page. ``body`` is sent as JSON."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: dict[str, Any] | None = None
    idempotent: bool = True

    @property
    def request(self) -> Request:
        """As it is sent."""
        headers = {"accept": "application/json", **{name.lower(): value for name, value in self.headers.items()}}
        if self.body is not None:
            headers.setdefault("content-type", "application/json")
        return Request(
            url=self.url,
            method=self.method,
            headers=headers,
            body=None if self.body is None else msgspec.json.encode(self.body),
            idempotent=self.idempotent,
        )

    def with_params(self, params: dict[str, Any], place: str = "query") -> Question:
        """The same with parameters set, in the URL or at the top of the body."""
        if place == "body":
            return msgspec.structs.replace(self, body={**(self.body or {}), **params})
        parts = urlsplit(self.url)
        kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in params]
        return msgspec.structs.replace(
            self, url=urlunsplit(parts._replace(query=urlencode(kept + list(params.items()))))
        )


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Where a walk stands: the question that was asked last, its page and records, and how much came before them."""

    question: Question
    page: Page
    records: list[Raw]
    pages_before: int
    records_before: int


def walk(
    client: Client,
    first: Question,
    follow: Callable[[Turn], Question | None],
    read: Callable[[Page], list[Raw]],
    max_pages: int,
) -> Iterator[list[Raw]]:
    """The records of each page. ``read`` finds them in a page, ``follow`` says what to ask next, None at the end."""
    question = first
    asked: set[bytes] = set()
    done = 0
    for number in itertools.count():
        asked.add(msgspec.json.encode(question))
        page = read_page(client.fetch(question.request), number + 1)
        records = read(page)
        following = follow(
            Turn(question=question, page=page, records=records, pages_before=number, records_before=done)
        )
        if number >= max_pages and (records or following):
            problem = f"{page.where}: there are more than {max_pages} pages"
            raise http_error(
                "max_pages", problem, "Nothing was cut off silently: set max_pages higher, or ask for less."
            )
        yield records
        if following is None:
            return
        if msgspec.json.encode(following) in asked:
            problem = f"{page.where} leads back to a page that was read: the API goes round in circles"
            raise http_error("loop", problem, "Check pagination against the API's documentation.")
        question, done = following, done + len(records)


def begin(pagination: Pagination, question: Question) -> Question:
    """The question for the first page."""
    if pagination.type == "page":
        params = {pagination.param: _start(pagination)}
        sizes = {pagination.size_param: pagination.size} if pagination.size_param else {}
        return question.with_params({**params, **sizes}, pagination.place)
    if pagination.type == "offset":
        params = {pagination.param: _start(pagination), pagination.limit_param: pagination.limit}
        return question.with_params(params, pagination.place)
    return question


def follower(pagination: Pagination) -> Callable[[Turn], Question | None]:
    """What leads from one page to the next."""
    if pagination.type == "offset":
        return _Offsets(pagination).follow
    if pagination.type == "page":
        return _Numbers(pagination).follow
    turn_by = {"none": lambda _pagination, _turn: None, "link": _next_link, "cursor": _next_cursor}[pagination.type]
    return lambda turn: turn_by(pagination, turn)


def cursor_at(page: Page, cursor: str, more: str = "") -> Any:
    """The next cursor, None at the end; raises where ``more`` says that there is a next page, and no cursor does."""
    found = find_value(page, cursor)
    ended = found is None or found == ""
    if more:
        flag = find_value(page, more)
        if not isinstance(flag, bool):
            raise _no_path(page, more, "true or false")
        if flag and ended:
            raise _no_path(page, cursor, "a cursor, although there are more pages")
        ended = not flag
    if not ended and (isinstance(found, bool) or not isinstance(found, str | int)):
        raise _no_path(page, cursor, "text or a whole number")
    return None if ended else found


def _next_cursor(pagination: Pagination, turn: Turn) -> Question | None:
    cursor = cursor_at(turn.page, pagination.cursor, pagination.more)
    return None if cursor is None else turn.question.with_params({pagination.param: cursor}, pagination.place)


def _next_link(pagination: Pagination, turn: Turn) -> Question | None:
    page = turn.page
    target = find_value(page, pagination.next) if pagination.next else next_link(page.headers.get("link", ""))
    if target is None or target == "":
        return None
    if not isinstance(target, str):
        raise _no_path(page, pagination.next, "a URL")
    following = urljoin(page.url, target)
    hint = "If you trust that host, set other_origins: true; credentials are not sent there."
    problem = f"{page.where} leads to {urlsplit(following).hostname}"
    refuse_downgrade(page.url, following, problem, hint)
    if origin_of(following) != origin_of(turn.question.url) and not pagination.other_origins:
        raise http_error("other_origin", f"{problem}, which is another origin", hint)
    return msgspec.structs.replace(turn.question, url=following)


def next_link(header: str) -> str | None:
    """The target of ``rel=next`` in a Link header (RFC 8288), None where there is none."""
    for link in _LINK.finditer(header):
        rel = _REL.search(link["params"])
        if rel and "next" in (rel["quoted"] or rel["bare"] or "").lower().split():
            return link["target"]
    return None


class _Numbers:
    """Pages by number: to the last that the API names, or to the first that is empty."""

    def __init__(self, pagination: Pagination) -> None:
        self._pagination = pagination
        self._last = _Last()

    def follow(self, turn: Turn) -> Question | None:
        read = turn.pages_before + 1
        if self._pagination.total_pages:
            if read >= _count_at(turn.page, self._pagination.total_pages):
                return None
        elif not turn.records:
            return None
        self._last.refuse_repetition(turn)
        number = _start(self._pagination) + read
        return turn.question.with_params({self._pagination.param: number}, self._pagination.place)


class _Offsets:
    """Pages by the number of records before them: the next begins behind the records that came."""

    def __init__(self, pagination: Pagination) -> None:
        self._pagination = pagination
        self._last = _Last()
        self._short = 0

    def follow(self, turn: Turn) -> Question | None:
        came, limit = len(turn.records), self._pagination.limit
        offset = _start(self._pagination) + turn.records_before + came
        if self._pagination.total:
            total = _count_at(turn.page, self._pagination.total)
            if offset >= total:
                return None
            if not came:
                problem = f"{turn.page.where} is empty, and only {offset} of {total} records have come"
                raise http_error("short_page", problem, "The records changed meanwhile, or the API has a limit.")
        elif not came:
            return None
        if self._short:
            problem = f"{turn.page.where} has records, although the page before had only {self._short} of {limit}"
            hint = f"The API gives fewer than it is asked for: set limit to {self._short} or less."
            raise http_error("short_page", problem, hint)
        self._short = came if came < limit else 0
        self._last.refuse_repetition(turn)
        return turn.question.with_params({self._pagination.param: offset}, self._pagination.place)


class _Last:
    """The page before, to see an API that gives one page again and again since it does not know the parameter."""

    def __init__(self) -> None:
        self._records = 0

    def refuse_repetition(self, turn: Turn) -> None:
        records = hash(b"\n".join(map(bytes, turn.records)))
        if turn.pages_before and turn.records and records == self._records:
            problem = f"{turn.page.where} has the same records as the page before it"
            raise http_error("loop", problem, "The API may not know that parameter: check param, or set a larger page.")
        self._records = records


def _start(pagination: Pagination) -> int:
    return pagination.start if pagination.start is not None else int(pagination.type == "page")


def _count_at(page: Page, path: str) -> int:
    count = find_value(page, path)
    if isinstance(count, str) and count.isdecimal():
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int):
        raise _no_path(page, path, "a whole number")
    return count


def _no_path(page: Page, path: str, wanted: str) -> OsirisError:
    problem = (
        f"{page.where} has at {path} not {wanted}" if has_path(page, path) else f"{page.where} has nothing at {path}"
    )
    return http_error("pagination", problem, "Check pagination against an answer of the API.")
