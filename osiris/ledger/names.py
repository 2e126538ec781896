"""Names in events that become names of files: what a projection or a lock file is called."""

from __future__ import annotations

import re

from osiris.errors import OsirisError
from osiris.events.catalog import Event
from osiris.layout.tokens import LONGEST_SLUG

_SLUG = re.compile(rf"[a-z0-9_-]{{1,{LONGEST_SLUG}}}")
_PROFILE = re.compile(rf"(?:[a-z0-9][a-z0-9_-]{{0,{LONGEST_SLUG - 1}}})?")
_SESSION = re.compile(r"[A-Za-z0-9]{1,64}")
_RULES = {"pipeline_slug": _SLUG, "profile": _PROFILE, "session": _SESSION}


def refuse_unsafe_names(event: Event) -> None:
    """An error where a name in ``event`` could lead out of the index, or could not be a file's; nothing is recorded."""
    for field, rule in _RULES.items():
        name = getattr(event, field, None)
        if isinstance(name, str) and not rule.fullmatch(name):
            raise OsirisError(
                f"{name[:60]!r} cannot be the {field} of {type(event).__name__}",
                f"It must match {rule.pattern}; nothing was recorded.",
                code="ledger.unsafe_name",
            )
