"""What is true of this machine and this checkout when a run starts."""

from __future__ import annotations

import getpass
import platform
import subprocess
from pathlib import Path

import duckdb
import msgspec

from osiris import __version__

_GIT_TIMEOUT_S = 5


class RunEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """Branch and commit ("" outside of git), user ("" where it has no name), and the versions that ran."""

    branch: str
    git_commit: str
    user: str
    runtime_env: dict[str, str]


def observe(root: Path) -> RunEnvironment:
    """Look once."""
    branch, commit = _git(root)
    return RunEnvironment(
        branch=branch,
        git_commit=commit,
        user=_user(),
        runtime_env={
            "osiris": __version__,
            "python": platform.python_version(),
            "platform": f"{platform.system()}-{platform.machine()}".lower(),
            "duckdb": duckdb.__version__,
        },
    )


def _git(root: Path) -> tuple[str, str]:
    """Branch and commit of the checkout that ``root`` is in; ("", "") where there is none, or no git."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return "", ""
    command = ["git", "-C", str(root), "log", "-1", "--format=%H%n%D", "--decorate=short"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    if asked.returncode != 0:
        return "", ""
    commit, _, decoration = asked.stdout.partition("\n")
    branch = decoration.split(",")[0].strip().removeprefix("HEAD -> ") if "HEAD -> " in decoration else "HEAD"
    return branch, commit


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
