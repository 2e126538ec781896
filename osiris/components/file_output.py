"""Writing one file so that its name always leads to a whole file: the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from osiris.canonical import sha256_file
from osiris.components.base import StepContext, Written, WrittenFile, quote_identifier, quote_literal
from osiris.components.source_files import resolve_path
from osiris.durable import make_directory, move_into_place, sync_path
from osiris.errors import ExitCode, OsirisError
from osiris.locks import acquire, try_acquire

if TYPE_CHECKING:
    import duckdb

_SUFFIX = ".osiris-tmp"
_LOOK_S = 2.0
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def sole_input(inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> duckdb.DuckDBPyRelation:
    """The one relation that a writer writes, whatever its input is called."""
    relations = {relation.alias: relation for relation in inputs.values()}
    if len(relations) != 1:
        raise OsirisError(
            f"a writer writes the rows of one step, and this one has {len(relations)}",
            "Name that step: inputs: {df: ${step-id.df}}.",
            code="config.invalid",
        )
    return next(iter(relations.values()))


def write_rows(
    ctx: StepContext, path: str, relation: duckdb.DuckDBPyRelation, options: Mapping[str, str], select: str = "*"
) -> Written:
    """Put the rows of ``relation`` into the file ``path`` by one COPY, and the file in its place when it is whole.

    ``options`` are those of COPY, as SQL; ``select`` what to take of the rows. A failure leaves the old file.
    """
    target = find_target(path, ctx.project_root)
    terms = ", ".join(f"{name} {value}" for name, value in {**options, "USE_TMP_FILE": "false"}.items())
    with replacing(target, ctx.run_id) as temporary:
        query = f"SELECT {select} FROM {quote_identifier(relation.alias)}"  # noqa: S608 - an identifier, quoted
        result = ctx.consume(f"COPY ({query}) TO {quote_literal(str(temporary))} ({terms})")
        ctx.progress(result[0][0])
        sha256 = sha256_file(temporary)
        size = temporary.stat().st_size
    return Written(
        rows=result[0][0], files=(WrittenFile(path=_shown(target, ctx.project_root), bytes=size, sha256=sha256),)
    )


def text_compression(path: str) -> dict[str, str]:
    """COPY's option for a text file of that name: packed where the ending says so."""
    return {"COMPRESSION": quote_literal(_COMPRESSIONS.get(Path(path).suffix.lower(), "none"))}


def find_target(path: str, project_root: Path) -> Path:
    """Where ``path`` leads, through links; an error if something stands there that is not a file."""
    target = resolve_path(path, project_root).resolve()
    if target.is_dir():
        raise _unwritable(target, "it is a folder", "Give the name of a file in it.")
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        raise _unwritable(target, "it is not a regular file", "Give the name of a file.")
    return target


@contextlib.contextmanager
def replacing(target: Path, run_id: str) -> Iterator[Path]:
    """A temporary file beside ``target`` to write into; when the block ends well, it takes the target's name.

    The temporary file is locked as long as its writer lives, so what dead runs left behind can be told and removed.
    """
    temporary = target.with_name(f".{target.name}.{run_id}{_SUFFIX}")
    try:
        make_directory(target.parent)
        _remove_leftovers(target)
        if not os.access(target.parent, os.W_OK):
            raise _unwritable(target, "its folder may not be written to", "Check the permissions of that folder.")
        # Another run may hold it for the moment in which it looks whether this is something left behind.
        held = acquire(temporary, timeout_s=_LOOK_S, purpose="write the file")
    except OSError as cause:
        raise _unwritable(target, cause.strerror or str(cause), "Check that path and its permissions.") from cause
    except OsirisError as error:
        if error.exit_code != ExitCode.LOCKED:
            raise
        raise _unwritable(target, "this run is writing it already", "Let only one step write a file.") from error
    try:
        yield temporary
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        sync_path(temporary)
        move_into_place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
        held.release()


def _remove_leftovers(target: Path) -> None:
    start = f".{target.name}."
    for entry in os.scandir(target.parent):
        if not (entry.name.startswith(start) and entry.name.endswith(_SUFFIX)):
            continue
        with contextlib.suppress(FileNotFoundError):
            held = try_acquire(Path(entry.path), create=False)
            if held is not None:
                Path(entry.path).unlink(missing_ok=True)
                held.release()


def _unwritable(target: Path, reason: str, hint: str) -> OsirisError:
    return OsirisError(
        f"cannot write {target}: {reason}",
        hint,
        code="write.unwritable",
        exit_code=ExitCode.PIPELINE_FAILED,
        path=str(target),
    )


def _shown(target: Path, project_root: Path) -> str:
    root = project_root.resolve()
    return target.relative_to(root).as_posix() if target.is_relative_to(root) else str(target)
