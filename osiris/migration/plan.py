"""What would be moved where, and what would be recorded: looked at only, nothing is written."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path, PurePath

import msgspec

from osiris.clock import rfc3339
from osiris.errors import OsirisError, disk_error
from osiris.events.runs import RunImported
from osiris.layout.run_ts import render_run_ts
from osiris.layout.tokens import LONGEST_SLUG, pipeline_slug, slugify_token
from osiris.ledger.queries import RunFilter, list_runs
from osiris.migration.old_session import OldSession, read_session
from osiris.project import Project
from osiris.projections.runs import run_key
from osiris.runner.run_log import storable

LEGACY_NAME = "legacy"
_MAY_BE_ALIVE = timedelta(hours=24)
_LONGEST_RUN_ID = 100
_NOT_SAFE = re.compile(r"[^A-Za-z0-9_.+-]+")
_LIKE_OURS = re.compile(r"run-[0-9]+(_.*)?")
_NO_NAME = re.compile(r"[0-9]+[TZ]?[0-9]*Z?|[0-9a-fA-F]{8,}|[0-9A-Z]{26}")


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller said: the slug of sessions by name, "" for all that name no pipeline; a profile or None."""

    slugs: Mapping[str, str] = {}
    profile: str | None = None


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be recorded and moved: from ``folder`` to ``event.run_logs_path``."""

    folder: Path
    event: RunImported
    notes: tuple[str, ...]


class LeftAlone(msgspec.Struct, frozen=True, kw_only=True):
    """What is not touched, and why; ``is_refused`` if it is a run, and somebody has to do something about it."""

    source: str
    reason: str
    is_refused: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in the old folder: runs, oldest end first, and the rest."""

    runs: tuple[PlannedRun, ...]
    left: tuple[LeftAlone, ...]


def make_plan(project: Project, logs: Path, wishes: Wishes) -> Plan:
    """Look at everything in ``logs``. Raises exit 7 where the disk does not give it, exit 2 for an unknown profile."""
    try:
        entries = sorted(logs.iterdir()) if logs.is_dir() else []
        sessions, left = [], []
        for path in entries:
            if path.is_symlink() or not path.is_dir():
                what = "a link, and none is followed" if path.is_symlink() else "no session, but a file"
                left.append(LeftAlone(source=source_of(project, path), reason=what))
            elif path.name.startswith("."):
                left.append(LeftAlone(source=source_of(project, path), reason="no session: a hidden folder"))
            else:
                sessions.append((path, read_session(path)))
    except OSError as cause:
        raise disk_error("look into", logs, cause) from cause
    planner = _Planner(project, wishes)
    runs = []
    for path, session in sorted(sessions, key=lambda pair: (pair[1].finished_at, pair[0])):
        planned = planner.plan(path, session)
        if isinstance(planned, PlannedRun):
            runs.append(planned)
        else:
            left.append(planned)
    return Plan(runs=tuple(runs), left=tuple(sorted(left, key=lambda found: found.source)))


def source_of(project: Project, path: Path) -> str:
    """``path`` as the journal keeps it: relative to the root, or its last two names where it lies elsewhere."""
    inside = project.holds(path)
    return storable(project.relative(path) if inside else PurePath(*path.absolute().parts[-2:]).as_posix())


