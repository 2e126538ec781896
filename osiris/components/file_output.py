"""Writing one file so that its name always leads to a whole file: the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from osiris.canonical import sha256_file
from osiris.components.base import StepContext, Written, WrittenFile, quote_identifier, quote_literal
from osiris.components.object_files import uploading
from osiris.components.object_stores import parse_object_path
from osiris.components.source_files import resolve_path
from osiris.durable import make_directory, move_into_place, remove_tree, sync_path
from osiris.durable_folders import put_back
from osiris.errors import ExitCode, OsirisError
from osiris.locks import HeldLock, acquire, is_held, try_acquire

if TYPE_CHECKING:
    import duckdb

_SUFFIX = ".osiris-tmp"
_LOOK_S = 2.0
_ASIDE = f".aside{_SUFFIX}"
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}

TextCompression = Literal["gzip", "zstd", "none"]


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
    terms = ", ".join(f"{name} {value}" for name, value in {**options, "USE_TMP_FILE": "false"}.items())
    with _output_file(ctx, path) as (temporary, shown):
        query = f"SELECT {select} FROM {quote_identifier(relation.alias)}"  # noqa: S608 - an identifier, quoted
        result = ctx.consume(f"COPY ({query}) TO {quote_literal(str(temporary))} ({terms})")
        ctx.progress(result[0][0])
        sha256 = sha256_file(temporary)
        size = temporary.stat().st_size
    return Written(rows=result[0][0], files=(WrittenFile(path=shown, bytes=size, sha256=sha256),))


@contextlib.contextmanager
def _output_file(ctx: StepContext, path: str) -> Iterator[tuple[Path, str]]:
    """What to write into, and what records call it when it is where ``path`` says: a file, or an object of a store."""
    objects = parse_object_path(path)
    if objects is not None:
        with uploading(ctx, objects) as temporary:
            yield temporary, str(objects)
    else:
        target = find_target(path, ctx.project_root)
        with replacing(target, ctx.run_id) as temporary:
            yield temporary, shown_path(target, ctx.project_root)


def text_compression(path: str, wanted: TextCompression | None) -> dict[str, str]:
    """COPY's option for a text file of that name: as ``wanted``, else packed where the ending says so.

    An ending that says otherwise is an error: who reads the file goes by its name.
    """
    by_ending = _COMPRESSIONS.get(Path(path).suffix.lower())
    if wanted and by_ending not in (None, wanted):
        raise OsirisError(
            f"{path} ends as {by_ending} does, and its compression is to be {wanted}",
            "Leave compression out, or give the file another ending.",
            code="config.invalid",
        )
    return {"COMPRESSION": quote_literal(wanted or by_ending or "none")}


def find_target(path: str, project_root: Path) -> Path:
    """Where ``path`` leads, through links; an error if something stands there that is not a file."""
    target = resolve_path(path, project_root).resolve()
    if target.is_dir():
        raise unwritable(target, "it is a folder", "Give the name of a file in it.")
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        raise unwritable(target, "it is not a regular file", "Give the name of a file.")
    return target


@contextlib.contextmanager
def replacing(target: Path, run_id: str) -> Iterator[Path]:
    """A temporary file beside ``target`` to write into; when the block ends well, it takes the target's name."""
    with temporary_beside(target, run_id, _lock_file) as temporary:
        yield temporary
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        sync_path(temporary)
        move_into_place(temporary, target)


@contextlib.contextmanager
def temporary_beside(target: Path, run_id: str, lock: Callable[[Path], HeldLock]) -> Iterator[Path]:
    """What ``lock`` makes and locks beside ``target``; what has its name at the end of the block is removed.

    It is locked as long as its writer lives, so what dead runs left behind can be told and removed.
    """
    temporary = target.with_name(f".{target.name}.{run_id}{_SUFFIX}")
    try:
        make_directory(target.parent)
        _remove_leftovers(target)
        if not os.access(target.parent, os.W_OK):
            raise unwritable(target, "its folder may not be written to", "Check the permissions of that folder.")
        held = lock(temporary)
    except OSError as cause:
        raise unwritable(target, cause.strerror or str(cause), "Check that path and its permissions.") from cause
    except OsirisError as error:
        if error.exit_code != ExitCode.LOCKED:
            raise
        raise unwritable(target, "this run is writing it already", "Let only one step write a file.") from error
    try:
        yield temporary
    finally:
        remove_tree(temporary)
        held.release()


def aside_of(temporary: Path) -> Path:
    """Where the folder that ``temporary`` takes the place of may have to wait; see ``durable_folders``."""
    return temporary.with_name(temporary.name.removesuffix(_SUFFIX) + _ASIDE)


def lock_now(temporary: Path, *, create: bool) -> HeldLock:
    """Lock what a writer fills; another run may hold it for the moment in which it looks whether it is left behind."""
    return acquire(temporary, timeout_s=_LOOK_S, purpose="write the file", create=create)


def _lock_file(temporary: Path) -> HeldLock:
    return lock_now(temporary, create=True)


def _remove_leftovers(target: Path) -> None:
    start = f".{target.name}."
    for entry in os.scandir(target.parent):
        if not (entry.name.startswith(start) and entry.name.endswith(_SUFFIX)):
            continue
        with contextlib.suppress(FileNotFoundError):
            left = Path(entry.path)
            # What is aside belongs to whoever holds the folder that is to take its place.
            if entry.name.endswith(_ASIDE) and is_held(left.with_name(entry.name.removesuffix(_ASIDE) + _SUFFIX)):
                continue
            held = try_acquire(left, create=False)
            if held is not None:
                if entry.name.endswith(_ASIDE):
                    put_back(left, target)
                remove_tree(left)
                held.release()


def unwritable(target: Path, reason: str, hint: str) -> OsirisError:
    """The error for a target that cannot be written, and why."""
    return OsirisError(
        f"cannot write {target}: {reason}",
        hint,
        code="write.unwritable",
        exit_code=ExitCode.PIPELINE_FAILED,
        path=str(target),
    )


def shown_path(target: Path, project_root: Path) -> str:
    """``target`` as records name it: relative to the project's root where it lies inside it."""
    root = project_root.resolve()
    return target.relative_to(root).as_posix() if target.is_relative_to(root) else str(target)
