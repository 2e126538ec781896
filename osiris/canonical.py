"""From a value to its canonical bytes and its digest; nothing else in Osiris hashes a value.

Canonical JSON here is RFC 8259 JSON in UTF-8 with object keys sorted by their code points, no white space, and floats
in their shortest form that reads back the same (msgspec's ``order="sorted"``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """The canonical bytes of ``value``: any tree of dicts, lists, strings, numbers, booleans, None or Structs."""
    return _ENCODER.encode(value)


def sha256_hex(content: bytes) -> str:
    """SHA-256 of ``content``, 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of ``value``, 64 lower-case hex digits."""
    return sha256_hex(canonical_json(value))


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
