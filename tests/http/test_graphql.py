"""GraphQL: queries by POST, Relay's pages, and errors that come with status 200."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from osiris.components.graphql_extractor import Config
from tests.components.reading import Context
from tests.http.asking import refused, rows
from tests.http.server import Api, Asked, Reply, as_json

GRAPHQL = "graphql.extractor"
QUERY = "query ($first: Int, $after: String) { orders(first: $first, after: $after) { … } }"


def orders(asked: Asked) -> Reply:
    """Seven orders, by Relay's convention."""
    variables = asked.document["variables"]
    start = int(variables.get("after", "c0")[1:])
    end = min(start + variables["first"], 7)
    nodes = [{"n": n} for n in range(start, end)]
    page_info = {"hasNextPage": end < 7, "endCursor": f"c{end}"}
    edges = [{"node": node} for node in nodes]
    return as_json({"data": {"orders": {"nodes": nodes, "edges": edges, "pageInfo": page_info}}})


@pytest.mark.parametrize("first", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("records", ["orders.nodes", "orders.edges.*.node", "/orders/nodes"])
def test_all_pages_are_read(ctx: Context, api: Api, first: int, records: str) -> None:
    api.answer = orders
    page_info = "/orders/pageInfo" if records.startswith("/") else "orders.pageInfo"
    config = {"query": QUERY, "variables": {"first": first}, "pagination": {"page_info": page_info}}
    assert rows(ctx, api, GRAPHQL, path="graphql", records=records, **config) == [(str(n),) for n in range(7)]
    assert api.asked[0].document == {"query": QUERY, "variables": {"first": first}}
    assert {(asked.method, asked.path) for asked in api.asked} == {("POST", "/graphql")}
    assert api.asked[0].headers["content-type"] == "application/json"


def test_a_page_that_is_not_the_last_is_not_taken_for_all(ctx: Context, api: Api) -> None:
    api.answer = orders
    for records in ("orders.nodes", "orders.edges.*.node"):
        error = refused(ctx, api, GRAPHQL, query=QUERY, variables={"first": 3}, records=records)
        assert error.code == "extract.graphql_more_pages"
        assert "page_info: orders.pageInfo" in error.hint
    assert len(rows(ctx, api, GRAPHQL, query=QUERY, variables={"first": 9}, records="orders.nodes")) == 7


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        (
            [{"message": "no such field", "path": ["orders", 0, "x"]}, {"message": "b"}],
            "no such field, at orders.0.x (and 1 more)",
        ),
        ([{}], "an error without a message"),
        (["odd"], "odd"),
        ("odd", "odd"),
    ],
)
def test_errors_in_the_answer_fail_the_step_even_beside_data(ctx: Context, api: Api, errors: Any, told: str) -> None:
    api.answer = lambda _: as_json({"errors": errors, "data": {"orders": [{"n": 1}]}})
    error = refused(ctx, api, GRAPHQL, query="{ orders { n } }", records="orders")
    assert error.code == "extract.graphql_errors"
    assert error.problem.endswith(told)


def test_a_cursor_that_does_not_move_is_an_error(ctx: Context, api: Api) -> None:
    orders = {"nodes": [{"n": 1}], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}
    api.answer = lambda _: as_json({"data": {"orders": orders}})
    config = {"query": QUERY, "records": "orders.nodes", "pagination": {"page_info": "orders.pageInfo"}}
    assert refused(ctx, api, GRAPHQL, **config).code == "extract.http_loop"
    orders["pageInfo"] = {"hasNextPage": True}
    assert refused(ctx, api, GRAPHQL, **config).code == "extract.http_pagination"


@pytest.mark.parametrize("query", ["mutation { pay }", "# first\n , subscription { n }"])
def test_only_queries_are_sent(query: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="sends no"):
        msgspec.convert({"query": query, "records": "a"}, Config)
