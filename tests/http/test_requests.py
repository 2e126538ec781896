"""What servers do: each failure has its code, nothing half is read, no secret is told."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from osiris.errors import OsirisError
from tests.components.reading import Context, read, types_of
from tests.http.asking import HTTP, refused, rows
from tests.http.server import Api, Reply, as_json, in_turn, serving

SECRETS = {"token": "t0ken-of-mine", "params": {"sig": "s1gnature&of=mine"}}


def page(body: bytes | str, content_type: str = "application/json", **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else body.encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(content, headers={"content-type": content_type, **named})


def cut(start: str, **headers: str) -> Reply:
    return Reply(raw=start.encode(), headers={"content-type": "application/json", **headers})


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (as_json({"message": "no"}, 400), "extract.http_refused"),
        (as_json({}, 401), "connection.auth"),
        (as_json({}, 403), "connection.permission"),
        (as_json({}, 404), "extract.http_not_found"),
        (as_json({}, 429), "extract.http_rate_limited"),
        (as_json({}, 500), "extract.http_server_error"),
        (as_json([{"half": 1}], 206), "extract.http_status"),
        (as_json([], 202), "extract.http_status"),
        (page(""), "extract.http_empty"),
        (page("  \n"), "extract.http_empty"),
        (page("[]"), "extract.http_no_rows"),
        (page("null"), "extract.http_no_rows"),
        (Reply(status=204), "extract.http_no_rows"),
        (page("<html>", "text/html; charset=utf-8"), "extract.http_not_json"),
        (page(" <?xml?>"), "extract.http_not_json"),
        (page("a,b\n1,2", "text/csv"), "extract.http_not_json"),
        (page('[{"a":1}'), "extract.http_broken_json"),
        (page('[{"a":1}]]'), "extract.http_broken_json"),
        (page("[" * 100_000), "extract.http_broken_json"),
        (page('[{"a":1},2]'), "extract.http_not_objects"),
        (page('"text"'), "extract.http_not_objects"),
        (page(b'[{"a":"\xff"}]'), "extract.http_charset"),
        (page("[]", "application/json; charset=klingon"), "extract.http_charset"),
        (page(b"no gzip", content_encoding="gzip"), "extract.http_broken_encoding"),
        (page(gzip.compress(b'[{"a":1}]', mtime=0)[:-12], content_encoding="gzip"), "extract.http_broken_json"),
        (cut('[{"a":1}', **{"content-length": "100"}), "extract.http_cut"),
        (cut('5\r\n[{"a"\r\n', **{"transfer-encoding": "chunked"}), "extract.http_cut"),
        (cut('[{"a":1},'), "extract.http_broken_json"),
    ],
)
def test_what_a_server_does_wrong_has_a_code_and_a_hint(ctx: Context, api: Api, reply: Reply, code: str) -> None:
    ctx.connection = {"base_url": api.url, **SECRETS}
    api.answer = lambda _: reply
    error = refused(ctx, api, path="orders", params={"limit": "5"})
    assert (error.code, len(api.asked)) == (code, 1)
    assert "/orders?limit=5" in error.problem
    assert "of-mine" not in error.problem + error.hint
    assert api.asked[0].params == {"limit": "5", "sig": SECRETS["params"]["sig"]}  # type: ignore[index]


def test_words_of_the_server_are_told_without_the_secrets_that_it_repeats(ctx: Context, api: Api) -> None:
    ctx.connection = {"base_url": api.url, **SECRETS}
    api.answer = lambda asked: as_json({"message": f"bad key {asked.headers['authorization']} {asked.params}"}, 400)
    error = refused(ctx, api)
    assert "bad key" in error.problem
    assert "of-mine" not in error.problem
    assert "signature" not in error.problem.replace("1", "i")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(b'[{"a":"\xc3\xa4"}]', mtime=0), {"content_encoding": "gzip"}),
        (zlib.compress(b'[{"a":"\xc3\xa4"}]'), {"content_encoding": "deflate"}),
        (b'\xef\xbb\xbf[{"a":"\xc3\xa4"}]', {}),
        (b'[{"a":"\xe4"}]', {"content_type": "application/json; charset=latin-1"}),
        ('[{"a":"ä"}]'.encode("utf-16"), {"content_type": "application/json; charset=utf-16"}),
        (b'[{"a":"\xc3\xa4"}]', {"content_type": "application/vnd.api+json"}),
        (b'[{"a":"\xc3\xa4"}]', {"content_type": "text/plain"}),
    ],
)
def test_packed_and_written_as_the_server_says(ctx: Context, api: Api, body: bytes, headers: dict[str, str]) -> None:
    api.answer = lambda _: page(body, **headers)
    assert rows(ctx, api) == [("ä",)]


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        ([{"a": 1}], "$", 1),
        ({"a": 1}, "$", 1),
        ({"data": {"items": [{"a": 1}, {"a": 2}]}}, "data.items", 2),
        ({"data": {"items": [{"a": 1}]}}, "$.data.items", 1),
        ({"da.ta": {"it/ems": [{"a": 1}]}}, "/da.ta/it~1ems", 1),
        ({"data": {"a": 1}}, "data", 1),
        ({"pages": [{"x": []}, {"x": [{"a": 1}]}]}, "pages.1.x", 1),
        ({"edges": [{"node": {"a": 1}}, {"node": {"a": 2}}]}, "edges.*.node", 2),
    ],
)
def test_records_are_found_at_their_path(ctx: Context, api: Api, document: Any, path: str, found: int) -> None:
    api.answer = lambda _: as_json(document)
    assert len(rows(ctx, api, records=path)) == found


def test_a_path_with_nothing_at_it_names_what_there_is(ctx: Context, api: Api) -> None:
    api.answer = lambda _: as_json({"data": [], "meta": {}})
    error = refused(ctx, api, records="items")
    assert (error.code, error.hint) == ("extract.http_no_records_path", "Its keys are data, meta.")


def test_values_are_as_they_were_sent(ctx: Context, api: Api) -> None:
    first = '[{"id": 9007199254740993, "price": 9007199254740993.10,\n "zip": "00501", "tags": ["x"], "o": {"k": "v"}}]'
    second = '[{"id": 12345678901234567890, "late": true, "at": "2024-01-05T10:00:00Z"}]'
    pages = {"type": "page", "param": "p"}
    api.answer = in_turn(page(first), page(second), page("[]"))
    produced = read(with_connection(ctx, api), HTTP, pagination=pages)
    types = types_of(produced)
    assert types.pop("id") in ("HUGEINT", "UBIGINT")
    assert types == {
        "price": "DECIMAL(18,2)",
        "zip": "VARCHAR",
        "tags": "VARCHAR[]",
        "o": "STRUCT(k VARCHAR)",
        "late": "BOOLEAN",
        "at": "VARCHAR",
    }
    api.answer = in_turn(page(first), page(second), page("[]"))
    assert rows(ctx, api, pagination=pages) == [
        ("9007199254740993", "9007199254740993.10", "00501", "[x]", "{'k': v}", None, None),
        ("12345678901234567890", None, None, None, None, "true", "2024-01-05T10:00:00Z"),
    ]


def with_connection(ctx: Context, api: Api) -> Context:
    ctx.connection = {"base_url": api.url}
    return ctx


def test_columns_in_the_config_are_those_of_the_rows_even_of_none(ctx: Context, api: Api) -> None:
    columns = {"b": "DECIMAL(38,2)", "a": "BIGINT", "c": "VARCHAR"}
    api.answer = lambda _: page('[{"a":1,"b":9007199254740993.10,"other":1}]')
    assert rows(ctx, api, columns=columns) == [("9007199254740993.10", "1", None)]
    api.answer = lambda _: page("[]")
    produced = read(ctx, HTTP, columns=columns)
    assert types_of(produced) == columns
    assert produced.row_count == 0


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_asked_again(ctx: Context, api: Api, form: str, status: int) -> None:
    moment = format_datetime(datetime.now(UTC) - timedelta(seconds=1), usegmt=True)
    later = Reply(status=status, headers={"Retry-After": "0" if form == "seconds" else moment})
    api.answer = in_turn(later, later, as_json([{"a": 1}]))
    assert rows(ctx, api, retries=2) == [("1",)]
    assert len(api.asked) == 3


def test_a_server_that_asks_for_a_longer_wait_than_allowed_is_an_error(ctx: Context, api: Api) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    for wait in ("7200", moment):
        api.answer = in_turn(Reply(status=429, headers={"Retry-After": wait}))
        error = refused(ctx, api, retries=3)
        assert error.code == "extract.http_rate_limited"
        assert "max_retry_wait" in error.hint
    assert len(api.asked) == 2


def test_a_post_is_sent_again_only_where_the_server_said_that_it_did_nothing(ctx: Context, api: Api) -> None:
    api.answer = lambda _: Reply(status=502)
    assert refused(ctx, api, method="POST", body={"q": 1}, retries=3).code == "extract.http_server_error"
    api.answer = lambda _: cut("{", **{"content-length": "9"})
    assert refused(ctx, api, method="POST", body={"q": 1}, retries=3).code == "extract.http_cut"
    assert len(api.asked) == 2
    api.answer = in_turn(Reply(status=503, headers={"Retry-After": "0"}), as_json([{"a": 1}]))
    assert rows(ctx, api, method="POST", body={"q": 1}, retries=1) == [("1",)]
    assert api.asked[-1].document == {"q": 1}


def test_a_connection_that_breaks_is_tried_again(ctx: Context, api: Api) -> None:
    api.answer = in_turn(cut("[", **{"content-length": "9"}), as_json([{"a": 1}]))
    assert rows(ctx, api, retries=1) == [("1",)]


def test_requests_keep_to_the_rate(ctx: Context, api: Api) -> None:
    api.answer = in_turn(as_json([{"a": 1}]), as_json([{"a": 2}]), as_json([]))
    began = time.monotonic()
    rows(ctx, api, rate_limit=20, pagination={"type": "page", "param": "p"})
    assert time.monotonic() - began >= 2 / 20


def test_a_body_that_is_too_large_is_an_error(ctx: Context, api: Api) -> None:
    api.answer = lambda _: page(gzip.compress(json.dumps([{"a": "x" * 1_000_000}]).encode()), content_encoding="gzip")
    error = refused(ctx, api, max_page_bytes=100_000)
    assert error.code == "extract.http_too_large"


def test_a_redirect_elsewhere_gets_no_credentials(ctx: Context, api: Api) -> None:
    ctx.connection = {"base_url": api.url, **SECRETS}
    with serving() as other:
        other.answer = lambda _: as_json([{"a": 1}])
        api.answer = lambda asked: Reply(
            status=302, headers={"Location": f"{other.url}/x?sig={asked.params['sig']}&b=1"}
        )
        assert rows(ctx, api) == [("1",)]
    assert "authorization" not in other.asked[0].headers
    assert "sig" not in other.asked[0].params


def test_a_redirect_at_home_keeps_them(ctx: Context, api: Api) -> None:
    ctx.connection = {"base_url": api.url, "user": "Aladdin", "password": "open sesame"}
    api.answer = in_turn(Reply(status=307, headers={"Location": "/there"}), as_json([{"a": 1}]))
    assert rows(ctx, api, path="here") == [("1",)]
    assert [asked.path for asked in api.asked] == ["/here", "/there"]
    assert api.asked[1].headers["authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_redirects_without_end_or_away_from_http_are_an_error(ctx: Context, api: Api) -> None:
    api.answer = lambda _: Reply(status=301, headers={"Location": "/again"})
    assert refused(ctx, api).code == "extract.http_redirect"
    assert len(api.asked) == 6
    api.answer = lambda _: Reply(status=301, headers={"Location": "file:///etc/passwd"})
    assert refused(ctx, api).code == "extract.http_redirect"
    assert refused(ctx, api, method="POST", body={}).code == "extract.http_redirect"


def test_nobody_there(ctx: Context, api: Api) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ctx.connection = {"base_url": f"http://127.0.0.1:{closed.getsockname()[1]}"}
    assert refused(ctx, api).code == "connection.unreachable"
    ctx.connection = {"base_url": "http://no-such-host.invalid"}
    assert refused(ctx, api).code == "connection.unreachable"


def test_a_server_that_falls_silent(ctx: Context, api: Api) -> None:
    api.answer = api.fall_silent
    assert refused(ctx, api, read_timeout=0.05).code == "extract.http_timeout"


class Stopped:
    def __init__(self, event: threading.Event) -> None:
        self._event = event

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()


def test_a_run_that_is_stopped_does_not_wait_for_a_silent_server(ctx: Context, api: Api) -> None:
    api.answer = api.fall_silent
    ctx.cancel = Stopped(api.reached)
    assert refused(ctx, api, read_timeout=600.0).code == "runtime.cancelled"
    assert not api.silence.is_set()


def test_a_run_that_is_stopped_does_not_wait_for_its_next_try(ctx: Context, api: Api) -> None:
    def later(_: object) -> Reply:
        api.reached.set()
        return Reply(status=429, headers={"Retry-After": "600"})

    api.answer = later
    ctx.cancel = Stopped(api.reached)
    assert refused(ctx, api, retries=1, max_retry_wait=1000.0).code == "runtime.cancelled"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    file = folder / "server.pem"
    asking = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*asking, *name, "-keyout", folder / "key.pem", "-out", file], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + (folder / "key.pem").read_bytes())
    return file


def test_tls(ctx: Context, certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with serving(partial(tls.wrap_socket, server_side=True)) as api:
        api.answer = lambda _: as_json([{"a": 1}])
        assert refused(ctx, api).code == "connection.tls"
        ctx.connection = {"base_url": api.url, "ca": str(certificate)}
        assert rows(ctx, api) == [("1",)]
        ctx.connection = {"base_url": api.url, "verify": "false"}
        with pytest.warns(Warning, match="Unverified HTTPS"):
            assert rows(ctx, api) == [("1",)]
        ctx.connection = {"base_url": api.url, "ca": "nowhere.pem"}
        assert refused(ctx, api).code == "connection.tls"
        api.answer = lambda _: Reply(status=301, headers={"Location": api.url.replace("https", "http")})
        ctx.connection = {"base_url": api.url, "ca": str(certificate)}
        assert refused(ctx, api).code == "extract.http_redirect"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"base_url": "ftp://x"},
        {"base_url": "https://user:s3cret@x"},
        {"base_url": "https://x", "token": "s3cret\nX-Other: 1"},
        {"base_url": "https://x", "headers": {"X Y": "s3cret"}},
        {"base_url": "https://x", "token": "s3cret", "password": "s3cret"},
        {"base_url": "https://x", "tokn": "s3cret"},
        {"base_url": "https://x", "read_timeout": "s3cret"},
    ],
)
def test_a_connection_that_cannot_work_is_told_without_its_values(ctx: Context, values: dict[str, Any]) -> None:
    ctx.connection = values
    with pytest.raises(OsirisError) as caught:
        read(ctx, HTTP)
    assert caught.value.code == "connection.invalid"
    assert "s3cret" not in caught.value.problem


def test_a_url_needs_no_connection(ctx: Context, api: Api) -> None:
    api.answer = lambda _: as_json([{"a": 1}])
    assert rows(ctx, api, url=f"{api.url}/a?b=%C3%A4+c", params={"d": "&"}) == [("1",)]
    assert (api.asked[0].path, api.asked[0].params) == ("/a", {"b": "ä c", "d": "&"})
