"""A pipeline from an object store to an object store, through the real command and a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import BY_CUSTOMER, ORDERS, ORDERS_CSV, Shop
from tests.object_server import ObjectServer, object_server

SECRET = "s3cr3t/Canary+4711-of-the-store"  # noqa: S105
CONNECTIONS = """\
connections:
  s3:
    lake:
      endpoint: ${LAKE_ENDPOINT}
      allow_http: true
      access_key_id: AKIACANARY
      secret_access_key: ${LAKE_SECRET}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as started:
        started.make_bucket("lake")
        started.put("lake/in/orders.csv", ORDERS_CSV.encode())
        yield started


@pytest.fixture
def lake(shop: Shop) -> Shop:
    """The project ``orders`` with both its ends in the store."""
    shop.write("osiris_connections.yaml", CONNECTIONS)
    stored = ORDERS.replace("path: data/", 'connection: "@s3.lake", path: s3://lake/in/')
    shop.write("pipelines/orders.yaml", stored.replace("path: out/", 'connection: "@s3.lake", path: s3://lake/out/'))
    return shop


def environment(server: ObjectServer) -> dict[str, str]:
    return {"LAKE_ENDPOINT": server.endpoint, "LAKE_SECRET": SECRET}


def texts(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_rows_go_from_one_object_to_another(lake: Shop, server: ObjectServer) -> None:
    done = lake.run("run", "orders", "--json", env=environment(server))
    assert server.get("lake/out/by_customer.csv") == BY_CUSTOMER
    assert [(step["rows_in"], step["rows_out"]) for step in done.json["steps"]] == [(None, 3), (3, 2), (2, 2)]
    [artifact] = json.loads(lake.read(f"{done.json['run']['aiop_path']}/summary.json"))["artifacts"]
    assert (artifact["path"], artifact["bytes"]) == ("s3://lake/out/by_customer.csv", len(BY_CUSTOMER))
    assert SECRET.encode() not in texts(lake.root) + done.out.encode() + done.err.encode()
    assert not list((lake.root / ".osiris").rglob("*.work"))
    page = lake.root / "run.html"
    lake.run("runs", "show", "last", "--html", page)
    assert "s3://lake/out/by_customer.csv" in page.read_text()
    assert "no longer there" not in page.read_text()


@pytest.mark.parametrize("down", [False, True])
def test_a_store_that_refuses_or_is_down_fails_the_run_without_a_secret(
    lake: Shop, server: ObjectServer, down: bool
) -> None:
    env = environment(server)
    if down:
        with object_server() as another:
            env["LAKE_ENDPOINT"] = another.endpoint
    else:
        server.check_keys_after("0")
    try:
        failed = lake.run("run", "orders", "--json", env=env, check=1)
    finally:
        server.check_keys_after("inf")
    assert failed.json["run"]["error"]["code"] == ("connection.unreachable" if down else "connection.refused")
    said = texts(lake.root) + failed.out.encode() + failed.err.encode()
    assert SECRET.encode() not in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("@s3.lake", "@s3.lakes", "osiris_connections.yaml has no connection @s3.lakes"),
        ("@s3.lake", "@gs.lake", "@gs.lake is a connection of gs, but a connection of s3 is needed"),
        ("s3://lake/in/", "data/", "a connection is given, and the path is not in an object store"),
    ],
)
def test_a_connection_that_cannot_be_used_is_found_when_it_is_compiled(
    lake: Shop, old: str, new: str, problem: str
) -> None:
    text = lake.read("pipelines/orders.yaml").decode()
    lake.write("pipelines/orders.yaml", text.replace(old, new, 1))
    refused = lake.run("compile", "orders", check=2)
    assert problem in refused.err


@pytest.mark.parametrize(
    "key", ["secret_access_key", "session_token", "service_account_key", "account_key", "sas_token"]
)
def test_a_key_of_a_store_does_not_stand_in_the_clear(lake: Shop, key: str) -> None:
    lake.write("osiris_connections.yaml", f"{CONNECTIONS}  other:\n    main: {{{key}: c2VjcmV0LWtleQ}}\n")
    refused = lake.run("compile", "orders", check=2)
    assert f"connections.other.main.{key}: a secret stands here in the clear" in refused.err
    assert "c2VjcmV0LWtleQ" not in refused.err
