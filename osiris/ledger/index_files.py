"""The text files of the index, updated in place by the changes of new entries.

A growing file is known by its size: where the size is not what the checkpoint remembers (a process died between the
file and the checkpoint, or somebody edited it), :class:`IndexDrift` says so, and the index is rebuilt.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from osiris import durable
from osiris.projections.base import Append, Change, Edit, Prepend, Revise, SetCounter, SetKey, Write

TEMPORARY = ".new"
"""The one temporary name inside the index; whoever uses it holds the index lock."""


class IndexDrift(Exception):  # noqa: N818 - a finding that the live index acts on, never shown as an error
    """The index on disk is not what its checkpoint says."""


def apply_changes(directory: Path, changes: Iterable[Change], sizes: dict[str, int]) -> dict[str, int]:
    """Carry out ``changes`` in order, at most one write for each file, and return the sizes that are new.

    ``sizes`` are the checkpointed ones. Counters are left to the database. Raises ``IndexDrift`` or ``OSError``.
    """
    by_path: dict[str, list[Append | Prepend | Write | Revise]] = {}
    for change in changes:
        if not isinstance(change, SetCounter | SetKey):
            by_path.setdefault(change.path, []).append(change)
    new_sizes: dict[str, int] = {}
    for path, changes_of_file in by_path.items():
        size = _apply_to_file(directory, path, changes_of_file, sizes.get(path, 0))
        if size is not None:
            new_sizes[path] = size
    return new_sizes


def _apply_to_file(
    directory: Path, path: str, changes: list[Append | Prepend | Write | Revise], size: int
) -> int | None:
    target = directory / path
    last = changes[-1]
    if isinstance(last, Write):
        _write(directory, target, last.render())
        return None
    _check_size(target, size)
    if all(isinstance(change, Append) for change in changes):
        return _append(target, b"".join(change.line for change in changes if isinstance(change, Append)), size)
    if all(isinstance(change, Prepend) for change in changes):
        newest_first = b"".join(reversed([change.line for change in changes if isinstance(change, Prepend)]))
        durable.make_folders(target.parent)
        durable.put_before(target, newest_first, temporary=directory / TEMPORARY)
        return size + len(newest_first)
    content = target.read_bytes() if size else b""
    before = content
    for change in changes:
        match change:
            case Append(line=line):
                content += line
            case Prepend(line=line):
                content = line + content
            case Revise(key=key, edit=edit):
                content = _revised(target, content, key, edit)
            case Write():
                raise TypeError(f"{path} is both written whole and changed by lines")
    return _replace(directory, target, content) if content != before else None


def _revised(target: Path, content: bytes, key: bytes, edit: Edit) -> bytes:
    try:
        return revise(content, key, edit)
    except ValueError as cause:  # msgspec's errors, bytes that are no UTF-8, a last line without its end
        raise IndexDrift(f"{target} has a line that is no run record") from cause


def revise(content: bytes, key: bytes, edit: Edit) -> bytes:
    """``content`` with the line edited that begins with ``key``; as it is where there is none."""
    start = _find(content, key)
    if start < 0:
        return content
    end = content.index(b"\n", start) + 1
    return content[:start] + edit(content[start:end]) + content[end:]


def _find(content: bytes, key: bytes) -> int:
    if content.startswith(key):
        return 0
    found = content.find(b"\n" + key)
    return found + 1 if found >= 0 else -1


def _check_size(target: Path, size: int) -> None:
    try:
        actual = target.lstat().st_size if not target.is_symlink() else -1
    except FileNotFoundError:
        actual = 0
    if actual != size or target.is_dir():
        raise IndexDrift(f"{target} has {actual} bytes, the checkpoint says {size}")


def _append(target: Path, content: bytes, size: int) -> int:
    durable.make_folders(target.parent)
    fd = durable.open_for_appending(target)
    try:
        durable.write_all(fd, content)
    finally:
        os.close(fd)
    return size + len(content)


def _write(directory: Path, target: Path, content: bytes) -> None:
    try:
        if not target.is_symlink() and target.read_bytes() == content:
            return  # a rename costs a hundred times what this comparison does
    except FileNotFoundError:
        pass
    except (NotADirectoryError, IsADirectoryError) as cause:
        raise IndexDrift(str(cause)) from cause
    _replace(directory, target, content)


def _replace(directory: Path, target: Path, content: bytes) -> int:
    durable.make_folders(target.parent)
    durable.replace_file(target, content, sync=False, temporary=directory / TEMPORARY)
    return len(content)
