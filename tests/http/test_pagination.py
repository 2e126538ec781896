"""Every record of every page comes exactly once, or there is an error."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.components.reading import Context
from tests.http.asking import refused, rows
from tests.http.server import Answering, Api, Asked, Reply, as_json, in_turn, serving

LINK = {"type": "link"}
CURSOR = {"type": "cursor", "cursor": "next", "param": "after"}
PAGE = {"type": "page", "param": "page", "size": 3, "size_param": "per_page"}
OFFSET = {"type": "offset", "param": "offset", "limit": 3}


def paged(api: Api, kind: str, count: int, size: int) -> Answering:
    """An API with ``count`` records that gives at most ``size`` a page, told apart by ``kind``."""

    def answer(asked: Asked) -> Reply:
        params = asked.document if asked.method == "POST" else asked.params
        limit = min(size, int(params.get("limit", params.get("per_page", size))))
        start = {
            "page": lambda: (int(params["page"]) - 1) * limit,
            "pages": lambda: (int(params["page"]) - 1) * limit,
        }.get(kind, lambda: int(params.get("offset", params.get("after", 0))))()
        found = [{"n": n} for n in range(start, min(start + limit, count))]
        following = start + limit if start + limit < count else None
        document: dict[str, Any] = {"data": {"items": found}, "next": following, "total": count}
        document |= {"more": following is not None, "pages": -(-count // limit)}
        if kind == "path":
            document["next"] = None if following is None else f"?after={following}"
        link = f'<{api.url}/prev>; rel="prev", <?after={following}>; title="a, b"; rel="x next"' if following else ""
        more: dict[str, Any] = {"Link": link} if kind == "link" and link else {}
        return as_json(document, **more)

    return answer


KINDS: dict[str, dict[str, Any]] = {
    "link": LINK,
    "path": {"type": "link", "next": "/next"},
    "cursor": CURSOR,
    "cursor and flag": {**CURSOR, "more": "more"},
    "page": PAGE,
    "pages": {**PAGE, "total_pages": "pages"},
    "offset": OFFSET,
    "offset and total": {**OFFSET, "total": "total"},
}


@settings(max_examples=40)
@given(kind=st.sampled_from(list(KINDS)), count=st.integers(0, 12), size=st.integers(3, 6), post=st.booleans())
def test_all_records_come_exactly_once(kind: str, count: int, size: int, post: bool) -> None:
    pagination = KINDS[kind]
    asking: dict[str, Any] = {}
    if post and pagination["type"] != "link":
        asking = {"method": "POST", "body": {}}
        pagination = {**pagination, "place": "body"}
    with serving() as api, tempfile.TemporaryDirectory() as folder:
        api.answer = paged(api, kind, count, size)
        found = rows(
            Context(Path(folder)), api, path="list", records="data.items", pagination=pagination,
            columns={"n": "BIGINT"}, **asking,
        )  # fmt: skip
    assert found == [(str(n),) for n in range(count)]


def test_an_api_that_gives_fewer_than_asked_for_loses_none(ctx: Context, api: Api) -> None:
    api.answer = paged(api, "offset", 7, 2)
    error = refused(ctx, api, records="data.items", pagination=OFFSET)
    assert error.code == "extract.http_short_page"
    assert "set limit to 2" in error.hint
    assert len(rows(ctx, api, records="data.items", pagination={**OFFSET, "limit": 2})) == 7


def test_more_pages_than_allowed_are_an_error_and_no_silent_cut(ctx: Context, api: Api) -> None:
    for kind, pagination in KINDS.items():
        api.answer = paged(api, kind, 9, 3)
        assert len(rows(ctx, api, records="data.items", pagination=pagination, max_pages=3)) == 9
        error = refused(ctx, api, records="data.items", pagination=pagination, max_pages=2)
        assert error.code == "extract.http_max_pages"


@pytest.mark.parametrize("target", ["?after=1", "?after=2"])
def test_going_round_in_circles_is_an_error(ctx: Context, api: Api, target: str) -> None:
    first, second = as_json([{"n": 1}], Link="<?after=1>; rel=next"), as_json([{"n": 2}], Link=f"<{target}>; rel=next")
    third = as_json([{"n": 3}], Link="<?after=1>; rel=next")
    api.answer = in_turn(first, second, third)
    assert refused(ctx, api, path="x", pagination=LINK).code == "extract.http_loop"


def test_a_cursor_that_does_not_move_is_an_error(ctx: Context, api: Api) -> None:
    api.answer = lambda _: as_json({"items": [{"n": 1}], "next": "same"})
    assert refused(ctx, api, records="items", pagination=CURSOR).code == "extract.http_loop"
    assert len(api.asked) == 2


@pytest.mark.parametrize("pagination", [PAGE, {**OFFSET, "limit": 1}])
def test_an_api_that_does_not_know_the_parameter_is_an_error(ctx: Context, api: Api, pagination: Any) -> None:
    api.answer = lambda _: as_json([{"n": 1}])
    error = refused(ctx, api, pagination=pagination)
    assert (error.code, len(api.asked)) == ("extract.http_loop", 2)


def test_a_next_page_elsewhere_is_refused_and_gets_no_credentials_when_it_is_allowed(ctx: Context, api: Api) -> None:
    ctx.connection = {"base_url": api.url, "token": "t0ken-t0ken", "params": {"api_key": "k3y-k3y-k3y"}}
    with serving() as other:
        target = f"{other.url}/more?api_key=k3y-k3y-k3y&after=1"
        api.answer = in_turn(as_json([{"n": 1}], Link=f"<{target}>; rel=next"))
        other.answer = in_turn(as_json([{"n": 2}]))
        assert refused(ctx, api, pagination=LINK).code == "extract.http_other_origin"
        assert other.asked == []
        assert rows(ctx, api, pagination={**LINK, "other_origins": True}) == [("1",), ("2",)]
    assert api.asked[0].headers["authorization"] == "Bearer t0ken-t0ken"
    assert api.asked[0].params == {"api_key": "k3y-k3y-k3y"}
    assert "authorization" not in other.asked[0].headers
    assert other.asked[0].params == {"after": "1"}


@pytest.mark.parametrize(
    ("document", "pagination"),
    [
        ({"items": [], "more": "yes"}, {**CURSOR, "more": "more"}),
        ({"items": [], "more": True}, {**CURSOR, "more": "more"}),
        ({"items": [], "next": [1]}, CURSOR),
        ({"items": [], "next": 1}, {"type": "link", "next": "next"}),
        ({"items": []}, {**PAGE, "total_pages": "pages"}),
        ({"items": [], "total": "many"}, {**OFFSET, "total": "total"}),
    ],
)
def test_a_page_that_does_not_tell_what_it_should_is_an_error(
    ctx: Context, api: Api, document: Any, pagination: Any
) -> None:
    api.answer = lambda _: as_json(document)
    assert refused(ctx, api, records="items", pagination=pagination).code == "extract.http_pagination"


def test_an_empty_page_before_the_total_is_an_error(ctx: Context, api: Api) -> None:
    api.answer = lambda _: as_json({"items": [], "total": 4})
    error = refused(ctx, api, records="items", pagination={**OFFSET, "total": "total"})
    assert error.code == "extract.http_short_page"


def test_an_empty_page_with_a_cursor_is_not_the_last(ctx: Context, api: Api) -> None:
    pages = [{"items": [], "next": "b"}, {"items": [{"n": 1}], "next": ""}]
    api.answer = in_turn(*map(as_json, pages))
    assert rows(ctx, api, records="items", pagination=CURSOR) == [("1",)]
