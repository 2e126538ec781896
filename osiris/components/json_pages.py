"""A page of an API's answer: what stands at a path in it, as the bytes that were sent.

Nothing but the way to a value is decoded, so no number loses a digit and no row becomes an object of Python.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from email.message import Message
from typing import Any

import msgspec
from msgspec import Raw

from osiris.errors import OsirisError
from osiris.families.http_client import Answer
from osiris.families.http_errors import http_error

ROOT = "$"
EACH = "*"
"""The segment of a path that stands for each item of a list."""

_NO_CONTENT = 204
_MAY_BE_JSON = ("text/plain", "text/javascript", "application/javascript", "application/octet-stream")
_KEYS_SHOWN = 10
_BLOCK = 1 << 20
_BRACE = ord("{")
_KINDS = {"{": "an object", "[": "a list", '"': "text", "t": "true", "f": "false", "n": "null"}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: ``document`` is its JSON, not looked into. ``where`` names page and URL in errors."""

    document: Raw
    where: str
    url: str
    headers: dict[str, str]


def read_page(answer: Answer, number: int) -> Page:
    """The page in ``answer``, the ``number``-th; raises OsirisError where it holds no whole JSON document."""
    where = f"page {number} ({answer.shown})"
    kind, charset = _content_type(answer.headers.get("content-type", ""))
    if answer.status == _NO_CONTENT:
        return Page(document=Raw(b"null"), where=where, url=answer.url, headers=dict(answer.headers))
    if not answer.body.strip():
        raise http_error("empty", f"{where} is empty, not even an empty list", "Check path and params.")
    body = _in_utf8(answer.body, charset, where)
    html = body.lstrip()[:1] == b"<"
    if html or (kind and "json" not in kind and kind not in _MAY_BE_JSON):
        what = kind or "HTML or XML"
        hint = "Check base_url and path: this may be a page for people, such as one to sign in at."
        raise http_error("not_json", f"{where} is {what}, not JSON", hint)
    try:
        document = msgspec.json.decode(body, type=Raw)  # looks through all of it
    except (msgspec.DecodeError, RecursionError) as cause:
        hint = "The server sent that; run it again, and tell those who run it if it stays so."
        raise http_error("broken_json", f"{where} is no whole JSON document: {cause}", hint) from cause
    return Page(document=document, where=where, url=answer.url, headers=dict(answer.headers))


def find_value(page: Page, path: str) -> Any:
    """The value at ``path``, decoded, for paths to single values; None where there is none."""
    found = _find(page.document, segments_of(path))
    return msgspec.json.decode(found[0]) if found else None


def has_path(page: Page, path: str) -> bool:
    """Whether something stands at ``path``, be it null."""
    return bool(_find(page.document, segments_of(path)))


def find_records(page: Page, path: str) -> list[Raw]:
    """The objects at ``path``: those of a list, the one that stands there, or none for null."""
    segments = segments_of(path)
    found = _find(page.document, segments)
    if not found and EACH not in segments and _first(page.document) != "n":
        raise _missing(page, path)
    records: list[Raw] = []
    for value in found:
        first = _first(value)
        if first != "n":
            records += msgspec.json.decode(value, type=list[Raw]) if first == "[" else [value]
    for place, record in enumerate(records):
        if memoryview(record)[0] != _BRACE:
            what = _KINDS.get(_first(record), "a number")
            problem = f"{page.where}: record {place + 1} at {path} is {what}, not an object"
            raise http_error("not_objects", problem, 'Each row has to be an object: {"column": value}.')
    return records


def segments_of(path: str) -> list[str]:
    """``data.items``, the JSON pointer ``/data/items``, or ``$`` for the whole, as keys from the outside in."""
    if path in (ROOT, ""):
        return []
    if path.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    return path.removeprefix("$.").split(".")


def _find(value: Raw, segments: list[str]) -> list[Raw]:
    """The values at the end of the path; more than one only where it goes through each item of a list."""
    if not segments:
        return [value]
    key, rest = segments[0], segments[1:]
    first = _first(value)
    if first == "{":
        below = msgspec.json.decode(value, type=dict[str, Raw])
        return _find(below[key], rest) if key in below else []
    if first == "[" and (key == EACH or key.isdecimal()):
        items = msgspec.json.decode(value, type=list[Raw])
        chosen = items if key == EACH else items[int(key) : int(key) + 1]
        return [found for item in chosen for found in _find(item, rest)]
    return []


def _first(value: Raw) -> str:
    return bytes(memoryview(value)[:1]).decode("latin-1")


def _missing(page: Page, path: str) -> OsirisError:
    first = _first(page.document)
    problem = f"{page.where} has nothing at records: {path}"
    if first != "{":
        return http_error("no_records_path", problem, f"It is {_KINDS.get(first, 'a number')}; $ stands for the whole.")
    keys = list(msgspec.json.decode(page.document, type=dict[str, Raw]))
    shown = ", ".join(keys[:_KEYS_SHOWN]) + (", …" if len(keys) > _KEYS_SHOWN else "")
    return http_error("no_records_path", problem, f"Its keys are {shown}." if keys else "It is an empty object.")


def _content_type(header: str) -> tuple[str, str]:
    message = Message()
    message["content-type"] = header
    return (message.get_content_type() if header else "", str(message.get_param("charset", "utf-8")))


def _in_utf8(body: bytes, charset: str, where: str) -> bytes:
    try:
        name = codecs.lookup(charset).name
    except LookupError as cause:
        problem = f"{where} is written in {charset!r}, which is no known charset"
        raise http_error("charset", problem, "Ask those who run the server.") from cause
    try:
        if name not in ("utf-8", "ascii"):
            return body.decode(name).encode()
        decoder = codecs.getincrementaldecoder("utf-8")()  # in blocks: all of it as text may take four times its bytes
        for start in range(0, len(body), _BLOCK):
            decoder.decode(body[start : start + _BLOCK])
        decoder.decode(b"", final=True)
    except UnicodeError as cause:
        problem = f"{where} is not written in {charset}, as it says"
        raise http_error("charset", problem, "Ask those who run the server.") from cause
    return body.removeprefix(codecs.BOM_UTF8)


def in_lines(records: Sequence[Raw]) -> bytes:
    """The records as they were sent, one a line: a line break can only stand between the parts of valid JSON."""
    joined = b"".join(part for record in records for part in (record, b"\n"))
    if joined.count(b"\n") == len(records):
        return joined
    return b"".join(re.sub(rb"[\r\n]", b" ", bytes(record)) + b"\n" for record in records)
