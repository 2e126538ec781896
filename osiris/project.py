"""The project: where its parts are found and wired together, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from osiris.clock import Clock, SystemClock
from osiris.config import CONFIG_NAME, OsirisConfig, base_from_environment, load_config, select_profile
from osiris.errors import OsirisError
from osiris.events.journal import Journal
from osiris.layout.paths import FilesystemContract
from osiris.ledger.ledger import Ledger
from osiris.ledger.live_index import LiveIndex
from osiris.ledger.sessions import Sessions

_INDEX_LOCK = "index.lock"
_MIB = 1024 * 1024


class Project:
    """One project: its root, its configuration, the layout of its files and its ledger."""

    def __init__(self, root: Path, config: OsirisConfig, warnings: tuple[str, ...], clock: Clock) -> None:
        self.root = root
        self.config = config
        self.warnings = warnings
        self.clock = clock
        self.contract = FilesystemContract(config.filesystem)
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
        return select_profile(self.config.filesystem.profiles, wanted)

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
    home = named or (Path(environ["OSIRIS_HOME"]) if environ.get("OSIRIS_HOME") else None)
    config_file = home.absolute() / CONFIG_NAME if home else _look_upward(Path.cwd())
    if not is_file(config_file):
        raise OsirisError(
            f"no project in {config_file.parent}: it has no {CONFIG_NAME}",
            "Make one there with `osiris init`, or name another folder.",
            code="project.missing",
            path=str(config_file),
        )
    loaded = load_config(config_file, environ)
    root = _root(config_file.parent, loaded.config, environ)
    return Project(root, loaded.config, loaded.warnings, clock or SystemClock())


def is_file(path: Path) -> bool:
    """Whether there is a file; False also for a name that no file can have, or in a folder closed to us."""
    try:
        return path.is_file()
    except OSError:
        return False


def _look_upward(start: Path) -> Path:
    for folder in (start, *start.parents):
        if is_file(folder / CONFIG_NAME):
            return folder / CONFIG_NAME
    raise OsirisError(
        f"no project here: neither {start} nor any folder above it has an {CONFIG_NAME}",
        "Make one with `osiris init`, go into one, or name it with -C DIR or OSIRIS_HOME.",
        code="project.missing",
    )


def _root(folder: Path, config: OsirisConfig, environ: Mapping[str, str]) -> Path:
    """A base path in the file is relative to the file; one in the environment, as on any command line, to here."""
    base = config.filesystem.base_path
    if not base:
        return folder
    try:
        named = Path(base).expanduser()
    except RuntimeError as cause:
        raise OsirisError(
            f"filesystem.base_path is {base!r}, but there is no such home folder",
            "Write the path in full, in osiris.yaml or OSIRIS_FILESYSTEM_BASE.",
            code="config.base_path",
            path=CONFIG_NAME,
        ) from cause
    return named.absolute() if base_from_environment(environ) else folder / named
