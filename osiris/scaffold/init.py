"""`osiris init`: a new project, whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from osiris import durable
from osiris.errors import OsirisError, disk_error
from osiris.scaffold.ignore import merge_ignore
from osiris.scaffold.project_files import CONFIG_PATH, IGNORE_PATH, project_files

Undo = list[Callable[[], object]]

_KEPT_WHERE_THEY_EXIST = frozenset({"osiris_connections.yaml"})


def init_project(target: Path, *, example: bool, git: bool) -> list[str]:
    """Make ``target`` a project and return the paths written, relative to it, with ``/``.

    ``example`` adds a pipeline with its data. ``git`` makes a repository, where git is installed and ``target`` lies in
    none yet. A ``.gitignore`` that exists gets the patterns that it lacks, existing connections are kept. Refused, exit
    2: a target that is a project already or no folder, and files of the example that exist with other content. When
    anything fails, all that was written is taken back; exit 7 when the disk failed.
    """
    target = target.absolute()
    try:
        _refuse_unfit(target)
        pending = _pending(target, project_files(example=example))
    except OSError as cause:
        raise disk_error("look into", target, cause) from cause
    undo: Undo = []
    try:
        written = _write_all(pending, target, undo)
        if git and _git_init(target):
            written.append(".git/")
    except BaseException:
        for step in reversed(undo):
            with contextlib.suppress(OSError):  # the first failure is the one to report
                step()
        raise
    return written


def _refuse_unfit(target: Path) -> None:
    if (target / CONFIG_PATH).is_symlink() or (target / CONFIG_PATH).exists():
        raise OsirisError(
            f"{target} is a project already: it has an {CONFIG_PATH}",
            "Work in it as it is, or name another folder.",
            code="init.exists",
            path=str(target / CONFIG_PATH),
        )
    for path in (target, *target.parents):
        if path.exists() and not path.is_dir():
            raise OsirisError(
                f"{path} is a file, not a folder", "Name another folder.", code="init.not_a_folder", path=str(path)
            )


def _pending(target: Path, files: dict[str, str]) -> dict[str, bytes]:
    """What really has to be written, given what is there."""
    pending: dict[str, bytes] = {}
    for name, text in files.items():
        path, content = target / name, text.encode()
        existing = path.read_bytes() if path.exists() else None
        if existing is not None and name == IGNORE_PATH:
            content = merge_ignore(existing.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        if existing is None or (existing != content and name == IGNORE_PATH):
            pending[name] = content
        elif existing != content and name not in _KEPT_WHERE_THEY_EXIST:
            raise OsirisError(
                f"{path} exists, and its content is not what `osiris init` would write",
                "Move it away, or name another folder.",
                code="init.exists",
                path=str(path),
            )
    return pending


def _write_all(pending: dict[str, bytes], target: Path, undo: Undo) -> list[str]:
    for name, content in pending.items():
        path = target / name
        try:
            _make_folders(path.parent, undo)
            undo.append(_way_back(path))
            durable.replace_file(path, content, sync=True)
        except OSError as cause:
            raise disk_error("write", path, cause) from cause
    return list(pending)


def _make_folders(path: Path, undo: Undo) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        undo.append(folder.rmdir)  # refuses, as it should, where somebody else has put something into it
        durable.make_directory(folder)


def _way_back(path: Path) -> Callable[[], object]:
    if not path.exists():
        return lambda: path.unlink(missing_ok=True)
    former = path.read_bytes()
    return lambda: durable.replace_file(path, former, sync=True)


def _git_init(target: Path) -> bool:
    """Whether a repository was made; False where git is missing or ``target`` lies in a repository."""
    git = shutil.which("git")
    if git is None or any((folder / ".git").exists() for folder in (target, *target.parents)):
        return False
    made = subprocess.run(  # noqa: S603 - fixed words, and a folder of the user's own choice
        [git, "init", "-q", str(target)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if made.returncode:
        reason = made.stderr.strip().splitlines()
        raise OsirisError(
            f"`git init` failed in {target}: {reason[-1] if reason else f'exit code {made.returncode}'}",
            "Leave --git out, and make the repository yourself.",
            code="init.git",
            path=str(target),
        )
    return True
