"""What a check of a connection finds out."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from osiris.families import find_family
from osiris.families.base import Check
from tests.http.server import Api, Reply, as_json


def checks(values: dict[str, Any], timeout_s: float = 10) -> list[Check]:
    family = find_family("http")
    assert family is not None
    assert family.tables is None
    return list(family.check(values, Path(), timeout_s))


def test_a_server_that_lets_us_in(api: Api) -> None:
    api.answer = lambda _: as_json({}, server="shop/1.2")
    found = checks({"base_url": f"{api.url}/v1", "token": "t0ken-of-mine", "probe": "me"})
    assert [(check.name, check.ok) for check in found] == [("reach", True), ("sign in", True), ("version", True)]
    assert (found[0].detail, found[1].detail) == (f"{api.url}/v1/me", "accepted")
    assert "shop/1.2" in found[2].detail
    assert [asked.headers["authorization"] for asked in api.asked] == ["Bearer t0ken-of-mine"]


@pytest.mark.parametrize(("status", "code"), [(401, "connection.auth"), (403, "connection.permission")])
def test_a_server_that_does_not(api: Api, status: int, code: str) -> None:
    api.answer = lambda asked: as_json({"you sent": asked.headers["authorization"]}, status)
    found = checks({"base_url": api.url, "token": "t0ken-of-mine"})
    assert [(check.name, check.code) for check in found] == [("reach", ""), ("sign in", code)]
    assert "of-mine" not in found[1].problem
    assert found[1].hint


def test_a_path_that_is_not_there_was_not_refused(api: Api) -> None:
    found = checks({"base_url": api.url})
    assert [check.ok for check in found] == [True, True, True]
    assert "probe" in found[1].detail


def test_a_server_that_fails_says_nothing_about_who_may_sign_in(api: Api) -> None:
    api.answer = lambda _: Reply(status=500)
    assert [check.code for check in checks({"base_url": api.url})] == ["", "extract.http_server_error"]


def test_nobody_there_and_a_connection_that_cannot_work(api: Api) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert [check.code for check in checks({"base_url": url})] == ["connection.unreachable"]
    assert [check.code for check in checks({})] == ["connection.invalid"]
    api.answer = api.fall_silent
    assert [check.code for check in checks({"base_url": api.url}, 0.1)] == ["", "extract.http_timeout"]
