"""Objects as files of the run's work folder: fetched into it before DuckDB opens them, uploaded from it when written.

DuckDB reaches object stores only through an extension that is not part of it. Through a file system in Python
(obstore's fsspec) it read short and failed; a copy on the disk is read like any file, whole and of one version.
"""

from __future__ import annotations

import contextlib
import difflib
import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osiris.components.base import StepContext
from osiris.components.object_stores import ObjectPath, open_store, store_errors
from osiris.durable import remove_tree
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

WILDCARDS = frozenset("*?[")

_PIECE_BYTES = 8 << 20
_MOST_PARTS = 9_000  # S3 takes 10,000 parts of an object
_PARTS_AT_ONCE = 4
_LONGEST_NAME_BYTES = 255
_SHOWN = 1_000


class _Found(msgspec.Struct, frozen=True):
    key: str
    size: int
    e_tag: str | None


def fetch_objects(ctx: StepContext, path: ObjectPath) -> tuple[str, ...]:
    """Fetch every object that ``path`` means, in the order of their keys; the absolute paths of the files, never none.

    A key may hold ``*``, ``?``, ``[…]`` and ``**``, as in the paths of files. Each file keeps the object's key behind a
    folder of its own, so that folders called ``key=value`` can be read from it.
    """
    store = open_store(ctx, path)
    found = _matching(store, path) if WILDCARDS & set(path.key) else [_single(store, path)]
    folder = ctx.work_dir / "objects"
    remove_tree(folder)
    files = []
    for place, each in enumerate(found):
        _check_name(path, each.key)
        target = folder / str(place) / path.bucket / each.key
        target.parent.mkdir(parents=True)
        _fetch(ctx, store, msgspec.structs.replace(path, key=each.key), each, target)
        files.append(str(target))
    return tuple(files)


@contextlib.contextmanager
def uploading(ctx: StepContext, path: ObjectPath) -> Iterator[Path]:
    """A file to write into; when the block ends well, it is uploaded. The object is the old one or the whole new one.

    An upload that fails is aborted. What a killed process had sent stays in the store as an unfinished upload, which
    nobody sees as an object.
    """
    store = open_store(ctx, path)
    file = ctx.work_dir / "upload"
    try:
        yield file
        with store_errors(path, writing=True):
            piece = max(_PIECE_BYTES, file.stat().st_size // _MOST_PARTS)
            store.put(path.key, _pieces(ctx, file, piece), chunk_size=piece, max_concurrency=_PARTS_AT_ONCE)
    finally:
        file.unlink(missing_ok=True)


def _pieces(ctx: StepContext, file: Path, size: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(size):
            _check_cancelled(ctx)
            yield piece


def _single(store: ObjectStore, path: ObjectPath) -> _Found:
    try:
        with store_errors(path):
            head = store.head(path.key)
    except OsirisError as error:
        if error.code != "extract.file_missing":
            raise
        # The answer to a HEAD has no body: only a listing tells a missing object from a missing bucket.
        near = _neighbours(store, path)
        raise _missing(f"there is no object {path}", _hint(path, near)) from None
    return _Found(path.key, head["size"], head["e_tag"])


def _neighbours(store: ObjectStore, path: ObjectPath) -> list[str]:
    """The names beside ``path``, or none where they may not be listed; a missing bucket is an error."""
    folder = path.key.rpartition("/")[0]
    names: list[str] = []
    try:
        with store_errors(path):
            for batch in store.list(prefix=folder or None, chunk_size=_SHOWN):
                names = [key for each in batch if "/" not in (key := each["path"].removeprefix(f"{folder}/"))]
                break
    except OsirisError as error:
        if error.code == "connection.no_bucket":
            raise
    return names


def _hint(path: ObjectPath, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(path.key.rpartition("/")[2], names, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else "Check the key."


def _matching(store: ObjectStore, path: ObjectPath) -> list[_Found]:
    parts = path.key.split("/")
    plain = next(place for place, part in enumerate(parts) if WILDCARDS & set(part))
    with store_errors(path):
        found = [
            _Found(each["path"], each["size"], each["e_tag"])
            for batch in store.list(prefix="/".join(parts[:plain]) or None)
            for each in batch
            if each["path"] == path.key or _fits(each["path"].split("/"), parts)
        ]
    if not found:
        raise _missing(f"no object matches {str(path)!r}", "Check the pattern: * stays within one folder, ** does not.")
    return sorted(found, key=lambda each: each.key)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """As a shell would: ``*`` stays within a folder, ``**`` is any number of them, and both pass over hidden names."""
    if not parts or not pattern:
        return not parts and not pattern
    if pattern[0] == "**":
        rest = pattern[1:] or ("*",)
        return _fits(parts, rest) or (not parts[0].startswith(".") and _fits(parts[1:], pattern))
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    return not hidden and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _fetch(ctx: StepContext, store: ObjectStore, path: ObjectPath, found: _Found, target: Path) -> None:
    """One request a piece: each has the store's time-out for itself, and all are of one version of the object."""
    with target.open("wb") as file:
        for start in range(0, found.size, _PIECE_BYTES):
            _check_cancelled(ctx)
            end = min(start + _PIECE_BYTES, found.size)
            with store_errors(path):
                answer = store.get(path.key, options={"range": (start, end), "if_match": found.e_tag})
                file.write(answer.bytes())
        if file.tell() != found.size:
            raise OsirisError(
                f"{path} has {found.size} bytes, and {file.tell()} came",
                "Run the pipeline again.",
                code="extract.io",
                exit_code=ExitCode.PIPELINE_FAILED,
            )


def _check_name(path: ObjectPath, key: str) -> None:
    for part in key.split("/"):
        if part in ("", ".", "..") or len(part.encode()) > _LONGEST_NAME_BYTES or "\0" in part:
            raise OsirisError(
                f"the key {key!r} in {path.bucket} cannot be the path of a file",
                "Read the others by a narrower pattern, or copy that object to another key.",
                code="extract.unsupported_key",
                exit_code=ExitCode.PIPELINE_FAILED,
            )


def _check_cancelled(ctx: StepContext) -> None:
    if ctx.cancel.cancelled:
        raise OsirisError("the run was stopped", "Run the pipeline again.", code="runtime.cancelled")


def _missing(problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code="extract.file_missing", exit_code=ExitCode.PIPELINE_FAILED)
