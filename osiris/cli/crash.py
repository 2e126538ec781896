"""Where the traceback of a bug goes."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from osiris.config import CONFIG_NAME
from osiris.redaction import known_secrets


def write_crash_log(bug: BaseException, named: Path | None) -> Path:
    """Append the traceback, secrets masked, to ``.osiris/cache/crash.log`` of the project, or to a temporary file."""
    text = known_secrets().scrub("".join(traceback.format_exception(bug)))
    start = (named or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            log = folder / ".osiris" / "cache" / "crash.log"
            try:
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("a", encoding="utf-8") as file:
                    file.write(text + "\n")
            except OSError:
                break
            return log
    descriptor, name = tempfile.mkstemp(prefix="osiris-crash-", suffix=".log", text=True)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is open already
        file.write(text)
    return Path(name)
