"""The patterns that git should ignore in a project, and how they get into a ``.gitignore`` that exists already."""

from __future__ import annotations

from osiris.scaffold.project_files import template


def ignore_patterns() -> list[str]:
    """The patterns that `osiris init` writes, in order, without comments."""
    return _patterns(template("gitignore"))


def merge_ignore(existing: str) -> str:
    """``existing`` with the patterns that it lacks at its end; itself, unchanged, where it lacks none.

    A pattern counts as present with or without its outer slashes, and when a folder above it is ignored.
    """
    present = {pattern.strip("/") for pattern in _patterns(existing)}
    missing = [pattern for pattern in ignore_patterns() if not _covered(pattern.strip("/"), present)]
    if not missing:
        return existing
    if len(missing) == len(ignore_patterns()):
        addition = template("gitignore")
    else:
        addition = "# --- osiris ---\n" + "".join(f"{pattern}\n" for pattern in missing)
    if existing and not existing.endswith("\n"):
        existing += "\n"
    return f"{existing}\n{addition}" if existing else addition


def _covered(pattern: str, present: set[str]) -> bool:
    parts = pattern.split("/")
    return any("/".join(parts[:length]) in present for length in range(1, len(parts) + 1))


def _patterns(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "!"))]
