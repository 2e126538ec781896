"""A pipeline from an HTTP API, through the real command: exact rows, no secret anywhere, stopped at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import ORDERS, Shop, new_shop, running
from tests.http.server import Api, as_json, in_turn, serving

SECRET = "s3cr3t+Canary/4711&of=the shop"  # noqa: S105
CONNECTIONS = """\
connections:
  http:
    shop:
      base_url: ${SHOP_API}
      token: ${SHOP_TOKEN}
      params: {api_key: "${SHOP_TOKEN}"}
"""
READING = """\
    component: http.extractor
    mode: read
    config:
      connection: "@http.shop"
      path: orders
      records: items
      retries: 1
      body: {filter: {since: 2024-01-05, states: [open, "01"]}}
      method: POST
      pagination: {type: cursor, cursor: next, param: after, place: body}
"""


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as started:
        yield started


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = new_shop(tmp_path / "shop")
    shop.write("osiris_connections.yaml", CONNECTIONS)
    before, _, behind = ORDERS.partition("    component: filesystem.csv_extractor\n")
    shop.write("pipelines/orders.yaml", before + READING + behind.split("\n", 2)[2])
    return shop


def environment(api: Api) -> dict[str, str]:
    return {"SHOP_API": f"{api.url}/v1", "SHOP_TOKEN": SECRET}


def all_bytes(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_rows_come_from_an_api(shop: Shop, api: Api) -> None:
    orders = [("Ada", 10.50), ("Grace", 7.25), ("Ada", 2.25)]
    items = [{"customer": customer, "amount": amount} for customer, amount in orders]
    api.answer = in_turn(as_json({"items": items[:2], "next": "x"}), as_json({"items": items[2:]}))
    done = shop.run("run", "orders", "--json", env=environment(api)).json
    assert [(step["rows_in"], step["rows_out"]) for step in done["steps"]] == [(None, 3), (3, 2), (2, 2)]
    assert shop.read("out/by_customer.csv") == b"customer,total\nAda,12.75\nGrace,7.25\n"
    wanted = {"filter": {"since": "2024-01-05", "states": ["open", "01"]}}
    assert [asked.document for asked in api.asked] == [wanted, {**wanted, "after": "x"}]
    assert {asked.path for asked in api.asked} == {"/v1/orders"}
    assert SECRET[:15].encode() not in all_bytes(shop.root)
    assert shop.leftovers() == []


def test_no_secret_is_told_when_it_fails(shop: Shop, api: Api) -> None:
    api.answer = lambda asked: as_json({"said": [asked.headers["authorization"], asked.params]}, 400)
    failed = shop.run("run", "orders", check=1, env=environment(api))
    assert "answered 400" in failed.err
    assert "***" in failed.err
    assert b"Canary" not in all_bytes(shop.root) + failed.out.encode() + failed.err.encode()


def test_a_secret_in_the_step_is_refused(shop: Shop, api: Api) -> None:
    source = shop.read("pipelines/orders.yaml").decode()
    shop.write("pipelines/orders.yaml", source.replace("      retries: 1", "      headers: {X-Api-Key: abcdefgh}"))
    refused = shop.run("oml", "validate", "pipelines/orders.yaml", check=2, env=environment(api))
    assert "a secret stands here in the clear" in refused.out + refused.err


def test_pagination_that_cannot_work_is_refused_with_its_place(shop: Shop, api: Api) -> None:
    source = shop.read("pipelines/orders.yaml").decode()
    shop.write("pipelines/orders.yaml", source.replace("param: after, ", ""))
    refused = shop.run("oml", "validate", "pipelines/orders.yaml", check=2, env=environment(api))
    assert "pagination of type cursor needs param" in refused.out + refused.err
    assert "15:19: steps[0].config.pagination" in refused.out + refused.err


def test_ctrl_c_ends_a_run_that_waits_for_a_server(shop: Shop, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answer = api.fall_silent
    for name, value in environment(api).items():
        monkeypatch.setenv(name, value)
    with running(shop, "run", "orders", reached=api.reached.is_set) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert not api.silence.is_set()
    assert shop.runs()[0]["status"] == "cancelled"
