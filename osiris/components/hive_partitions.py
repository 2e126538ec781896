"""Columns that stand in the names of folders: ``year=2024/month=05/part.parquet`` has ``year`` and ``month``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ADDED_LATER, quote_literal
from osiris.components.column_types import TEXT
from osiris.components.source_files import differing_files
from osiris.errors import ExitCode, OsirisError

NULL_PARTITIONS = ("__HIVE_DEFAULT_PARTITION__", "NULL")
"""What a folder is called where the value is NULL: what writers write, and what DuckDB 1.5 takes for it as well."""

ReadsPartitions = Annotated[
    bool,
    Meta(
        description="Whether folders called key=value are columns, which are text unless types says otherwise",
        extra_json_schema=ADDED_LATER,
    ),
]

_FOLDER = re.compile(r"([^=]+)=(.*)", re.DOTALL)


class Partitions(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that stand in the names of folders, with their types, outermost first."""

    types: dict[str, str] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.types)

    @property
    def arguments(self) -> dict[str, str]:
        """What tells DuckDB's readers of them, as SQL."""
        if not self.types:
            return {"hive_partitioning": "false"}
        typed = ", ".join(f"{quote_literal(key)}: {quote_literal(type_)}" for key, type_ in self.types.items())
        return {"hive_partitioning": "true", "hive_types_autocast": "false", "hive_types": "{" + typed + "}"}

    @property
    def sql(self) -> str:
        """The arguments as they stand in a call."""
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items())


def find_partitions(files: Sequence[str], root: Path, columns: Collection[str], types: Mapping[str, str]) -> Partitions:
    """The partitions of ``files``, which have ``columns`` inside of them; ``types`` are the config's.

    Only folders below ``root`` count. Every file needs the same keys in the same order, and no key may be the name of a
    column.
    """
    base = root if Path(files[0]).is_relative_to(root) else Path(files[0]).parents[-1]
    keys = _keys_of(files[0], base)
    for other in files[1:]:
        if _keys_of(other, base) != keys:
            raise differing_files(files[0], other, "partition keys")
    if not keys:
        raise _unusable(files[0], f"no folder of {files[0]} is called key=value", "Leave hive out.")
    own = [name.lower() for name in (*columns, *keys)]
    above = [key.lower() for key in _keys_in(base.parts)]  # which DuckDB takes for columns as well
    for key in keys:
        if own.count(key.lower()) > 1 or key.lower() in above:
            problem = f"{key} is the key of a folder of {files[0]}, and another column's name"
            raise _unusable(files[0], problem, "Leave hive out, or rename the column or the folder.")
    hidden = [name for name in columns if name.lower() in above]
    if hidden:
        problem = f"{hidden[0]} is a column of the files, and the key of a folder above the project"
        raise _unusable(files[0], problem, "Rename the column, or move the project.")
    return Partitions(types={key: types.get(key, TEXT) for key in keys})


def _keys_of(file: str, base: Path) -> tuple[str, ...]:
    return _keys_in(Path(file).relative_to(base).parts[:-1])


def _keys_in(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(found[1] for folder in folders if (found := _FOLDER.fullmatch(folder)))


def _unusable(file: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code="extract.partitions", exit_code=ExitCode.PIPELINE_FAILED, path=file)
