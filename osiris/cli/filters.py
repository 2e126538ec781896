"""What the options of several listing verbs mean."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from osiris.clock import Clock, rfc3339
from osiris.documents import suggest
from osiris.errors import OsirisError
from osiris.ledger.queries import list_pipelines
from osiris.project import Project

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS_AGO = {"today": 0, "yesterday": 1}
_FIRST_YEAR = 1000
"""Texts of times sort as times do from here on."""


def since_moment(text: str, clock: Clock) -> str:
    """``7d``, ``today`` or a date as RFC 3339; "" for "". What has no zone is local time."""
    if not text:
        return ""
    relative = re.fullmatch(r"([0-9]{1,5})([smhdw])", text)
    try:
        if relative:
            moment = clock.now() - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        elif text in _DAYS_AGO:
            day = clock.now().astimezone().date() - timedelta(days=_DAYS_AGO[text])
            moment = datetime.combine(day, time()).astimezone(UTC)
        else:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        if moment.year < _FIRST_YEAR:
            raise ValueError(f"the year {moment.year} has no four digits")
    except (ValueError, OverflowError) as cause:
        raise OsirisError(
            f"--since {text!r} is no time",
            "Give 30m, 12h, 7d, 2w, today, yesterday, or a date such as 2026-11-21.",
            code="cli.usage",
        ) from cause
    return rfc3339(moment)


def checked_profile(project: Project, wanted: str) -> str:
    """``wanted`` as it is; an error where neither the configuration nor the ledger knows such a profile."""
    if not wanted:
        return ""
    configured = project.config.filesystem.profiles
    known = set(configured.values) if configured.enabled else set()
    known |= {profile for summary in list_pipelines(project.ledger).values() for profile in summary.last_compile}
    known.discard("")
    if wanted not in known:
        raise OsirisError(
            f"unknown profile {wanted!r}: neither osiris.yaml nor the ledger has it",
            suggest(wanted, known) or (f"There are {', '.join(sorted(known))}." if known else "Profiles are off."),
            code="profile.unknown",
        )
    return wanted


def split_tags(values: tuple[str, ...]) -> list[str]:
    """The tags that an option was given, each time one or several with commas in between."""
    return [tag.strip() for value in values for tag in value.split(",") if tag.strip()]
