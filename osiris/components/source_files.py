"""From the path in a step's config to the files that stand there."""

from __future__ import annotations

import difflib
import glob
from pathlib import Path

from osiris.components.base import StepContext, quote_literal
from osiris.components.object_files import WILDCARDS, fetch_objects
from osiris.components.object_stores import SCHEMES, parse_object_path
from osiris.errors import ExitCode, OsirisError


def resolve_path(path: str, project_root: Path) -> Path:
    """``path`` as an absolute path: a relative one counts from the project's root."""
    if "://" in path:
        raise OsirisError(
            f"{path!r} is not a path in a file system",
            f"Give a path on this machine, or one in an object store: {', '.join(f'{each}://' for each in SCHEMES)}.",
            code="config.unsupported_path",
        )
    return project_root / Path(path).expanduser()


def find_source_files(ctx: StepContext, path: str) -> tuple[str, ...]:
    """The absolute paths of the files that ``path`` means, in the order of their names; never none.

    Objects of a store are fetched into the run's work folder. ``path`` may hold ``*``, ``?``, ``[…]`` and ``**``; a
    file that is really called so comes first. What is missing is an error whose hint names the files of that folder
    that sound alike.
    """
    objects = parse_object_path(path)
    if objects is not None:
        return fetch_objects(ctx, objects)
    wanted = resolve_path(path, ctx.project_root)
    if wanted.is_file():
        return (str(wanted),)
    if WILDCARDS & set(path):
        names = glob.glob(str(wanted), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = tuple(sorted(name for name in names if Path(name).is_file()))
        if found:
            return found
        raise _missing(f"no file matches {path!r}", f"Looked in {wanted.parent}.", wanted)
    if wanted.is_dir():
        raise _missing(
            f"{path!r} is a folder, not a file", f"To read every file in it, write {path.rstrip('/')}/*.", wanted
        )
    raise _missing(f"there is no file {path!r}", _near_misses(wanted), wanted)


def sql_file_list(files: tuple[str, ...]) -> str:
    """The files as a SQL list of literals, for the reading functions; wildcards in a name stand for themselves."""
    return "[" + ", ".join(quote_literal(_literally(name)) for name in files) + "]"


def differing_files(path: str, other: str, what: str) -> OsirisError:
    """The error for files of one pattern that do not go together: ``other`` has not ``what`` of ``path``."""
    return OsirisError(
        f"{other} has other {what} than {path}",
        "Read files of one shape with one step, and the others with another.",
        code="extract.files_differ",
        exit_code=ExitCode.PIPELINE_FAILED,
        path=other,
    )


def _literally(name: str) -> str:
    if not WILDCARDS & set(name):
        return name
    return "".join(f"[{letter}]" if letter in WILDCARDS else letter for letter in name)


def _near_misses(wanted: Path) -> str:
    folder = wanted.parent
    if not folder.is_dir():
        return f"There is no folder {folder} either."
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    close = difflib.get_close_matches(wanted.name, names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if names:
        return f"{folder} holds {', '.join(names[:5])}{', …' if len(names) > 5 else ''}."
    return f"{folder} holds no files."


def _missing(problem: str, hint: str, wanted: Path) -> OsirisError:
    return OsirisError(problem, hint, code="extract.file_missing", exit_code=ExitCode.PIPELINE_FAILED, path=str(wanted))
