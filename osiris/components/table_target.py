"""What all writers of tables have in common: their config fields, and the errors that a person meets."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from osiris.errors import ExitCode, OsirisError

WriteMode = Annotated[
    Literal["append", "replace", "upsert"],
    Meta(
        description="append: add the rows; replace: they take the place of all rows; upsert: of those with the same key"
    ),
]
TableName = Annotated[str, Meta(min_length=1, description="The table, as the database has it and without quotes")]
PrimaryKey = Annotated[tuple[str, ...], Meta(description="For upsert: the columns that tell one row from another")]
CreateIfMissing = Annotated[bool, Meta(description="Make the table after the rows' types where there is none")]


def check_write_mode(write_mode: str, primary_key: Sequence[str]) -> None:
    """For a Config's ``__post_init__``: raises ``ValueError`` where mode and key do not go together."""
    if write_mode == "upsert" and not primary_key:
        raise ValueError("upsert needs primary_key: the columns that tell one row from another")
    doubled = sorted({name for name in primary_key if list(primary_key).count(name) > 1})
    if doubled:
        raise ValueError(f"primary_key names {doubled[0]} twice")


def check_columns(table: str, rows: Sequence[str], present: Sequence[str], primary_key: Sequence[str]) -> None:
    """OsirisError unless the table has all columns of the rows, and those all of the key."""
    if missing := [name for name in rows if name not in present]:
        raise missing_columns(table, missing, present)
    if missing := [key for key in primary_key if key not in rows]:
        raise missing_key_columns(missing, rows)


def missing_table(table: str, others: Sequence[str]) -> OsirisError:
    """There is no such table; ``others`` are those that there are."""
    hint = f"{near_name(table, others)} Or set create_if_missing: true.".strip()
    return _write_error("missing_table", f"there is no table {table}", hint)


def near_name(name: str, others: Sequence[str]) -> str:
    """A hint at the one of ``others`` that may have been meant, "" where none is near."""
    near = difflib.get_close_matches(name, others, n=1)
    return f"Did you mean {near[0]}?" if near else ""


def missing_columns(table: str, missing: Sequence[str], present: Sequence[str]) -> OsirisError:
    """The rows have columns that the table has not."""
    problem = f"the table {table} has no column {', '.join(missing)}"
    return _write_error(
        "missing_column", problem, f"Its columns are {', '.join(present)}. Select only those, or add it."
    )


def missing_key_columns(missing: Sequence[str], present: Sequence[str]) -> OsirisError:
    """``primary_key`` names columns that the rows have not."""
    problem = f"primary_key names {', '.join(missing)}, which the rows have not"
    return _write_error("missing_key_column", problem, f"Their columns are {', '.join(present)}.")


def null_key(table: str, column: str) -> OsirisError:
    """A row's key is NULL, so nobody can tell which row it means."""
    hint = "Filter such rows out in a query before, or give them a value."
    return _write_error("null_key", f"upsert into {table}: a row has NULL in the key column {column}", hint)


def doubled_key(table: str, primary_key: Sequence[str], example: Sequence[object]) -> OsirisError:
    """Two rows have the same key, so which of them stays would be chance."""
    shown = ", ".join(f"{name} = {value}" for name, value in zip(primary_key, example, strict=True))
    hint = "Keep one row a key in a query before, for example with QUALIFY row_number() OVER (PARTITION BY …) = 1."
    return _write_error("doubled_key", f"upsert into {table}: several rows have {shown}", hint)


def unfit_type(column: str, type_: str, reason: str, cast: str) -> OsirisError:
    """A column's type cannot be held whole; ``cast`` is what to write in a query instead."""
    return _write_error("unfit_type", f"the column {column} is {type_}: {reason}", f"Write {cast} in a query before.")


def _write_error(code: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code=f"write.{code}", exit_code=ExitCode.PIPELINE_FAILED)
