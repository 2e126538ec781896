"""What all extractors of tables have in common: their config fields, and the errors that a person meets."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from osiris.errors import ExitCode, OsirisError

ConnectionName = Annotated[str, Meta(description="The connection, as @family.alias; empty: the family's default")]
SourceQuery = Annotated[str, Meta(description="One SELECT in the SQL of that database; or name a table instead")]
SourceTable = Annotated[
    str, Meta(description="The table or view, as the database has it and without quotes", examples=["orders"])
]
SourceColumns = Annotated[tuple[str, ...], Meta(description="With table: which columns, in this order; empty: all")]


def check_source(query: str, table: str, columns: Sequence[str] = (), schema: str = "") -> None:
    """For a Config's ``__post_init__``: ``ValueError`` unless exactly one of ``query`` and ``table`` is given."""
    if bool(query.strip()) == bool(table):
        raise ValueError("give either query or table" if table else "query or table is missing")
    if query and (columns or schema):
        raise ValueError(f"{'columns' if columns else 'schema'} goes with table: a query names its own")
    doubled = sorted({name for name in columns if list(columns).count(name) > 1})
    if doubled:
        raise ValueError(f"columns names {doubled[0]} twice")


def missing_source(table: str, others: Sequence[str]) -> OsirisError:
    """There is no such table or view; ``others`` are those that there are."""
    near = difflib.get_close_matches(table, others, n=1)
    hint = f"Did you mean {near[0]}?" if near else "See `osiris discover` for what the connection leads to."
    return _extract_error("missing_table", f"there is no table {table}", hint)


def missing_source_columns(table: str, missing: Sequence[str], present: Sequence[str]) -> OsirisError:
    """``columns`` names some that the table has not."""
    problem = f"the table {table} has no column {', '.join(missing)}"
    return _extract_error("missing_column", problem, f"Its columns are {', '.join(present)}.")


def _extract_error(code: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code=f"extract.{code}", exit_code=ExitCode.PIPELINE_FAILED)
