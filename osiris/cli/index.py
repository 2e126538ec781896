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

_EXIT_OF_RESULT = {"ok": ExitCode.DONE, "drift": ExitCode.INDEX_DRIFT, "torn": ExitCode.TORN_TAIL}


@click.group()
def command() -> None:
    """The index is derived from the journal: verify it, throw it away, rebuild it."""


@command.command(
    "verify",
    cls=Verb,
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


@command.command("rebuild", cls=Verb, exits=READING_EXITS, examples=["osiris index rebuild"])
@shared_options
@click.pass_obj
def rebuild_command(settings: Settings) -> None:
    """Render the whole index afresh from the journal and swap it in; safe to kill at any point."""
    rebuilt: Rebuilt = rebuild(settings.open_project().ledger)
    lines = [f"rebuilt {rebuilt.files} files from {rebuilt.head.seq:,} entries; head {rebuilt.head.hash[:16]}…"]
    Output(settings).emit(rebuilt, lines)


@command.command(
    "head",
    cls=Verb,
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


def _read_head(path: Path) -> JournalHead:
    try:
        return msgspec.json.decode(path.read_bytes(), type=JournalHead)
    except (OSError, msgspec.MsgspecError) as cause:
        raise OsirisError(
            f"{path} holds no head: {cause}",
            'Give a file with {"seq": …, "hash": …}, as `osiris index head` prints it.',
            code="index.bad_head",
            path=str(path),
        ) from cause
