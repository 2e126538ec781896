"""Keeping what a recovery or a repair cuts off: copies in ``torn/`` beside the segments."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from osiris import durable
from osiris.canonical import sha256_hex
from osiris.errors import OsirisError, disk_error
from osiris.events.recovery import JournalRecovered
from osiris.events.segment import TornTail

TORN_DIRECTORY = "torn"
_AWAY = ".away"
_KEEPING = ".keeping.tmp"
"""The one temporary name in ``torn/``; whoever uses it holds the journal's lock."""


def keep_torn_tail(directory: Path, torn: TornTail, recovered_at: str) -> tuple[JournalRecovered, bytes]:
    """Keep a copy of a torn tail; the event that says so, and the bytes. The tail itself stays where it is.

    Entries are then written over it. So it goes in the same step in which the event comes, and a crash in between
    leaves a torn tail again.
    """
    try:
        with torn.path.open("rb") as segment:
            segment.seek(torn.offset)
            content = segment.read()
        digest = sha256_hex(content)
        kept = directory / TORN_DIRECTORY / _kept_name(torn.path, torn.offset, digest)
        durable.make_directory(kept.parent)
        durable.replace_file(kept, content, sync=True, temporary=kept.with_name(_KEEPING))
    except OSError as cause:
        raise nothing_recorded(disk_error("keep the torn tail of", torn.path, cause)) from cause
    event = JournalRecovered(
        segment=torn.path.name,
        offset=torn.offset,
        bytes_cut=len(content),
        kept_as=f"{TORN_DIRECTORY}/{kept.name}",
        sha256=digest,
        recovered_at=recovered_at,
    )
    return event, content


def keep_from(directory: Path, path: Path, offset: int) -> str:
    """Keep a copy of the segment ``path`` from ``offset`` on, however long; its name, relative to the journal."""
    folder = directory / TORN_DIRECTORY
    making = folder / _KEEPING
    try:
        durable.make_directory(folder)
        try:
            digest = durable.copy_file_part(path, offset, making)
            kept = folder / _kept_name(path, offset, digest)
            durable.move_into_place(making, kept)
        except OSError:
            durable.remove_file(making)
            raise
    except OSError as cause:
        raise nothing_recorded(disk_error("keep what is cut off", path, cause)) from cause
    return f"{TORN_DIRECTORY}/{kept.name}"


def bring_back(directory: Path) -> None:
    """Undo a :func:`take_away` that did not come to its end. Raises ``OSError``."""
    for hidden in directory.glob(f".*.ndjson{_AWAY}"):
        durable.move(hidden, directory / hidden.name[1 : -len(_AWAY)])


def take_away(segments: Sequence[Path]) -> None:
    """Remove segments of which a copy is kept; ``OSError`` if their names may come back, and then they are there again.

    So whoever tries again removes them again: syncing the same removal once more could succeed without being true.
    """
    hidden = [(segment, segment.with_name(f".{segment.name}{_AWAY}")) for segment in segments]
    if not hidden:
        return
    try:
        for segment, name in hidden:
            durable.move(segment, name)
        durable.sync_directory(segments[0].parent)
    except OSError:
        for segment, name in hidden:
            with contextlib.suppress(OSError):
                durable.move(name, segment)
        raise
    for _, name in hidden:
        durable.remove_tree(name)


def nothing_recorded(error: OsirisError) -> OsirisError:
    """``error``, which says that as well."""
    error.problem += "; nothing was recorded"
    error.args = (error.problem,)
    return error


def _kept_name(path: Path, offset: int, digest: str) -> str:
    return f"{path.stem}-{offset}-{digest[:16]}.bytes"
