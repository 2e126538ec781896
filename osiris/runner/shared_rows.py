"""Rows that several steps of one statement read: computed once, as a materialized common table expression."""

from __future__ import annotations

from collections.abc import Mapping, Set

import duckdb

from osiris.components.base import quote_identifier


def shared_rows_sql(relations: Mapping[str, duckdb.DuckDBPyRelation], shared: Set[str]) -> str:
    """The SELECT that gives the rows of the last of ``relations`` and computes those named in ``shared`` once.

    The relations stand in execution order, under the names of views that hold their rows. In the SQL of the later ones
    such a name means the table expression of that name, which hides the view.
    """
    *earlier, last = relations.items()
    tables = ", ".join(
        f"{quote_identifier(name)} AS {'' if name in shared else 'NOT '}MATERIALIZED ({_sql(relation)})"
        for name, relation in earlier
    )
    return f"WITH {tables} {_sql(last[1])}"


def _sql(relation: duckdb.DuckDBPyRelation) -> str:
    return f"SELECT * FROM ({relation.sql_query()}\n)"  # noqa: S608 - as DuckDB writes it
