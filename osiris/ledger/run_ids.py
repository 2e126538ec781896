"""Run ids: the tokens of ``ids.run_id_format``, joined by ``_``."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from osiris.clock import epoch_ms, next_ulid

_SNOWFLAKE_EPOCH_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
_SNOWFLAKE_COUNTER_BITS = 22


class RunIdGenerator:
    """Makes run ids under the journal's lock, which is what makes them unique and increasing across processes.

    ``tokens`` is a checked sequence of ``incremental``, ``ulid``, ``iso_ulid``, ``uuidv4`` and ``snowflake``.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tuple(tokens)

    def generate(self, *, number: int, seq: int, moment: datetime, after: str) -> str:
        """The id of run ``number`` of its pipeline, whose first entry is ``seq``; its ULID sorts behind ``after``."""
        return "_".join(_render(token, number, seq, moment, after) for token in self._tokens)


def _render(token: str, number: int, seq: int, moment: datetime, after: str) -> str:
    match token:
        case "incremental":
            return f"run-{number:06d}"
        case "ulid":
            return next_ulid(moment, after=after)
        case "iso_ulid":
            return f"{moment:%Y%m%dT%H%M%SZ}-{next_ulid(moment, after=after)}"
        case "uuidv4":
            return str(uuid.uuid4())
        case "snowflake":
            return str(_snowflake(moment, seq))
    raise ValueError(f"unchecked run-id token {token!r}")


def _snowflake(moment: datetime, seq: int) -> int:
    """Milliseconds since 2024 above a 22-bit counter: the journal's sequence number, the same for all processes."""
    milliseconds = max(0, epoch_ms(moment) - _SNOWFLAKE_EPOCH_MS)
    return milliseconds << _SNOWFLAKE_COUNTER_BITS | seq & ((1 << _SNOWFLAKE_COUNTER_BITS) - 1)
