"""``osiris index``: verify, rebuild, head, and whether the journal still extends an earlier head."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from osiris.errors import ExitCode, OsirisError
from osiris.events.journal import Journal
from osiris.events.reader import corruption
from osiris.events.segment import START, Position
from osiris.ledger import checkpoint
from osiris.ledger.ledger import Ledger
from osiris.ledger.line_comparison import Difference
from osiris.ledger.verify import check

_PATIENCE_S = 2.0
_PAUSE_S = 0.02


class JournalHead(msgspec.Struct, frozen=True, kw_only=True):
    """The last entry of the journal; ``seq`` 0 and 64 zeros before the first."""

    seq: int
    hash: str


class TornBytes(msgspec.Struct, frozen=True, kw_only=True):
    """A torn tail: ``bytes`` from ``offset`` on in ``segment``."""

    segment: str
    offset: int
    bytes: int
    reason: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What verify found. ``unknown`` counts the events of a newer Osiris by type; they are no difference."""

    result: Literal["ok", "drift", "torn"]
    entries: int
    head: JournalHead
    differences: tuple[Difference, ...] = ()
    torn: TornBytes | None = None
    unknown: dict[str, int] = {}
    extends: JournalHead | None = None


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild made: the head that the index now shows, and how many files there are."""

    head: JournalHead
    files: int


def verify_index(ledger: Ledger, against: JournalHead | None = None) -> Verification:
    """Compare the index with the journal, and the journal with itself and ``against``. Writes nothing.

    Raises exit 5 where the journal is corrupt, shorter than the index says it was, or no extension of ``against``.
    """
    journal, directory = ledger.journal, ledger.index.directory
    _check_witness(ledger)
    if against is not None:
        _check_extends(journal, against)
    differences, fold, tail, position = check(directory, journal)
    if differences:
        differences = _settled_differences(ledger)
    torn = settled_torn(ledger) if tail.torn else None
    return Verification(
        result="drift" if differences else "torn" if torn else "ok",
        entries=position.seq,
        head=JournalHead(seq=position.seq, hash=position.hash),
        differences=tuple(differences),
        torn=torn,
        unknown=fold.unknown,
        extends=against,
    )


def rebuild(ledger: Ledger, up_to_seq: int | None = None) -> Rebuilt:
    """Make the index afresh from the journal; refuses a corrupt one with exit 5.

    With ``up_to_seq`` only the entries up to that one are trusted and shown, whatever stands behind them.
    """
    position = ledger.index.rebuild(ledger.journal, up_to_seq)
    if up_to_seq is not None and position.seq < up_to_seq:
        raise OsirisError(
            f"there is no entry {up_to_seq}: the journal ends at entry {position.seq}, and so does the index now",
            "See `osiris index head` for the last entry.",
            code="index.no_such_entry",
        )
    files = sum(
        1 for path in ledger.index.directory.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    )
    return Rebuilt(head=JournalHead(seq=position.seq, hash=position.hash), files=files)


def head(ledger: Ledger) -> JournalHead:
    """The journal's last entry, found from where the index knows it. Writes nothing."""
    position = ledger.journal.read(_witness(ledger) or START).drain().position
    return JournalHead(seq=position.seq, hash=position.hash)


def _check_extends(journal: Journal, against: JournalHead) -> None:
    if against.seq == 0:
        return
    entry = next((entry for entry in journal.read() if entry.seq == against.seq), None)
    if entry is None:
        raise corruption(
            f"the journal has no entry {against.seq} any more: it was rolled back, or it is another one",
            journal.directory,
        )
    if entry.hash != against.hash:
        raise corruption(
            f"entry {against.seq} has the hash {entry.hash[:12]}…, but it was {against.hash[:12]}…: "
            "the journal was rewritten, or it is another one",
            journal.directory,
        )


def _check_witness(ledger: Ledger) -> None:
    position = _witness(ledger)
    if position is not None:
        next(iter(ledger.journal.read(position)), None)


def _settled_differences(ledger: Ledger) -> list[Difference]:
    """Differences that remain while nobody changes the index.

    What is only behind gets time to reach the end that the journal has now, however much comes behind it meanwhile.
    """
    deadline = time.monotonic() + _PATIENCE_S
    wanted = ledger.journal.read(_witness(ledger) or START).drain().position
    while True:
        with ledger.index.quiet():
            position = _witness(ledger)
            differences = check(ledger.index.directory, ledger.journal, position.seq if position else None).differences
        if differences or position is None:
            return differences
        if position.seq >= wanted.seq:
            return []
        if time.monotonic() > deadline:
            detail = f"it shows the journal up to entry {position.seq}, which ended at {wanted.seq} a while ago"
            return [Difference(path=checkpoint.DATABASE, problem="stale", detail=detail)]
        time.sleep(_PAUSE_S)


def settled_torn(ledger: Ledger) -> TornBytes | None:
    """The torn tail, unless it was an entry that somebody is writing: under the lock nobody is."""
    try:
        with ledger.journal.quiet(_PATIENCE_S):
            torn = ledger.journal.read(_witness(ledger) or START).drain().torn
    except OsirisError as error:
        if error.exit_code != ExitCode.LOCKED:
            raise
        return None
    if torn is None:
        return None
    return TornBytes(segment=torn.path.name, offset=torn.offset, bytes=torn.size, reason=torn.reason)


def _witness(ledger: Ledger) -> Position | None:
    return checkpoint.witness_in(ledger.index.directory, ledger.journal.origin())
