"""``graphql.extractor``: rows of a GraphQL API, page after page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Raw

from osiris.components.base import ComponentSpec, Produced, StepContext
from osiris.components.http_pages import Question, Turn, cursor_at
from osiris.components.http_rows import (
    ConnectTimeout,
    FurtherHeaders,
    HttpConnection,
    LongestWait,
    MaxPageBytes,
    MaxPages,
    RateLimit,
    ReadTimeout,
    ResultColumns,
    ResultTypes,
    Retries,
    Source,
    WholeUrl,
    bounds_of,
    check_config,
    connection_for,
    fetch_rows,
)
from osiris.components.json_pages import Page, find_records, find_value, segments_of
from osiris.errors import ExitCode, OsirisError
from osiris.families.http import SPEC as FAMILY
from osiris.families.http import join_url
from osiris.families.http_connection import Connection

if TYPE_CHECKING:
    import duckdb

__all__ = ["SPEC", "Config", "Connection", "run"]

_COMMENTS = re.compile(r"#[^\n]*")
_NO_QUERY = re.compile(r"[\s,]*(mutation|subscription)\b")


class RelayPagination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pages by Relay's convention: ``pageInfo { hasNextPage endCursor }``, which the query has to ask for."""

    page_info: Annotated[
        str, Meta(min_length=1, description="Path below data to pageInfo", examples=["orders.pageInfo"])
    ]
    variable: Annotated[str, Meta(min_length=1, description="The query's variable for the cursor")] = "after"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask for, and where in the answer the rows are."""

    query: Annotated[
        str, Meta(min_length=1, description="One GraphQL query", examples=["{ orders { nodes { id total } } }"])
    ]
    records: Annotated[
        str,
        Meta(
            min_length=1,
            description="Path below data to the objects: orders.nodes, orders.edges.*.node",
            examples=["orders.nodes"],
        ),
    ]
    connection: HttpConnection = ""
    url: WholeUrl = ""
    path: Annotated[str, Meta(description="Below the connection's base_url; often graphql")] = ""
    variables: Annotated[dict[str, Any], Meta(description="Of the query")] = {}
    headers: FurtherHeaders = {}
    pagination: Annotated[RelayPagination | None, Meta(description="How to come to the next page")] = None
    types: ResultTypes = {}
    columns: ResultColumns = {}
    max_pages: MaxPages = 10_000
    max_page_bytes: MaxPageBytes = 64 << 20
    rate_limit: RateLimit = 0.0
    retries: Retries = 5
    max_retry_wait: LongestWait = 60.0
    connect_timeout: ConnectTimeout = None
    read_timeout: ReadTimeout = None

    def __post_init__(self) -> None:
        """Refuse what could not be asked for, and what would change something."""
        check_config(self)
        if operation := _NO_QUERY.match(_COMMENTS.sub("", self.query)):
            raise ValueError(f"this reads rows, so it sends no {operation[1]}")


SPEC = ComponentSpec(
    name="graphql.extractor",
    version="1.0.0",
    summary="Reads rows from a GraphQL API, page after page.",
    modes=("read",),
    requires=("urllib3",),
    connection_family=FAMILY.name,
    connection_unless="url",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """The rows of all pages, which are fetched now: into the run's work folder, as they were sent."""
    connection = connection_for(ctx, config.url)
    question = Question(
        url=join_url(connection.base_url, config.path),
        method="POST",
        headers=config.headers,
        body={"query": config.query, "variables": config.variables},
        idempotent=True,  # a query changes nothing
    )
    pages = config.pagination

    def read(page: Page) -> list[Raw]:
        _refuse_errors(page)
        if pages is None:
            _refuse_more_pages(page, config.records)
        return find_records(page, _below_data(config.records))

    def follow(turn: Turn) -> Question | None:
        if pages is None:
            return None
        page_info = _below_data(pages.page_info)
        separator = "/" if page_info.startswith("/") else "."
        cursor = cursor_at(turn.page, f"{page_info}{separator}endCursor", f"{page_info}{separator}hasNextPage")
        if cursor is None:
            return None
        body = turn.question.body or {}
        variables = {**body["variables"], pages.variable: cursor}
        return msgspec.structs.replace(turn.question, body={**body, "variables": variables})

    return fetch_rows(ctx, bounds_of(config), connection, Source(question=question, follow=follow, read=read))


def _below_data(path: str) -> str:
    return f"/data{path}" if path.startswith("/") else f"data.{path.removeprefix('$.')}"


def _refuse_errors(page: Page) -> None:
    """Errors beside data mean that some of it is missing, so no row of such an answer counts."""
    errors = find_value(page, "errors")
    if not errors:
        return
    first = errors[0] if isinstance(errors, list) else errors
    told = first if isinstance(first, dict) else {"message": first}
    at = ".".join(map(str, told.get("path") or ()))
    more = f" (and {len(errors) - 1} more)" if isinstance(errors, list) and len(errors) > 1 else ""
    problem = f"{page.where}: {told.get('message', 'an error without a message')}{f', at {at}' if at else ''}{more}"
    raise _error("graphql_errors", problem, "Correct query and variables, or what the connection may see.")


def _refuse_more_pages(page: Page, records: str) -> None:
    segments = ["data", *segments_of(records)]
    for length in range(1, len(segments)):
        path = "".join(f"/{segment.replace('~', '~0').replace('/', '~1')}" for segment in segments[:length])
        if "*" not in path and find_value(page, f"{path}/pageInfo/hasNextPage") is True:
            hint = f"Set pagination: {{page_info: {'.'.join([*segments[1:length], 'pageInfo'])}}}, and use $after."
            raise _error("graphql_more_pages", f"{page.where} is not the last, and no pagination is set", hint)


def _error(name: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code=f"extract.{name}", exit_code=ExitCode.PIPELINE_FAILED)
