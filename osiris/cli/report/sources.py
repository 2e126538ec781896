"""All that is known of a run, read from the disk. What is not there, or cannot be read, is said and not raised."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import msgspec

from osiris.canonical import sha256_hex
from osiris.cli.report.attempts import runs_between
from osiris.compiler.manifest import Manifest
from osiris.compiler.render import FINGERPRINTS_FILE, MANIFEST_FILE, PLAN_FILE, parse_manifest
from osiris.components.object_stores import parse_object_path
from osiris.errors import OsirisError
from osiris.project import Project
from osiris.projections.runs import RunRecord
from osiris.redaction import mask_by_key
from osiris.runner.annex import ANNEX_NAME, TAIL_NAME
from osiris.runner.export import has_annex
from osiris.runner.log_reader import read_events
from osiris.runner.run_log import EVENTS_NAME, LOG_NAME, METRICS_NAME, LoggedEvent
from osiris.runner.summary import CARD_NAME, SUMMARY_NAME, RunSummary, read_summary

_MOST_FILES = 50
"""Files of one folder that are listed."""


class FoundFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the run. ``href`` is "" where it must not be a link, ``bytes`` None where it is not there or a folder.

    ``path`` is as the run names it: relative to the project's root, or absolute outside of it.
    """

    group: str
    path: str
    href: str
    bytes: int | None
    exists: bool


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is made from. ``query`` is that of the step in the error, "" where there is none.

    ``between`` are runs between the last success and this one, newest first.
    """

    record: RunRecord
    summary: RunSummary | None = None
    events: tuple[LoggedEvent, ...] = ()
    events_problem: str = ""
    manifest: Manifest | None = None
    query: str = ""
    files: tuple[FoundFile, ...] = ()
    has_annex: bool = True
    between: tuple[RunRecord, ...] = ()


class _Query(msgspec.Struct, frozen=True):
    query: str = ""


def read_sources(project: Project, record: RunRecord, page_folder: Path) -> Sources:
    """Read what is there; links are made for a page in ``page_folder``, an absolute path. Writes nothing."""
    events, problem = _events(project.path(record.run_logs_path))
    summary = read_summary(project.path(record.aiop_path))
    manifest = _manifest(project, record)
    return Sources(
        record=record,
        summary=summary,
        events=events,
        events_problem=problem,
        manifest=manifest,
        query=_query(project, record, manifest),
        files=tuple(_found(project, group, path, page_folder) for group, path in _paths(project, record, summary)),
        has_annex=has_annex(project.path(record.aiop_path)),
        between=runs_between(project.ledger, record, summary.delta if summary else None),
    )


def href(target: Path, page_folder: Path) -> str:
    """How a page in ``page_folder`` links to ``target``, both absolute: relative, and percent-encoded byte by byte.

    Both are taken by their names, for a browser does not know which folder is a link.
    """
    return quote(os.fsencode(os.path.relpath(target, page_folder)), safe="/")


def _events(folder: Path) -> tuple[tuple[LoggedEvent, ...], str]:
    """The events up to the first that cannot be read, and why not."""
    events: list[LoggedEvent] = []
    try:
        events.extend(read_events(folder))
    except OsirisError as error:
        return tuple(events), error.problem
    return tuple(events), ""


def _manifest(project: Project, record: RunRecord) -> Manifest | None:
    """The manifest in the build, else the run folder's copy of it."""
    for path in (project.path(record.build_manifest_path), project.path(record.run_logs_path) / MANIFEST_FILE):
        try:
            manifest = parse_manifest(path.read_bytes(), str(path))
        except (OSError, OsirisError):
            continue
        if manifest.manifest_hash == record.manifest_hash:
            return manifest
    return None


def _query(project: Project, record: RunRecord, manifest: Manifest | None) -> str:
    """The query of the step that the error names, from a config that is as it was compiled."""
    wanted = record.error.step if record.error else ""
    step = next((step for step in manifest.steps if step.id == wanted), None) if manifest and wanted else None
    if step is None or step.mode != "transform":
        return ""
    try:
        content = (project.path(record.build_manifest_path).parent / step.config).read_bytes()
        if sha256_hex(content) != step.config_digest:
            return ""
        query: str = mask_by_key(msgspec.json.decode(content, type=_Query).query)
    except (OSError, ValueError, msgspec.MsgspecError):
        return ""
    return query


def _paths(project: Project, record: RunRecord, summary: RunSummary | None) -> list[tuple[str, str]]:
    """Group and path of every file that the run may have, in the order of the page."""
    build = PurePosixPath(record.build_manifest_path).parent
    logs, pack = PurePosixPath(record.run_logs_path), PurePosixPath(record.aiop_path)
    paths = [("outputs", artifact.path) for artifact in (summary.artifacts if summary else ())]
    paths += [("pack", str(pack / name)) for name in (CARD_NAME, SUMMARY_NAME, TAIL_NAME)]
    paths += [("pack", path) for path in _inside(project, pack / ANNEX_NAME)]
    paths += [("log", str(logs / name)) for name in (LOG_NAME, EVENTS_NAME, METRICS_NAME)]
    paths += [("log", path) for path in _inside(project, logs / "artifacts")]
    return paths + [("build", str(build / name)) for name in (MANIFEST_FILE, PLAN_FILE, FINGERPRINTS_FILE)]


def _inside(project: Project, folder: PurePosixPath) -> list[str]:
    try:
        names = sorted(entry.name for entry in project.path(str(folder)).iterdir())
    except OSError:
        return []
    return [str(folder / name) for name in names[:_MOST_FILES]]


def _found(project: Project, group: str, path: str, page_folder: Path) -> FoundFile:
    if parse_object_path(path) is not None:  # nobody asks the store, and a page needs no secret
        return FoundFile(group=group, path=path, href="", bytes=None, exists=True)
    place = project.path(path)
    try:
        exists, is_file = place.exists(), place.is_file()
        count = place.stat().st_size if is_file else None
        linked = exists and project.holds(place)
    except (OSError, ValueError, RuntimeError):  # no file can have such a name, or its links go round in a circle
        return FoundFile(group=group, path=path, href="", bytes=None, exists=False)
    link = href(Path(os.path.normpath(place.absolute())), page_folder) if linked else ""
    return FoundFile(group=group, path=path, href=link, bytes=count, exists=exists)
