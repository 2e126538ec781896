"""What a processor's query may be, and what it sees."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from osiris.components.base import Produced
from osiris.errors import OsirisError
from tests.components.reading import Context, call


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    context = Context(tmp_path)
    context.con.execute('CREATE VIEW "rows of a" AS SELECT 1 AS x')
    context.con.execute('CREATE VIEW "rows of b" AS SELECT 2 AS x')
    return context


def ask(ctx: Context, query: str, **inputs: str) -> list[tuple[object, ...]]:
    views = {name: ctx.con.view(f"rows of {step}") for name, step in inputs.items()}
    produced = call(ctx, "duckdb.processor", views, query=query)
    assert isinstance(produced, Produced)
    produced.rows.create_view("asked", replace=True)
    return ctx.con.execute("FROM asked").fetchall()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS x",
        "SELECT 1 AS x;",
        "  \n-- the answer; all of it\nSELECT 1 AS x ;; -- done; really\n/* ; */",
        "WITH t AS (SELECT 1 AS x) SELECT * FROM t",
        "FROM df_a",
        "VALUES (1)",
        "(SELECT 1 AS x)",
        "TABLE input_df",
        "SELECT x FROM input_df -- ä; ö",
        "SELECT count(*) FROM df_a WHERE ';' = ';'",
    ],
)
def test_one_statement_that_gives_rows_is_a_query(ctx: Context, query: str) -> None:
    assert ask(ctx, query, df="a", df_a="a") == [(1,)]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("COPY (SELECT 1) TO 'x.csv'", "is COPY, not a SELECT"),
        ("INSERT INTO t VALUES (1)", "is INSERT, not a SELECT"),
        ("WITH t AS (SELECT 1) INSERT INTO u FROM t", "is INSERT, not a SELECT"),
        ("ATTACH 'x.db'", "is ATTACH, not a SELECT"),
        ("CREATE TABLE t AS SELECT 1", "is CREATE, not a SELECT"),
        ("SET threads = 1", "is SET, not a SELECT"),
        ("-- nothing", "holds no statement"),
        ("PIVOT df_a ON x USING count(*)", "more than one statement"),
    ],
)
def test_anything_else_is_refused(ctx: Context, query: str, problem: str) -> None:
    with pytest.raises(OsirisError, match=problem) as refused:
        ask(ctx, query, df_a="a")
    assert refused.value.code == "transform.sql_not_a_select"


def test_a_query_cannot_break_out_of_its_place(ctx: Context) -> None:
    with pytest.raises(duckdb.ParserException):
        ask(ctx, "SELECT 1) UNION ALL (SELECT 2", df_a="a")


def test_a_single_input_is_input_df_as_well(ctx: Context) -> None:
    assert ask(ctx, "SELECT input_df.x, df_a.x FROM input_df, df_a", df="a", df_a="a") == [(1, 1)]


def test_with_two_inputs_there_is_no_input_df(ctx: Context) -> None:
    assert ask(ctx, "SELECT df_a.x, df_b.x FROM df_a, df_b", df_a="a", df_b="b") == [(1, 2)]
    with pytest.raises(duckdb.CatalogException, match="input_df"):
        ask(ctx, "FROM input_df", df_a="a", df_b="b")


def test_the_line_of_an_error_is_that_of_the_query(ctx: Context) -> None:
    with pytest.raises(duckdb.BinderException, match="LINE 3:"):
        ask(ctx, "SELECT\n  x,\n  nothing_like_it\nFROM input_df", df_a="a")


def test_a_query_may_read_files_by_itself(ctx: Context) -> None:
    (ctx.project_root / "rates.csv").write_text("rate\n2.5\n")
    assert ask(ctx, f"SELECT rate FROM read_csv('{ctx.project_root}/rates.csv')", df_a="a") == [(2.5,)]
