"""What a recovery changed in the journal itself."""

from __future__ import annotations

from osiris.events.base import EventBase


class JournalRecovered(EventBase, frozen=True, kw_only=True, tag="journal.recovered"):
    """A torn tail was cut off ``segment`` at byte ``offset``; its bytes are kept in ``kept_as`` beside the journal.

    They were never acknowledged to anyone. ``sha256`` is the digest of the kept bytes.
    """

    segment: str
    offset: int
    bytes_cut: int
    kept_as: str
    sha256: str
    recovered_at: str


RecoveryEvent = JournalRecovered
