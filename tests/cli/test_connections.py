"""``osiris connections list`` and ``doctor``: what is there, what is in the way, and never a secret."""

from __future__ import annotations

import duckdb

from tests.cli.shop import Shop

CONNECTIONS = """\
connections:
  duckdb:
    shop: {default: true, path: data/shop.duckdb}
    away: {path: "${SHOP_FOLDER}/x.duckdb"}
    nowhere: {path: data/shpo.duckdb}
    text: {path: data/orders.csv}
    pathless: {}
    odd: {path: "out/${SHOP_TOKEN}.duckdb"}
  duckbd:
    plain: {path: x}
"""
TOKEN = "s3cr3t-T0ken"  # noqa: S105
GOOD = ["@duckdb.shop"]


def prepared(shop: Shop) -> Shop:
    shop.write("osiris_connections.yaml", CONNECTIONS)
    duckdb.connect(str(shop.root / "data/shop.duckdb")).execute(
        "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)"
    ).close()
    return shop


def test_the_list_names_every_connection_and_what_is_in_its_way(shop: Shop) -> None:
    found = prepared(shop).run("connections", "list", "--json", env={"SHOP_TOKEN": TOKEN}).json["connections"]
    listed = {each["connection"]: each for each in found}
    assert [name for name, each in listed.items() if each["usable"]] == [
        "@duckdb.shop",
        "@duckdb.nowhere",
        "@duckdb.text",
        "@duckdb.odd",
    ]
    assert [name for name, each in listed.items() if each["is_default"]] == ["@duckdb.shop"]
    assert listed["@duckdb.away"]["missing_variables"] == ["SHOP_FOLDER"]
    assert listed["@duckdb.away"]["settings"] == {}
    assert listed["@duckdb.shop"]["settings"] == {"path": "data/shop.duckdb"}
    assert listed["@duckdb.shop"]["title"] == "DuckDB"
    assert listed["@duckdb.pathless"]["problems"] == ["path is missing"]
    assert listed["@duckbd.plain"]["usable"] is None
    assert "duckdb" in listed["@duckbd.plain"]["problems"][0]


def test_the_list_never_shows_a_secret_value(shop: Shop) -> None:
    for args in ((), ("--json",)):
        done = prepared(shop).run("connections", "list", *args, env={"SHOP_TOKEN": TOKEN})
        assert TOKEN not in done.out + done.err
        assert "***" in done.out


def test_the_list_of_a_project_without_connections_is_empty(shop: Shop) -> None:
    assert shop.run("connections", "list", "--json").json == {"connections": []}
    assert "There are no connections." in shop.on_terminal("connections", "list")


def test_the_doctor_says_of_each_connection_what_works_and_what_does_not(shop: Shop) -> None:
    done = prepared(shop).run("connections", "doctor", "--json", env={"SHOP_TOKEN": TOKEN}, check=2)
    found = {each["connection"]: each for each in done.json["connections"]}
    assert [name for name, each in found.items() if each["status"] == "ok"] == GOOD
    assert found["@duckbd.plain"]["status"] == "unchecked"
    assert [check["name"] for check in found["@duckdb.shop"]["checks"]] == ["reach", "version", "permission"]
    assert found["@duckdb.shop"]["checks"][1]["detail"].startswith(f"DuckDB v{duckdb.__version__}")
    codes = {name: each["checks"][-1]["code"] for name, each in found.items() if each["status"] == "failed"}
    assert codes == {
        "@duckdb.away": "connection.variable_missing",
        "@duckdb.nowhere": "connection.database_missing",
        "@duckdb.text": "connection.unreadable",
        "@duckdb.pathless": "connection.field_missing",
        "@duckdb.odd": "connection.database_missing",
    }
    assert "shop.duckdb" in found["@duckdb.nowhere"]["checks"][0]["hint"]
    assert all(check["hint"] for each in found.values() for check in each["checks"] if check["problem"])
    assert TOKEN not in done.out + done.err
    assert str(shop.root) not in done.out


def test_the_doctor_is_content_when_all_that_was_named_works(shop: Shop) -> None:
    for reference in ("@duckdb.shop", "duckdb.shop"):
        found = prepared(shop).run("connections", "doctor", reference, "--json").json["connections"]
        assert [each["connection"] for each in found] == GOOD


def test_a_connection_that_is_not_there_is_told_with_its_neighbour(shop: Shop) -> None:
    prepared(shop)
    for reference, code in (
        ("@duckdb.shpo", "connection.unknown"),
        ("@ducdb.shop", "connection.unknown"),
        ("shop", "connection.reference"),
        ("", "connection.reference"),
    ):
        error = shop.run("connections", "doctor", reference, "--json", check=2).json["error"]
        assert error["code"] == code
        assert "duckdb" in error["hint"] or code == "connection.reference"


def test_the_tables_fit_eighty_columns_and_each_failure_stands_below_with_its_remedy(shop: Shop) -> None:
    for verb, code in (("list", 0), ("doctor", 2)):
        shown = prepared(shop).on_terminal("connections", verb, check=code)
        table, *below = shown.split("\n\n")
        assert max(map(len, table.splitlines())) <= 80
        assert "SHOP_FOLDER is not set" in "".join(below)
    assert "  Try: Did you mean shop.duckdb?" in shown
