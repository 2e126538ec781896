"""What a recovery or a repair changed in the journal itself."""

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


class JournalRepaired(EventBase, frozen=True, kw_only=True, tag="journal.repaired"):
    """A person had the journal cut behind entry ``last_good_seq``, for the ``reason`` that reading it had given.

    ``kept_as`` names the copies of what was cut, beside the journal; ``entries_cut`` of it were whole entries.
    ``last_run_numbers`` has the pipelines whose newest runs were cut, so that no number is given twice.
    ``fence_removed`` says that writers had been fenced off after a write with an unknown outcome.
    """

    reason: str
    last_good_seq: int
    bytes_cut: int
    entries_cut: int
    kept_as: tuple[str, ...]
    last_run_numbers: dict[str, int]
    fence_removed: bool
    repaired_at: str


RecoveryEvent = JournalRecovered | JournalRepaired
