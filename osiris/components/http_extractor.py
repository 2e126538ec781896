"""``http.extractor``: rows of a JSON API, page after page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext
from osiris.components.http_pages import Pagination, Question, begin, follower
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
from osiris.components.json_pages import ROOT, find_records
from osiris.families.http import SPEC as FAMILY
from osiris.families.http import join_url
from osiris.families.http_connection import Connection

if TYPE_CHECKING:
    import duckdb


__all__ = ["SPEC", "Config", "Connection", "run"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask for, and where in the answer the rows are."""

    connection: HttpConnection = ""
    url: WholeUrl = ""
    path: Annotated[str, Meta(description="Below the connection's base_url")] = ""
    method: Annotated[Literal["GET", "POST"], Meta(description="POST sends body")] = "GET"
    params: Annotated[
        dict[str, str], Meta(description="Parameters of the URL; secret ones belong to the connection")
    ] = {}
    headers: FurtherHeaders = {}
    body: Annotated[dict[str, Any] | None, Meta(description="For POST, sent as JSON")] = None
    records: Annotated[
        str, Meta(description="Path to the list of objects: data.items, /data/items, edges.*.node, or $ for the whole")
    ] = ROOT
    pagination: Annotated[Pagination, Meta(description="How to come to the next page")] = Pagination()
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
        """Refuse what could not be asked for."""
        check_config(self)
        if self.method == "GET" and (self.body is not None or self.pagination.place == "body"):
            raise ValueError("a body goes with method: POST")


SPEC = ComponentSpec(
    name="http.extractor",
    version="1.0.0",
    summary="Reads rows from an HTTP API that answers with JSON, page after page.",
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
        method=config.method,
        headers=config.headers,
        body=config.body,
        idempotent=config.method == "GET",
    ).with_params(dict(config.params))
    source = Source(
        question=begin(config.pagination, question),
        read=lambda page: find_records(page, config.records),
        follow=follower(config.pagination),
        may_end_at_once=config.pagination.type not in ("link", "cursor"),
    )
    return fetch_rows(ctx, bounds_of(config), connection, source)
