"""One line of the journal: how an entry is sealed and how it is opened.

    {"seq":42,"id":"<ULID>","at":"<time>","prev":"<64 hex>","event":{...},"hash":"<64 hex>"}\\n

``hash`` is the SHA-256 of the line's bytes before ``,"hash":"``; ``prev`` is the hash of the entry before. All other
bytes are compared literally, so there is no byte of a line that could change unnoticed. The chain is the idea of
etcd's write-ahead log, with a digest in place of a checksum.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

import msgspec

from osiris.events.catalog import Event, UnknownEvent, decode_event

FIRST_PREV = "0" * 64
MAX_ENTRY_BYTES = 1024 * 1024

_HEADER = re.compile(
    rb'\{"seq":([1-9][0-9]{0,18}),"id":"([0-7][0-9A-HJKMNP-TV-Z]{25})",'
    rb'"at":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)","prev":"([0-9a-f]{64})","event":(?=\{)'
)
_ID_AND_TIME = re.compile(
    rb'([0-7][0-9A-HJKMNP-TV-Z]{25})","at":"'
    rb'([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)","prev":"'
)
_SEAL = b',"hash":"'
_END = b'"}\n'
_SEAL_BYTES = len(_SEAL) + 64 + len(_END)
_FRAME_BYTES = len('{"seq":,"id":"","at":"","prev":"","event":') + 19 + 26 + 27 + 64 + _SEAL_BYTES
MAX_EVENT_BYTES = MAX_ENTRY_BYTES - _FRAME_BYTES
"""What an encoded event may have, so that its line stays in bounds with a ``seq`` of any length."""


class Entry(NamedTuple):
    """One opened entry. ``event`` is typed, or an :class:`UnknownEvent` from a newer Osiris."""

    seq: int
    id: str
    at: str
    prev: str
    hash: str
    event: Event | UnknownEvent


class Sealed(NamedTuple):
    """A line that is an entry by itself, out of its chain; ``event`` is its JSON."""

    seq: int
    id: str
    hash: str
    event: bytes


class Damage(ValueError):  # noqa: N818 - it names what was found; the journal decides whether it is an error
    """Why a line is not the entry that belongs there."""


def seal(seq: int, ulid: str, at: str, prev: str, event: bytes) -> tuple[bytes, str]:
    """The line of a new entry, newline included, and its hash. ``event`` is one encoded event."""
    body = b'{"seq":%d,"id":"%b","at":"%b","prev":"%b","event":%b' % (
        seq,
        ulid.encode(),
        at.encode(),
        prev.encode(),
        event,
    )
    digest = sha256(body).hexdigest()
    return b"%b%b%b%b" % (body, _SEAL, digest.encode(), _END), digest


def sealed(line: bytes) -> Sealed | None:
    """What ``line`` says if it is a whole, unharmed entry by itself, wherever it stands; else None."""
    try:
        header, digest = _checked_header(line)
    except Damage:
        return None
    return Sealed(int(header[1]), header[2].decode(), digest, line[header.end() : -_SEAL_BYTES])


def open_entry(line: bytes, seq: int, prev: str) -> Entry:
    """The entry in ``line``, which must be number ``seq`` and follow the entry whose hash is ``prev``.

    Raises :class:`Damage` with what differs.
    """
    # All that is known of a good line is compared at its place; only what fails here is looked at part by part.
    head = b'{"seq":%d,"id":"' % seq
    if line.startswith(head) and (match := _ID_AND_TIME.match(line, len(head))):
        link = b'%b","event":' % prev.encode()
        start = match.end() + len(link)
        if line.startswith(link, match.end()) and line[start : start + 1] == b"{":
            digest = sha256(line[:-_SEAL_BYTES]).hexdigest()
            if line[-_SEAL_BYTES:] == b"%b%b%b" % (_SEAL, digest.encode(), _END):
                try:
                    event = decode_event(line[start:-_SEAL_BYTES])
                except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
                    raise Damage(f"entry {seq} holds no event: {cause}") from cause
                return Entry(seq, match[1].decode(), match[2].decode(), prev, digest, event)
    raise _difference(line, seq, prev)


def _difference(line: bytes, seq: int, prev: str) -> Damage:
    """In what ``line`` is not entry ``seq`` behind ``prev``."""
    try:
        header, _ = _checked_header(line)
    except Damage as damage:
        return damage
    if int(header[1]) != seq:
        return Damage(f"expected entry {seq}, found entry {int(header[1])}")
    return Damage(f"entry {seq} follows hash {header[4].decode()[:12]}…, but the entry before it has {prev[:12]}…")


def _checked_header(line: bytes) -> tuple[re.Match[bytes], str]:
    if not line.endswith(_END) or line[-_SEAL_BYTES : -64 - len(_END)] != _SEAL:
        raise Damage("the line does not end as an entry does")
    header = _HEADER.match(line)
    if header is None:
        raise Damage("the line does not begin as an entry does")
    stated = line[-64 - len(_END) : -len(_END)].decode("ascii", "replace")
    actual = sha256(memoryview(line)[:-_SEAL_BYTES]).hexdigest()
    if stated != actual:
        raise Damage(f"the hash of its bytes is {actual[:12]}…, but the line states {stated[:12]}…")
    return header, actual
