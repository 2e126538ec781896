"""``osiris index``: the index against the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from osiris.cli.output import Output
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.index import JournalHead, Rebuilt, Verification, head, rebuild, verify_index
from osiris.ledger.repair import Repair, repair

_EXIT_OF_RESULT = {"ok": ExitCode.DONE, "drift": ExitCode.INDEX_DRIFT, "torn": ExitCode.TORN_TAIL}


@click.group()
def command() -> None:
    """The index is derived from the journal: verify it, throw it away, rebuild it."""


@command.command(
    "verify",
    cls=Verb,
    document=Verification,
    exits=[*READING_EXITS, ExitCode.TORN_TAIL],
    examples=["osiris index verify", "osiris index verify --json", "osiris index verify --against head.json"],
)
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Prove that the journal extends the head in FILE (from `osiris index head`).",
)
@shared_options
@click.pass_obj
def verify(settings: Settings, against: Path | None) -> int:
    """Replay the journal and compare every index file with it. Writes nothing."""
    earlier = _read_head(against) if against else None
    verification = verify_index(settings.open_project().ledger, earlier)
    output = Output(settings)
    for event_type, number in verification.unknown.items():
        output.warn(f"{number} events of type {event_type}, written by a newer Osiris, were passed over")
    output.emit(verification, _verification_lines(verification, output))
    return _EXIT_OF_RESULT[verification.result]


@command.command(
    "rebuild",
    cls=Verb,
    document=Rebuilt,
    exits=READING_EXITS,
    examples=["osiris index rebuild", "osiris index rebuild --up-to 41"],
)
@click.option(
    "--up-to",
    "up_to_seq",
    metavar="SEQ",
    type=click.IntRange(min=1),
    help="Trust the journal up to this entry and show no more of it: for a look at what is good in a corrupt one.",
)
@shared_options
@click.pass_obj
def rebuild_command(settings: Settings, up_to_seq: int | None) -> None:
    """Render the whole index afresh from the journal and swap it in; safe to kill at any point."""
    rebuilt: Rebuilt = rebuild(settings.open_project().ledger, up_to_seq)
    lines = [f"rebuilt {rebuilt.files} files from {rebuilt.head.seq:,} entries; head {rebuilt.head.hash[:16]}…"]
    Output(settings).emit(rebuilt, lines)


@command.command(
    "repair",
    cls=Verb,
    document=Repair,
    exits=[*READING_EXITS, ExitCode.NEWER_OSIRIS],
    examples=["osiris index repair --dry-run", "osiris index repair"],
)
@click.option("--dry-run", is_flag=True, help="Say what would be cut, and change nothing.")
@shared_options
@click.pass_obj
def repair_command(settings: Settings, dry_run: bool) -> None:
    """Cut a corrupt journal where its chain of entries ends, and let writers in again after a failed disk.

    The only verb that changes the journal's past. All that it cuts is copied to torn/ beside the journal first, what it
    did is recorded as an event, and the index is rebuilt. A backup of the journal is better, if there is one.
    """
    done = repair(settings.open_project().ledger, dry_run=dry_run)
    Output(settings).emit(done, _repair_lines(done))


@command.command(
    "head",
    cls=Verb,
    document=JournalHead,
    exits=[ExitCode.CORRUPT, ExitCode.DISK],
    examples=["osiris index head > head.json   # keep it elsewhere"],
)
@shared_options
@click.pass_obj
def head_command(settings: Settings) -> None:
    """Print the journal's last sequence number and hash: keep it elsewhere, for `verify --against`."""
    found = head(settings.open_project().ledger)
    Output(settings).emit(found, [msgspec.json.encode(found).decode()])


def _verification_lines(found: Verification, output: Output) -> Iterator[str]:
    if found.result != "drift":
        yield f"{output.status('ok')}  the index is what {found.entries:,} journal entries give; chain unbroken"
    if found.extends:
        yield f"{output.status('ok')}  the journal extends the head at entry {found.extends.seq:,}"
    for difference in found.differences:
        where = f"{difference.path}:{difference.line}" if difference.line else difference.path
        yield f"{output.status('drift')}  {difference.problem:10} {where}: {difference.detail}"
    if found.differences:
        yield "Try: osiris index rebuild"
    if found.torn:
        yield f"{output.status('torn')}  {found.torn.bytes} bytes behind the last entry of {found.torn.segment}"
        yield "They were never acknowledged; the next command that writes keeps a copy and cuts them off."
    yield f"head {found.head.seq} {found.head.hash}"


def _repair_lines(done: Repair) -> Iterator[str]:
    if not done.reason:
        yield f"nothing to repair: the chain of {done.last_good_seq:,} entries is unbroken, and no fence stands"
        return
    yield f"found: {done.reason}"
    would = "would keep" if done.dry_run else "kept"
    yield f"{would} the entries up to {done.last_good_seq:,}"
    if done.bytes_cut:
        what = f"{done.bytes_cut:,} bytes, {done.entries_cut:,} whole entries among them"
        yield f"would cut {what}" if done.dry_run else f"cut {what}; copies in {', '.join(done.kept_as)}"
    if done.fence_removed:
        yield "would take down the fence" if done.dry_run else "took down the fence: writers go on"


def _read_head(path: Path) -> JournalHead:
    try:
        return msgspec.json.decode(path.read_bytes(), type=JournalHead)
    except OSError as cause:
        raise OsirisError(
            f"could not read {path}: {cause.strerror}",
            "Give a file with what `osiris index head` printed.",
            code="index.bad_head",
            path=str(path),
        ) from cause
    except msgspec.MsgspecError as cause:
        raise OsirisError(
            f"{path} holds no head: {cause}",
            'Give a file with {"seq": …, "hash": …}, as `osiris index head` prints it.',
            code="index.bad_head",
            path=str(path),
        ) from cause
