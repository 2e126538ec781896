"""Reading a run's own files back: whole lines only, for the run may be alive or may have been killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from osiris.errors import OsirisError, disk_error
from osiris.runner.run_log import EVENTS_NAME, LoggedEvent

_decode = msgspec.json.Decoder(LoggedEvent).decode


def read_events(folder: Path) -> Iterator[LoggedEvent]:
    """The events in the run folder, oldest first; none where there is no such file.

    A last line without its end is passed over: it is being written, or a kill cut it. Raises exit 7 where the disk does
    not give the file, exit 2 where a line is no event.
    """
    path = folder / EVENTS_NAME
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield _decoded(line, path, number)
    except FileNotFoundError:
        return
    except OSError as cause:
        raise disk_error("read", path, cause) from cause


def _decoded(line: bytes, path: Path, number: int) -> LoggedEvent:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
        raise OsirisError(
            f"{path}:{number} is no event of a run: {cause}",
            "The file was changed after it was written; the ledger is not concerned.",
            code="logs.unreadable",
            path=str(path),
        ) from cause
