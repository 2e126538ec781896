"""What extractors of HTTP APIs have in common: their limits, and the way from pages to rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from osiris.components.base import Produced, StepContext
from osiris.components.http_pages import Question, Turn, walk
from osiris.components.json_pages import Page, in_lines
from osiris.components.json_rows import json_columns, json_rows
from osiris.errors import OsirisError
from osiris.families.http import SPEC as FAMILY
from osiris.families.http_client import Client, Limits
from osiris.families.http_connection import Connection, check_headers, check_url, read_connection
from osiris.families.http_errors import http_error

HttpConnection = Annotated[str, Meta(description="Such as @http.shop; left out: the default")]
WholeUrl = Annotated[str, Meta(description="For what needs no connection, in the place of connection and path")]
FurtherHeaders = Annotated[dict[str, str], Meta(description="Sent as well; secret ones belong to the connection")]
ResultTypes = Annotated[
    dict[str, str], Meta(description="Column to DuckDB type; a value that does not fit is an error")
]
ResultColumns = Annotated[
    dict[str, str],
    Meta(description="All columns and their DuckDB types, in order; needed where there may be no records"),
]
MaxPages = Annotated[int, Meta(ge=1, description="More pages than this are an error")]
MaxPageBytes = Annotated[
    int, Meta(ge=1, description="A larger page is an error; memory for about twice as much is needed")
]
RateLimit = Annotated[float, Meta(ge=0, description="Requests a second; 0 is no limit")]
Retries = Annotated[int, Meta(ge=0, description="How often one request is made again where that can help")]
LongestWait = Annotated[float, Meta(ge=0, description="Seconds; a server that asks for a longer wait is an error")]
ConnectTimeout = Annotated[
    Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds; left out: the connection's, 10")
]
ReadTimeout = Annotated[
    Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds of silence; left out: the connection's, 60")
]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a config that say where to ask."""

    connection: str
    url: str
    path: str
    headers: dict[str, str]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a config that say how hard to try, how much to take, and which columns there are."""

    types: dict[str, str]
    columns: dict[str, str]
    max_pages: int
    max_page_bytes: int
    rate_limit: float
    retries: int
    max_retry_wait: float
    connect_timeout: float | None
    read_timeout: float | None


def check_config(config: msgspec.Struct) -> None:
    """For a Config's ``__post_init__``: raises ``ValueError`` where nothing could be asked for."""
    target, bounds = msgspec.convert(config, Target, from_attributes=True), bounds_of(config)
    if target.url and (target.path or target.connection):
        raise ValueError("give either url, or connection and path")
    if target.url:
        check_url(target.url, "url")
    if "://" in target.path:
        raise ValueError("path begins below the connection's base_url; a whole URL goes into url")
    if bounds.types and bounds.columns:
        raise ValueError("give types for some columns, or columns for all of them")
    check_headers(target.headers)


def connection_for(ctx: StepContext, url: str) -> Connection:
    """The step's connection; where there is a ``url``, one that holds nothing else."""
    return Connection(base_url=url) if url else read_connection(ctx.connection or {})


def bounds_of(config: msgspec.Struct) -> Bounds:
    """Those fields of ``config``, which has all of them."""
    return msgspec.convert(config, Bounds, from_attributes=True)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is read: the first question, how others follow, and what finds the records in a page.

    ``may_end_at_once`` is false where a wrong path would look like an API that has one page.
    """

    question: Question
    follow: Callable[[Turn], Question | None]
    read: Callable[[Page], list[Raw]]
    may_end_at_once: bool = True


def fetch_rows(ctx: StepContext, bounds: Bounds, connection: Connection, source: Source) -> Produced:
    """All records of all pages, one a line in a file of the run's work folder; then their rows."""
    waits = {"connect_timeout": bounds.connect_timeout, "read_timeout": bounds.read_timeout}
    patient = msgspec.structs.replace(connection, **{name: wait for name, wait in waits.items() if wait is not None})
    limits = Limits(
        retries=bounds.retries,
        longest_wait_s=bounds.max_retry_wait,
        rate=bounds.rate_limit,
        body_bytes=bounds.max_page_bytes,
    )
    file = ctx.work_dir / "records.jsonl"
    with Client(
        patient, FAMILY, ctx.project_root, limits, cancelled=lambda: ctx.cancel.cancelled, warn=ctx.log.warning
    ) as client:
        rows, pages = _spill(ctx, client, source, bounds.max_pages, file)
        ctx.metric("http_requests", client.requests, "requests")
        ctx.metric("http_pages", pages, "pages")
        if pages == 1 and rows and not source.may_end_at_once:
            ctx.log.warning("there was one page: nothing in it leads to another")
        if not rows and not bounds.columns:
            raise _no_records(client.shown(source.question.url))
    return _typed_rows(ctx, bounds, file, rows)


def _spill(ctx: StepContext, client: Client, source: Source, max_pages: int, file: Path) -> tuple[int, int]:
    rows = pages = 0
    with file.open("wb") as spilled:
        for records in walk(client, source.question, source.follow, source.read, max_pages):
            spilled.write(in_lines(records))
            rows, pages = rows + len(records), pages + 1
            ctx.progress(rows)
    return rows, pages


def _typed_rows(ctx: StepContext, bounds: Bounds, file: Path, rows: int) -> Produced:
    files, form = (str(file),), "newline_delimited"
    if bounds.columns:
        found = json_columns(ctx, files, form, bounds.columns)
    else:
        found = json_rows(ctx, files, form, bounds.types)
    return Produced(rows=found.rows, row_count=rows, files=found.files)


def _no_records(shown: str) -> OsirisError:
    hint = "If that may be so, write columns: {name: type, …}, and there are rows with these columns and none of them."
    return http_error("no_rows", f"{shown} gave no records, so nobody knows their columns", hint)
