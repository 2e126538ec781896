"""The project: where its parts are found and wired together, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from osiris.clock import Clock, SystemClock
from osiris.config import CONFIG_NAME, VARIABLES, LoadedConfig, load_config, select_profile
from osiris.errors import OsirisError
from osiris.events.journal import Journal
from osiris.layout.paths import FilesystemContract
from osiris.ledger.ledger import Ledger
from osiris.ledger.live_index import LiveIndex
from osiris.ledger.sessions import Sessions

_INDEX_LOCK = "index.lock"
_MIB = 1024 * 1024


class Origin(NamedTuple):
    """The ``osiris.yaml`` of a project, and what led to it: ``-C``, ``OSIRIS_HOME`` or a look upward."""

    config_path: Path
    found_by: str


class Project:
    """One project: its root, its configuration with where it came from, the layout of its files and its ledger."""

    def __init__(self, root: Path, origin: Origin, loaded: LoadedConfig, clock: Clock) -> None:
        self.root = root
        self.origin = origin
        self.config = loaded.config
        self.config_sources = loaded.sources
        self.warnings = loaded.warnings
        self.clock = clock
        self.contract = FilesystemContract(loaded.config.filesystem)
        self.ledger = self._wire_ledger()

    def path(self, relative: str) -> Path:
        """A place in the project."""
        return self.root / relative

    def relative(self, path: Path) -> str:
        """``path`` relative to the root with ``/``, without ``..``; as it is where it lies outside."""
        return (self._inside(path) or path).as_posix()

    def holds(self, path: Path) -> bool:
        """Whether ``path`` lies in the project, by its name or in truth: a folder of it may be a link elsewhere."""
        return self._inside(path) is not None

    def profile(self, wanted: str | None) -> str:
        """The active profile, "" where profiles are off."""
        source = self.config_sources.get("filesystem.profiles.default", "default")
        return select_profile(self.config.filesystem.profiles, wanted, f"filesystem.profiles.default, {source}")

    def _inside(self, path: Path) -> Path | None:
        plain, real, root = Path(os.path.normpath(path.absolute())), path.resolve(), self.root.resolve()
        if plain.is_relative_to(self.root) and plain.resolve() == real:  # else its .. came behind a link
            return plain.relative_to(self.root)
        return real.relative_to(root) if real.is_relative_to(root) else None

    def _wire_ledger(self) -> Ledger:
        filesystem, ledger = self.config.filesystem, self.config.ledger
        sessions = self.path(filesystem.sessions_dir)
        return Ledger(
            journal=Journal(
                self.path(filesystem.journal_dir),
                clock=self.clock,
                segment_bytes=int(ledger.segment_mb * _MIB),
                lock_timeout_s=ledger.lock_timeout_s,
                allow_file_systems=ledger.allow_filesystems,
            ),
            index=LiveIndex(
                self.path(filesystem.index_dir),
                lock_path=sessions / _INDEX_LOCK,
                lock_timeout_s=ledger.lock_timeout_s,
            ),
            sessions=Sessions(sessions, self.clock),
            clock=self.clock,
        )


def open_project(named: Path | None, environ: Mapping[str, str], *, clock: Clock | None = None) -> Project:
    """The project that is ``named`` outright or by ``OSIRIS_HOME``, else the one that the working folder is in.

    Opens nothing for writing. Raises exit 2 where there is none, or where its configuration is wrong.
    """
    origin = _find(named, environ.get("OSIRIS_HOME", ""))
    loaded = load_config(origin.config_path, environ)
    return Project(_root(origin.config_path.parent, loaded), origin, loaded, clock or SystemClock())


def _find(named: Path | None, home: str) -> Origin:
    """Raises where there is no project, or where its ``osiris.yaml`` is no file."""
    if named or home:
        origin = Origin((named or Path(home)).absolute() / CONFIG_NAME, "-C" if named else "OSIRIS_HOME")
    else:
        origin = _look_upward(Path.cwd())
    path = origin.config_path
    if is_file(path):
        return origin
    if is_there(path):
        raise OsirisError(
            f"{path} is not a file" if not path.is_symlink() else f"{path} is a link that leads to no file",
            "Move it away, and make a project with `osiris init`, or name another folder.",
            code="project.missing",
            path=str(path),
        )
    raise OsirisError(
        f"no project in {path.parent}: it has no {CONFIG_NAME}",
        "Make one there with `osiris init`, or name another folder.",
        code="project.missing",
        path=str(path),
    )


def is_file(path: Path) -> bool:
    """Whether there is a file; False also for a name that no file can have, or in a folder closed to us."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Whether there is anything by that name, also a folder or a link that leads nowhere."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _look_upward(start: Path) -> Origin:
    for folder in (start, *start.parents):
        if is_there(folder / CONFIG_NAME):
            return Origin(folder / CONFIG_NAME, f"looked upward from {start}")
    raise OsirisError(
        f"no project here: neither {start} nor any folder above it has an {CONFIG_NAME}",
        "Make one with `osiris init`, go into one, or name it with -C DIR or OSIRIS_HOME.",
        code="project.missing",
    )


def _root(folder: Path, loaded: LoadedConfig) -> Path:
    """A base path in the file is relative to the file; one in the environment, as on any command line, to here."""
    base = loaded.config.filesystem.base_path
    if not base:
        return folder
    source = loaded.sources["filesystem.base_path"]
    try:
        named = Path(base).expanduser()
        root = named.absolute() if source in VARIABLES["filesystem.base_path"] else folder / named
        is_folder = root.is_dir() or not root.exists()
    except RuntimeError as cause:
        raise _wrong_base(source, base, "but there is no such home folder") from cause
    except (ValueError, OSError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else cause
        raise _wrong_base(source, base, f"which cannot be a folder: {reason}") from cause
    if not is_folder:
        raise _wrong_base(source, base, "which is not a folder")
    return root


def _wrong_base(source: str, base: str, problem: str) -> OsirisError:
    return OsirisError(
        f"{source}: filesystem.base_path is {base!r}, {problem}",
        "Name a folder, or leave it empty for the folder of osiris.yaml.",
        code="config.base_path",
        path=CONFIG_NAME,
    )
