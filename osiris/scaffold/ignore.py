"""The patterns that git should ignore in a project, and how they get into a ``.gitignore`` that exists already."""

from __future__ import annotations

import re
from pathlib import Path

from osiris import durable
from osiris.config import FilesystemConfig
from osiris.errors import OsirisError, disk_error
from osiris.scaffold.project_files import IGNORE_PATH, template

_DEFAULT = FilesystemConfig()
_SPECIAL = re.compile(r"([\\*?\[\]])")


def ignore_patterns(filesystem: FilesystemConfig = _DEFAULT) -> list[str]:
    """The patterns for the folders that ``filesystem`` names, in order, without comments."""
    return _patterns(_text(filesystem))


def merge_ignore(existing: str, filesystem: FilesystemConfig = _DEFAULT) -> str:
    """``existing`` with the patterns that it lacks at its end; itself, unchanged, where it lacks none.

    A pattern counts as present with or without its outer slashes, and when a folder above it is ignored. What is added
    has the line ends that ``existing`` has.
    """
    patterns = ignore_patterns(filesystem)
    missing = _missing(existing, patterns)
    if not missing:
        return existing
    if missing == patterns:
        addition = _text(filesystem)
    else:
        addition = "# --- osiris ---\n" + "".join(f"{pattern}\n" for pattern in missing)
    if existing and not existing.endswith("\n"):
        addition = f"\n{addition}"
    if existing:
        addition = f"\n{addition}"
    return existing + (addition.replace("\n", "\r\n") if "\r\n" in existing else addition)


def ensure_ignored(root: Path, filesystem: FilesystemConfig) -> list[str]:
    """Merge the patterns into ``.gitignore`` in ``root``; returns what was added, [] where nothing was written.

    Raises OsirisError ``ignore.not_a_file`` where a link or a folder has that name, ``disk.failed`` with the disk.
    """
    path = root / IGNORE_PATH
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OsirisError(
                f"{path} is {'a link' if path.is_symlink() else 'not a file'}, and only a file is written to",
                "Put a file there, or write the patterns yourself: see the .gitignore of a new project.",
                code="ignore.not_a_file",
                path=str(path),
            )
        existing = path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""
        merged = merge_ignore(existing, filesystem)
        if merged != existing:
            mode = path.stat().st_mode if path.exists() else None
            durable.replace_file(path, merged.encode(errors="surrogateescape"), sync=True)
            if mode is not None:
                path.chmod(mode)
    except OSError as cause:
        raise disk_error("write", path, cause) from cause
    return _missing(existing, ignore_patterns(filesystem))


def _text(filesystem: FilesystemConfig) -> str:
    """The template with the project's own folders in the place of the default ones."""
    lines = template("gitignore").splitlines()
    return "".join(f"{_renamed(line, filesystem)}\n" for line in lines)


def _renamed(line: str, filesystem: FilesystemConfig) -> str:
    for name in filesystem.__struct_fields__:
        default = getattr(_DEFAULT, name)
        if name.endswith("_dir") and line.startswith(f"{default}/"):
            folder = getattr(filesystem, name)
            return line if folder == default else f"{_literal(folder)}/{line.removeprefix(f'{default}/')}"
    return line


def _literal(folder: str) -> str:
    """A folder's name as a pattern that means this name and nothing else."""
    plain = _SPECIAL.sub(r"\\\1", "/".join(part for part in folder.split("/") if part not in {"", "."}))
    return f"\\{plain}" if plain[0] in "#!" else plain


def _missing(existing: str, patterns: list[str]) -> list[str]:
    present = {pattern.strip("/") for pattern in _patterns(existing)}
    return [pattern for pattern in patterns if not _covered(pattern.strip("/"), present)]


def _covered(pattern: str, present: set[str]) -> bool:
    parts = pattern.split("/")
    return any("/".join(parts[:length]) in present for length in range(1, len(parts) + 1))


def _patterns(text: str) -> list[str]:
    lines = (line.strip() for line in text.removeprefix("\ufeff").split("\n"))
    return [line for line in lines if line and not line.startswith(("#", "!"))]
