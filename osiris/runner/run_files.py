"""What is on disk of a run: the files of its folder, the manifest that it ran, the configs of its steps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from osiris.errors import OsirisError, disk_error
from osiris.projections.runs import RunRecord
from osiris.runner.summary import read_steps

if TYPE_CHECKING:
    from osiris.compiler.manifest import Manifest
    from osiris.events.runs import RunStarted
    from osiris.project import Project


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in a run folder; ``path`` is relative to the project's root."""

    path: str
    bytes: int


def run_files(project: Project, folder: str) -> tuple[RunFile, ...]:
    """All files in a run folder by path, artifacts too; links are not followed. None where there is no such folder."""
    try:
        return tuple(sorted(_files(project.path(folder), folder), key=lambda file: file.path))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as cause:
        raise disk_error("list", folder, cause) from cause


def read_manifest(project: Project, run: RunRecord | RunStarted) -> Manifest | None:
    """The manifest that a run ran, from its build or its folder; None where neither has it unchanged any more."""
    from osiris.compiler.render import MANIFEST_FILE, parse_manifest  # noqa: PLC0415 - `osiris runs list` needs it not

    for path in (_manifest_path(run), f"{run.run_logs_path}/{MANIFEST_FILE}"):
        try:
            manifest = parse_manifest(project.path(path).read_bytes(), path)
        except (OSError, OsirisError, ValueError):  # the last for a path that no file can have
            continue
        if manifest.manifest_hash == run.manifest_hash:
            return manifest
    return None


def read_configs(project: Project, run: RunRecord | RunStarted, manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The resolved config of each step, from the run's build, as far as they can be read."""
    folder = project.path(_manifest_path(run)).parent
    found: dict[str, dict[str, Any]] = {}
    for step in manifest.steps:
        with contextlib.suppress(OSError, ValueError):
            found[step.id] = msgspec.json.decode((folder / step.config).read_bytes(), type=dict[str, Any])
    return found


def step_ids(project: Project, record: RunRecord) -> tuple[str, ...]:
    """The run's steps as its manifest names them, else its pack; none where neither is there."""
    manifest = read_manifest(project, record)
    if manifest is not None:
        return tuple(step.id for step in manifest.steps)
    return tuple(step.id for step in read_steps(project.path(record.aiop_path)))


def _manifest_path(run: RunRecord | RunStarted) -> str:
    return run.build_manifest_path if isinstance(run, RunRecord) else run.manifest_path


def _files(folder: Path, shown: str) -> Iterator[RunFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{shown}/{entry.name}".encode("utf-8", "backslashreplace").decode()
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), path)
            else:
                yield RunFile(path=path, bytes=entry.stat(follow_symlinks=False).st_size)
