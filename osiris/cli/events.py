"""``osiris events``: the journal as a person would read it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from osiris.cli.complete import complete_event_types, complete_runs
from osiris.cli.output import Output, local_time
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.errors import ExitCode
from osiris.events.catalog import EVENT_TYPES, UnknownEvent
from osiris.events.entry import Entry
from osiris.events.retention import RetentionPlanned, RetentionPruned
from osiris.ledger.index import settled_torn
from osiris.ledger.queries import get_run, run_name
from osiris.projections.runs import run_key

_NOT_SHOWN = frozenset({"type", "runtime_env", "manifest_hash", "payload_digest", "session", "pid"})
_LONGEST_VALUE = 60
_POLL_S = 0.1
_NOTHING: tuple[object, ...] = ("", None, [], {}, 0)


class EventDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``osiris events --json``: an entry without its chain."""

    seq: int
    id: str
    at: str
    hash: str
    event: msgspec.Raw


@click.command(
    cls=Verb,
    document=EventDocument,
    exits=[*READING_EXITS, ExitCode.CANCELLED],
    examples=[
        "osiris events",
        "osiris events --type run.finished --since 100",
        "osiris events --run last --json | jq .event",
        "osiris events --follow --since 100",
    ],
)
@click.option("--since", "since_seq", metavar="SEQ", type=click.IntRange(min=0), default=0, help="Entries behind SEQ.")
@click.option(
    "--type",
    "event_type",
    metavar="T",
    shell_complete=complete_event_types,
    help="Only events of this type, such as run.finished.",
)
@click.option(
    "--run",
    "run_reference",
    metavar="ID",
    shell_complete=complete_runs,
    help="Only events of this run (or `last`).",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new entries as they come, until it is stopped.")
@shared_options
@click.pass_obj
def command(
    settings: Settings, since_seq: int, event_type: str | None, run_reference: str | None, follow: bool
) -> None:
    """Read the journal, oldest entry first; with --json one document a line.

    Entries show once they are whole. With --follow, one may show a moment before its writer has been told that it is
    safe; should the disk fail in between, it is taken back, and this command ends with an error that says so.
    """
    ledger = settings.open_project().ledger
    output = Output(settings)
    run = None if run_reference is None else run_name(get_run(ledger, run_reference))
    if event_type and event_type not in EVENT_TYPES:
        known = ", ".join(sorted(EVENT_TYPES))
        output.warn(f"this version knows no event type {event_type!r}; it knows {known}")
    reader = ledger.journal.read_behind(since_seq)
    while True:
        for entry in reader:
            if _is_wanted(entry, since_seq, event_type, run):
                output.emit_line(msgspec.json.encode(_document(entry)), _line(entry))
        if not follow:
            break
        time.sleep(_POLL_S)
    torn = settled_torn(ledger) if reader.torn else None
    if torn:
        output.warn(f"{torn.bytes} torn bytes behind the last entry of {torn.segment}")


def _is_wanted(entry: Entry, since_seq: int, event_type: str | None, run: str | None) -> bool:
    return (
        entry.seq > since_seq
        and (not event_type or _type_of(entry) == event_type)
        and (run is None or run in _runs(entry))
    )


def _runs(entry: Entry) -> set[str]:
    """The runs that an event speaks of, by pipeline and id: an id alone may be that of several."""
    event = entry.event
    if isinstance(event, RetentionPlanned | RetentionPruned):
        return {run_key(run.pipeline_slug, run.run_id) for run in event.runs}
    slug, run_id = getattr(event, "pipeline_slug", ""), getattr(event, "run_id", "")
    return {run_key(slug, run_id)} if run_id else set()


def _type_of(entry: Entry) -> str:
    if isinstance(entry.event, UnknownEvent):
        return entry.event.type
    return str(entry.event.__struct_config__.tag)


def _document(entry: Entry) -> EventDocument:
    raw = entry.event.raw if isinstance(entry.event, UnknownEvent) else msgspec.json.encode(entry.event)
    return EventDocument(seq=entry.seq, id=entry.id, at=entry.at, hash=entry.hash, event=msgspec.Raw(raw))


def _line(entry: Entry) -> str:
    head = f"{entry.seq:>6}  {local_time(entry.at)}  {_type_of(entry):18}"
    if isinstance(entry.event, UnknownEvent):
        return f"{head}  (written by a newer Osiris)"
    fields = msgspec.to_builtins(entry.event)
    if isinstance(entry.event, RetentionPlanned | RetentionPruned):
        fields |= {name: _paths(fields[name]) for name in ("runs", "left") if fields.get(name)}
    shown = [
        f"{name}={_short(value)}" for name, value in fields.items() if name not in _NOT_SHOWN and value not in _NOTHING
    ]
    return f"{head}  {' '.join(shown)}"


def _paths(runs: Sequence[dict[str, Any]]) -> str:
    """How many paths of which runs; which paths they are, --json tells."""
    number = sum(len(run["paths"]) for run in runs)
    names = ",".join(run_key(run["pipeline_slug"], run["run_id"]) for run in runs)
    return f"{number} paths of {names}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
