"""Writing a folder of hive partitions (``year=2024/month=05/``) so that its name always leads to a whole one.

The folder is filled beside its target and then takes the target's name in one step. What it replaces is only ever a
folder that Osiris wrote: ``.osiris-folder.json`` in it names its files, and where there is any other, nothing is
replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.canonical import canonical_json, sha256_file
from osiris.components.base import ADDED_LATER, StepContext, Written, WrittenFile, quote_identifier, quote_literal
from osiris.components.file_output import aside_of, lock_now, shown_path, temporary_beside, unwritable
from osiris.components.hive_partitions import NULL_PARTITIONS
from osiris.components.object_stores import parse_object_path
from osiris.components.source_files import resolve_path
from osiris.durable import write_file
from osiris.durable_folders import put_folder, sync_tree
from osiris.errors import ExitCode, OsirisError
from osiris.locks import HeldLock

if TYPE_CHECKING:
    import duckdb

PartitionColumns = Annotated[
    tuple[str, ...],
    Meta(
        description="Columns whose values become folders; path is then a folder, which is replaced as a whole",
        extra_json_schema=ADDED_LATER,
    ),
]

_CONTENTS = ".osiris-folder.json"
# What stands for itself in the name of a folder: readers give a column the name as it stands there.
_KEY = re.compile(r"[A-Za-z0-9_.~-]+")
_NESTED = ("STRUCT", "MAP", "UNION", "LIST", "ARRAY", "BLOB", "BIT", "VARIANT", "JSON", "GEOMETRY")


class FolderContents(msgspec.Struct, frozen=True, kw_only=True):
    """What ``.osiris-folder.json`` says: the files beside it, by their paths in the folder."""

    files: tuple[str, ...]


def write_partitions(
    ctx: StepContext,
    path: str,
    relation: duckdb.DuckDBPyRelation,
    options: Mapping[str, str],
    partition_by: Sequence[str],
    select: str = "*",
) -> Written:
    """Put the rows of ``relation`` into the folder ``path``, one folder for each value of ``partition_by``.

    ``options`` and ``select`` as in ``write_rows``. A value that readers could not give back (an empty text is one that
    they can) is an error, and a failure leaves the old folder.
    """
    _check_columns(relation, partition_by)
    if parse_object_path(path) is not None:
        raise OsirisError(
            f"{path} is in an object store, where a folder cannot be replaced as a whole",
            "Write one object, or a folder on this machine.",
            code="config.unsupported_path",
        )
    target = resolve_path(path, ctx.project_root).resolve()
    _check_replaceable(target)
    columns = ", ".join(map(quote_identifier, partition_by))
    terms = ", ".join(f"{name} {value}" for name, value in {**options, "PARTITION_BY": f"({columns})"}.items())
    with _replacing_folder(target, ctx.run_id) as temporary:
        query = (
            f"SELECT * REPLACE ({_guards(partition_by)}) FROM (SELECT {select} FROM {quote_identifier(relation.alias)})"  # noqa: S608 - quoted
        )
        result = ctx.consume(f"COPY ({query}) TO {quote_literal(str(temporary))} ({terms})")
        ctx.progress(result[0][0])
        contents = FolderContents(files=tuple(sorted(_files_in(temporary))))
        write_file(temporary / _CONTENTS, canonical_json(contents) + b"\n", sync=False)
        files = tuple(
            WrittenFile(
                path=shown_path(target / name, ctx.project_root),
                bytes=(temporary / name).stat().st_size,
                sha256=sha256_file(temporary / name),
            )
            for name in (_CONTENTS, *contents.files)
        )
    return Written(rows=result[0][0], files=files)


@contextlib.contextmanager
def _replacing_folder(target: Path, run_id: str) -> Iterator[Path]:
    with temporary_beside(target, run_id, _lock_folder) as temporary:
        yield temporary
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        sync_tree(temporary)
        _check_replaceable(target)  # once more: something may have been put there meanwhile
        put_folder(temporary, target, aside_of(temporary))


def _lock_folder(temporary: Path) -> HeldLock:
    while True:
        with contextlib.suppress(FileExistsError):
            temporary.mkdir()
        with contextlib.suppress(FileNotFoundError):  # taken for a leftover, before it was locked
            return lock_now(temporary, create=False)


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise unwritable(target, "it is a file", "With partition_by, path is the name of a folder.")
    found = _files_in(target)
    if not found:
        return
    try:
        own = msgspec.json.decode((target / _CONTENTS).read_bytes(), type=FolderContents).files
    except (FileNotFoundError, msgspec.DecodeError):
        hint = "Give the name of a new folder, or move that one away: only what Osiris wrote is replaced."
        raise unwritable(target, "it is a folder that Osiris did not write", hint) from None
    foreign = sorted(found - {_CONTENTS, *own})
    if foreign:
        hint = "Move it away: the folder is replaced as a whole, and only what Osiris wrote is replaced."
        raise unwritable(target, f"Osiris did not write {foreign[0]} in it", hint)


def _files_in(folder: Path) -> set[str]:
    """Files and links of all kinds below ``folder``, relative to it."""
    found = set()
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        found |= {Path(parent, name).relative_to(folder).as_posix() for name in (*names, *links)}
    return found


def _check_columns(relation: duckdb.DuckDBPyRelation, partition_by: Sequence[str]) -> None:
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    problem = ""
    for name in partition_by:
        if name not in types:
            problem = f"partition_by names a column that the rows have not: {name}"
        elif not _KEY.fullmatch(name):
            problem = f"the column {name!r} cannot be a folder's key: only letters of ASCII, digits and _ . ~ - can"
        elif types[name].startswith(_NESTED) or types[name].endswith("]"):
            problem = f"the column {name} is {types[name]}, which has no text for a folder's name"
    if len(set(partition_by)) != len(partition_by):
        problem = "partition_by names a column twice"
    elif not problem and len(partition_by) == len(types):
        problem = "partition_by names every column, and leaves none for the files"
    if problem:
        hint = f"The columns are {', '.join(types)}; rename or cast one in a query where needed."
        raise OsirisError(problem, hint, code="config.unknown_column", exit_code=ExitCode.PIPELINE_FAILED)


def _guards(partition_by: Sequence[str]) -> str:
    """The partition columns as text, with an error at a text that readers take for NULL."""
    terms = []
    taken = ", ".join(map(quote_literal, NULL_PARTITIONS))
    for name in partition_by:
        column = quote_identifier(name)
        text = f"CAST({column} AS VARCHAR)"
        problem = quote_literal(f"a value of the column {name} is a text that readers of partitions take for NULL")
        terms.append(f"CASE WHEN {text} IN ({taken}) THEN error({problem}) ELSE {text} END AS {column}")
    return ", ".join(terms)