class _Planner:
    """Decides on one session after the other, so that no two get one place."""

    def __init__(self, project: Project, wishes: Wishes) -> None:
        self._project = project
        self._wishes = wishes
        self._default_profile = project.profile(wishes.profile)
        self._now = project.clock.now()
        ledger = project.ledger
        self._has_entries = ledger.peek().next_seq > 1
        self._known = {run_key(run.pipeline_slug, run.run_id) for run in list_runs(ledger, RunFilter(), sys.maxsize)}

    def plan(self, folder: Path, session: OldSession) -> PlannedRun | LeftAlone:
        source = source_of(self._project, folder)
        if session.kind != "run":
            return LeftAlone(source=source, reason=f"no run: {session.kind}")
        key = f"run.imported/{storable(session.name)}/{session.digest}"
        recorded = self._recorded(key)
        if recorded is not None:
            notes = ("recorded by an earlier try, which is finished now", *session.notes)
            return PlannedRun(folder=folder, event=recorded, notes=notes)
        if session.status == "interrupted" and abs(self._now - session.finished_at) < _MAY_BE_ALIVE:
            return LeftAlone(
                source=source,
                reason=f"may still be running: no end, and its last sign of life is of {rfc3339(session.finished_at)}",
                is_refused=True,
            )
        slug = self._slug(session)
        if not slug:
            reason = "no pipeline is named in it; name one with --pipeline SLUG or --pipeline SESSION=SLUG"
            return LeftAlone(source=source, reason=reason, is_refused=True)
        event = self._event(session, slug, source, key)
        problem = self._problem(event)
        if problem:
            return LeftAlone(source=source, reason=problem, is_refused=True)
        self._known.add(run_key(event.pipeline_slug, event.run_id))
        return PlannedRun(folder=folder, event=event, notes=self._notes(session))

    def _recorded(self, key: str) -> RunImported | None:
        ledger = self._project.ledger
        found = ledger.index.recorded_with(key) if self._has_entries else None
        if found is None:
            return None
        entry = next(entry for entry in ledger.journal.read_behind(found[0] - 1) if entry.seq == found[0])
        return entry.event if isinstance(entry.event, RunImported) else None

    def _slug(self, session: OldSession) -> str:
        """What the caller says of this session, what its log says, its name, what the caller says of all; in turn."""
        named = (self._wishes.slugs.get(session.name), session.pipeline, _pipeline_in(session.name))
        slugs = (_slug_of(name) for name in (*named, self._wishes.slugs.get("")) if name)
        return next(filter(None, slugs), "")

    def _profile(self, session: OldSession) -> str:
        profiles = self._project.config.filesystem.profiles
        is_known = profiles.enabled and session.profile in profiles.values
        return session.profile if is_known and self._wishes.profile is None else self._default_profile

    def _notes(self, session: OldSession) -> tuple[str, ...]:
        profile = self._profile(session)
        if not session.profile or session.profile == profile or self._wishes.profile is not None:
            return session.notes
        return (*session.notes, storable(f"its profile {session.profile!r} is none of this project: now {profile!r}"))

    def _event(self, session: OldSession, slug: str, source: str, key: str) -> RunImported:
        run_id, profile = run_id_of(session.name), self._profile(session)
        run_ts = render_run_ts(session.started_at, self._project.config.filesystem.naming.run_ts_format)
        tokens = {
            "pipeline_slug": slug,
            "profile": profile,
            "run_id": run_id,
            "run_ts": run_ts,
            "user": session.user,
            "tags": "+".join(session.tags),
        }
        return RunImported(
            idempotency_key=key,
            run_id=run_id,
            pipeline_slug=slug,
            profile=profile,
            status=session.status,
            started_at=rfc3339(session.started_at),
            finished_at=rfc3339(session.finished_at),
            source=source,
            run_logs_path=self._project.contract.run_logs(tokens),
            imported_at=rfc3339(self._now),
            duration_ms=session.duration_ms,
            rows_in=session.rows_in,
            rows_out=session.rows_out,
            error=session.error,
            tags=session.tags,
            user=session.user,
        )

    def _problem(self, event: RunImported) -> str:
        if run_key(event.pipeline_slug, event.run_id) in self._known:
            return f"there is another run {event.run_id} of {event.pipeline_slug}"
        if os.path.lexists(self._project.path(event.run_logs_path)):
            return f"its place {event.run_logs_path} is taken"
        return ""


def run_id_of(name: str) -> str:
    """The run id of the session ``name``: itself, unless it could not stand in a path or could be one of ours."""
    safe = _NOT_SAFE.sub("-", name).replace("..", "-")
    if safe == name and len(name) <= _LONGEST_RUN_ID and not _LIKE_OURS.fullmatch(name):
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return f"imported-{safe.strip('.-_')[:_LONGEST_RUN_ID]}-{digest}"


def _slug_of(named: str) -> str:
    """The slug of a pipeline's id or of its file; "" where none comes out."""
    if named.endswith((".yaml", ".yml")):
        try:
            return pipeline_slug(named)
        except OsirisError:
            return ""
    slug = slugify_token(named)
    return slug if len(slug) <= LONGEST_SLUG else ""


def _pipeline_in(session_name: str) -> str:
    """What is left of ``run_orders_1739299353`` without ``run``, times and ids: orders."""
    words = [word for word in re.split(r"[_\-]", session_name) if word and not _NO_NAME.fullmatch(word)]
    return "_".join(words[1:] if words and words[0] == "run" else ())
