"""Every place in a project, relative to its root, with ``/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from osiris.config import OF_ONE_RUN, FilesystemConfig
from osiris.layout.tokens import TokenRenderer


class RunPaths(msgspec.Struct, frozen=True, kw_only=True):
    """Where one run keeps its files."""

    run_logs: str
    aiop: str


class FilesystemContract:
    """Paths from the configuration's names and a run's or build's tokens; pure."""

    def __init__(self, config: FilesystemConfig) -> None:
        self._config = config
        self._renderer = TokenRenderer()

    def manifest_dir(self, tokens: Mapping[str, str]) -> str:
        """The folder of a build: ``build/pipelines/[<profile>/]<slug>/<short>-<hash>``."""
        return _join(self._config.build_dir, "pipelines", tokens.get("profile", ""), self._build_name(tokens))

    def run_logs(self, tokens: Mapping[str, str]) -> str:
        """The run folder of a run."""
        name = self._renderer.render(self._config.naming.run_dir, tokens)
        return _join(self._config.run_logs_dir, tokens.get("profile", ""), name)

    def run_paths(self, tokens: Mapping[str, str]) -> RunPaths:
        """The run folder and the pack folder of a run; the pack lies in a folder named like the run's build."""
        naming = self._config.naming
        profile = tokens.get("profile", "")
        return RunPaths(
            run_logs=self.run_logs(tokens),
            aiop=_join(
                self._config.aiop_dir,
                profile,
                self._build_name(tokens),
                self._renderer.render(naming.aiop_run_dir, tokens),
            ),
        )

    def _build_name(self, tokens: Mapping[str, str]) -> str:
        """From a build's own tokens alone, so that all its runs give it the same name."""
        of_build = {name: value for name, value in tokens.items() if name not in OF_ONE_RUN}
        return self._renderer.render(self._config.naming.manifest_dir, of_build)


def _join(*parts: str) -> str:
    return PurePosixPath(*(part for part in parts if part)).as_posix()


def is_below(path: str, root: str) -> bool:
    """Whether ``path``, relative to the project, is plain (no ``..``, not absolute) and lies below ``root``."""
    names, above = path.split("/"), PurePosixPath(root).parts
    is_plain = "\0" not in path and not {"", ".", ".."} & set(names)
    return is_plain and len(names) > len(above) and tuple(names[: len(above)]) == above
