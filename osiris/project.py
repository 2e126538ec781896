"""The project: where its parts are found and wired together, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osiris.clock import Clock, SystemClock
from osiris.config import CONFIG_NAME, OsirisConfig, load_config, select_profile
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
        """``path`` relative to the root with ``/``; as it is where it lies outside."""
        try:
            return path.absolute().relative_to(self.root).as_posix()
        except ValueError:
            return path.as_posix()

    def profile(self, wanted: str | None) -> str:
        """The active profile, "" where profiles are off."""
        return select_profile(self.config.filesystem.profiles, wanted)

    def _wire_ledger(self) -> Ledger:
        filesystem, ledger = self.config.filesystem, self.config.ledger
        sessions = self.path(filesystem.sessions_dir)
        return Ledger(
            journal=Journal(
                self.path(filesystem.journal_dir),
                clock=self.clock,
                segment_bytes=int(ledger.segment_mb * _MIB),
                lock_timeout_s=ledger.lock_timeout_s,
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
    if not config_file.is_file():
        raise OsirisError(
            f"no project in {config_file.parent}: it has no {CONFIG_NAME}",
            "Make one there with `osiris init`, or name another folder.",
            code="project.missing",
            path=str(config_file),
        )
    loaded = load_config(config_file, environ)
    return Project(_root(config_file.parent, loaded.config), loaded.config, loaded.warnings, clock or SystemClock())


def _look_upward(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    raise OsirisError(
        f"no project here: neither {start} nor any folder above it has an {CONFIG_NAME}",
        "Make one with `osiris init`, go into one, or name it with -C DIR or OSIRIS_HOME.",
        code="project.missing",
    )


def _root(folder: Path, config: OsirisConfig) -> Path:
    base = config.filesystem.base_path
    return Path(base).expanduser().absolute() if base else folder
