"""``osiris index repair``: the only verb that changes the journal's past.

It keeps what can be proven: the entries from the first on, as far as the chain goes. All behind is copied to ``torn/``
and cut, and the journal goes on with an event that says so.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

import msgspec

from osiris.clock import rfc3339
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.events.catalog import UnknownEvent, decode_event
from osiris.events.reader import JournalReader
from osiris.events.recovery import JournalRepaired
from osiris.events.runs import RunStarted
from osiris.events.segment import sealed_in, segment_name
from osiris.events.torn_tail import bring_back, keep_from
from osiris.ledger import checkpoint
from osiris.ledger.fold import newer_osiris
from osiris.ledger.ledger import Ledger


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair does or did. ``reason`` is "" where the journal needs none; then nothing was written.

    ``last_good_seq`` is the last entry that stays; ``kept_as`` names the copies (none in a dry run).
    """

    reason: str
    last_good_seq: int
    bytes_cut: int = 0
    entries_cut: int = 0
    fence_removed: bool = False
    kept_as: tuple[str, ...] = ()
    dry_run: bool


class _Diagnosis(NamedTuple):
    """Where the chain ends, why ("" if it is the journal's end), and the newest run number of each pipeline."""

    tail: JournalReader
    reason: str
    run_numbers: dict[str, int]


class _Cut(NamedTuple):
    """What goes: the bytes of ``path`` from ``offset`` on; in all of them ``size`` bytes, with these whole entries."""

    parts: list[tuple[Path, int]]
    size: int
    entries: int
    run_numbers: dict[str, int]


def repair(ledger: Ledger, *, dry_run: bool) -> Repair:
    """Cut the journal where its chain ends, take down the fence, and rebuild the index; or only say what would be done.

    A journal that is sound and unfenced is left alone, and so is a torn tail, which the next append mends by itself.
    """
    if dry_run:
        with ledger.journal.quiet():
            return _planned(ledger, _diagnose(ledger))
    with ledger.journal.lock(behind_fence=True):
        try:
            bring_back(ledger.journal.directory)
        except OSError as cause:
            raise disk_error("repair the journal in", ledger.journal.directory, cause) from cause
        diagnosis = _diagnose(ledger)
        done = _planned(ledger, diagnosis)
        if done.reason:
            done = _repair_locked(ledger, diagnosis, done)
    if done.reason:
        ledger.index.rebuild(ledger.journal, is_repaired=True)
    return msgspec.structs.replace(done, dry_run=False)


def _planned(ledger: Ledger, diagnosis: _Diagnosis) -> Repair:
    is_fenced = ledger.journal.fence.path.exists()
    reason = diagnosis.reason or ("the journal is fenced off" if is_fenced else "")
    cut = _cut_behind(diagnosis.tail) if reason else _Cut([], 0, 0, {})
    return Repair(
        reason=reason,
        last_good_seq=diagnosis.tail.position.seq,
        bytes_cut=cut.size,
        entries_cut=cut.entries,
        fence_removed=is_fenced,
        dry_run=True,
    )


def _repair_locked(ledger: Ledger, diagnosis: _Diagnosis, plan: Repair) -> Repair:
    moment = ledger.clock.now()
    cut = _cut_behind(diagnosis.tail)
    numbers = cut.run_numbers
    for slug, number in _numbers_in_index(ledger).items():
        numbers[slug] = max(number, numbers.get(slug, 0))
    kept_as = tuple(keep_from(ledger.journal.directory, path, offset) for path, offset in cut.parts)
    event = JournalRepaired(
        reason=plan.reason.replace(f"{ledger.journal.directory}/", ""),  # the journal may be moved with its project
        last_good_seq=plan.last_good_seq,
        bytes_cut=cut.size,
        entries_cut=cut.entries,
        kept_as=kept_as,
        last_run_numbers={
            slug: number for slug, number in sorted(numbers.items()) if number > diagnosis.run_numbers.get(slug, 0)
        },
        fence_removed=plan.fence_removed,
        repaired_at=rfc3339(moment),
    )
    ledger.journal.repair_locked(diagnosis.tail.position, diagnosis.tail.strays(), event, moment)
    return msgspec.structs.replace(plan, kept_as=kept_as)


def _diagnose(ledger: Ledger) -> _Diagnosis:
    tail = ledger.journal.read()
    run_numbers: dict[str, int] = {}
    try:
        for entry in tail:
            if isinstance(entry.event, UnknownEvent):
                raise newer_osiris([entry.event.type])
            if isinstance(entry.event, RunStarted):
                run_numbers[entry.event.pipeline_slug] = entry.event.number
    except OsirisError as error:
        if error.exit_code != ExitCode.CORRUPT:
            raise
        return _Diagnosis(tail, error.problem, run_numbers)
    witness = checkpoint.witness_in(ledger.index.directory, ledger.journal.origin())
    if witness is not None:
        try:
            next(iter(ledger.journal.read(witness)), None)
        except OsirisError as error:
            if error.exit_code != ExitCode.CORRUPT:
                raise
            return _Diagnosis(tail, error.problem, run_numbers)
    return _Diagnosis(tail, "", run_numbers)


def _cut_behind(tail: JournalReader) -> _Cut:
    position = tail.position
    last = tail.directory / segment_name(position.segment)
    parts = [(last, position.offset)] if last.is_file() and last.stat().st_size > position.offset else []
    parts += [(stray, 0) for stray in tail.strays() if stray.is_file()]
    size = entries = 0
    run_numbers: dict[str, int] = {}
    for path, offset in parts:
        size += path.stat().st_size - offset
        for entry in sealed_in(path, offset):
            entries += 1
            _note_number(entry.event, run_numbers)
    return _Cut(parts, size, entries, run_numbers)


def _note_number(raw: bytes, run_numbers: dict[str, int]) -> None:
    with contextlib.suppress(ValueError):  # sealed by somebody, but no event: the copy has it
        event = decode_event(raw)
        if isinstance(event, UnknownEvent):
            raise newer_osiris([event.type])
        if isinstance(event, RunStarted):
            run_numbers[event.pipeline_slug] = max(event.number, run_numbers.get(event.pipeline_slug, 0))


def _numbers_in_index(ledger: Ledger) -> dict[str, int]:
    path = ledger.index.directory / checkpoint.DATABASE
    try:
        with checkpoint.reading_a_copy(path) as db:
            return dict(db.execute("SELECT pipeline_slug, last_value FROM counters"))
    except (sqlite3.DatabaseError, OSError):
        return {}
