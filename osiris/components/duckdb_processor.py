"""``duckdb.processor``: one SELECT over the rows of other steps.

The query runs as DuckDB runs any query: it may also read files by itself, such as ``read_csv('x.csv')``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext, quote_identifier
from osiris.components.sql_places import pointing_into
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    import duckdb


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask."""

    query: Annotated[
        str,
        Meta(
            min_length=1,
            description="One SELECT; each input is df_<step id>, a single one is input_df as well",
            examples=["SELECT * FROM input_df"],
        ),
    ]


SPEC = ComponentSpec(
    name="duckdb.processor",
    version="1.0.0",
    summary="Transforms rows with one SQL query.",
    modes=("transform",),
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:
    """The rows of the query, not computed yet; the query is bound to its inputs here, so wrong SQL fails here."""
    names = {name: relation.alias for name, relation in inputs.items()}
    if len(set(names.values())) == 1:
        names.setdefault("input_df", next(iter(names.values())))
    # Not materialized, or a filter in the query would not reach the scan of an input that is used twice.
    tables = [
        f"{quote_identifier(name)} AS NOT MATERIALIZED (FROM {quote_identifier(view)})" for name, view in names.items()
    ]
    tables_sql = f"WITH {', '.join(tables)} " if tables else ""
    with pointing_into(ctx.con, config.query):
        query = single_select(ctx.con, config.query)
    # Bound by a statement, because messages about relations carry no places.
    select = f"{tables_sql}SELECT * FROM ("  # noqa: S608 - quoted
    start = f"CREATE OR REPLACE VIEW {quote_identifier(f'query of {ctx.step_id}')} AS {select}"
    with pointing_into(ctx.con, query, behind=start):
        ctx.con.execute(f"{start}{query}\n)")
    return Produced(rows=ctx.con.sql(f"{select}{query}\n)"))


def single_select(con: duckdb.DuckDBPyConnection, query: str) -> str:
    """``query`` without what ends it, if it is exactly one statement that gives rows and changes nothing."""
    statements = con.extract_statements(query)
    kinds = [statement.type.name for statement in statements]
    if kinds == ["SELECT"]:
        return _without_end(query)
    if not kinds:
        problem = "the query holds no statement"
    elif len(kinds) > 1 or kinds == ["MULTI"]:
        problem = "the query is more than one statement"
    else:
        problem = f"the query is {kinds[0].replace('_', ' ')}, not a SELECT"
    raise OsirisError(
        problem,
        "Write one SELECT (a PIVOT with its values: PIVOT … ON x IN (…)); steps of mode write do the writing.",
        code="transform.sql_not_a_select",
        exit_code=ExitCode.PIPELINE_FAILED,
    )


def _without_end(query: str) -> str:
    """``query`` without the semicolons that end it, which may have comments behind them."""
    import duckdb  # noqa: PLC0415 - compiling needs only Config and SPEC, and must not pay for DuckDB

    text = query.encode()
    end = len(text)
    for offset, kind in reversed(duckdb.tokenize(query)):
        if kind.name == "comment":
            continue
        if text[offset : offset + 1] != b";":
            break
        end = offset
    return text[:end].decode()
