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
_SEAL = b',"hash":"'
_END = b'"}\n'
_SEAL_BYTES = len(_SEAL) + 64 + len(_END)


class Entry(NamedTuple):
    """One opened entry. ``event`` is typed, or an :class:`UnknownEvent` from a newer Osiris."""

    seq: int
    id: str
    at: str
    prev: str
    hash: str
    event: Event | UnknownEvent


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


def sealed_hash(line: bytes) -> str:
    """The hash of ``line`` if it is a whole, unharmed entry by itself, wherever it stands; else ""."""
    try:
        return _checked_header(line)[1]
    except Damage:
        return ""


def open_entry(line: bytes, seq: int, prev: str) -> Entry:
    """The entry in ``line``, which must be number ``seq`` and follow the entry whose hash is ``prev``.

    Raises :class:`Damage` with what differs.
    """
    header, found_hash = _checked_header(line)
    if int(header[1]) != seq:
        raise Damage(f"expected entry {seq}, found entry {int(header[1])}")
    found_prev = header[4].decode()
    if found_prev != prev:
        raise Damage(f"entry {seq} follows hash {found_prev[:12]}…, but the entry before it has {prev[:12]}…")
    try:
        event = decode_event(line[header.end() : -_SEAL_BYTES])
    except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
        raise Damage(f"entry {seq} holds no event: {cause}") from cause
    return Entry(seq, header[2].decode(), header[3].decode(), found_prev, found_hash, event)


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
