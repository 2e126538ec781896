"""``osiris discover``: what a connection leads to, kept for an hour, and a step that reads it."""

from __future__ import annotations

import json
from datetime import timedelta

import duckdb
import pytest

from osiris.clock import parse_rfc3339, rfc3339
from tests.cli.shop import Shop

CACHE = ".osiris/cache/discover/duckdb.shop.json"
ODD_NAMES = ["no", "a b", 'x"y', "été: [1]", "#", "on'e", "'", "1.10", "-", "ünïcode \U0001f600", "&a *b {c}"]


def prepared(shop: Shop) -> Shop:
    shop.write("osiris_connections.yaml", "connections: {duckdb: {shop: {path: '${SHOP_FILE:-data/shop.duckdb}'}}}\n")
    sql = """
        CREATE SCHEMA sales;
        CREATE TABLE orders (id INTEGER, line INTEGER, price DECIMAL(10,2) NOT NULL, PRIMARY KEY (id, line));
        INSERT INTO orders VALUES (1, 1, 2.50), (1, 2, 3.00);
        CREATE TABLE sales.orders (n BIGINT);
        CREATE TABLE sales.people (name VARCHAR);
        CREATE VIEW totals AS SELECT sum(price) AS total FROM orders;
    """
    with duckdb.connect(str(shop.root / "data/shop.duckdb")) as con:
        con.execute(sql)
    return shop


def test_tables_come_with_kind_columns_key_and_an_estimate_of_their_rows(shop: Shop) -> None:
    found = prepared(shop).run("discover", "@duckdb.shop", "--json").json
    assert (found["connection"], found["from_cache"], found["oml"]) == ("@duckdb.shop", False, "")
    assert [(table["schema"], table["name"], table["kind"], table["rows"]) for table in found["tables"]] == [
        ("main", "orders", "table", 2),
        ("main", "totals", "view", None),
        ("sales", "orders", "table", 0),
        ("sales", "people", "table", 0),
    ]
    orders = found["tables"][0]
    assert orders["primary_key"] == ["id", "line"]
    assert orders["columns"][2] == {"name": "price", "type": "DECIMAL(10,2)", "nullable": False}


def test_a_table_is_named_exactly_alone_or_with_its_schema(shop: Shop) -> None:
    prepared(shop)
    [people] = shop.run("discover", "duckdb.shop", "people", "--json").json["tables"]
    assert people["schema"] == "sales"
    [orders] = shop.run("discover", "duckdb.shop", "sales.orders", "--json").json["tables"]
    assert [column["name"] for column in orders["columns"]] == ["n"]
    several = shop.run("discover", "duckdb.shop", "orders", "--json", check=2).json["error"]
    assert (several["code"], "main.orders, sales.orders" in several["hint"]) == ("discover.several_tables", True)
    near = shop.run("discover", "duckdb.shop", "Peopel", "--json", check=2).json["error"]
    assert (near["code"], "people" in near["hint"]) == ("discover.unknown_table", True)


def test_what_was_found_is_kept_and_said_to_be_old_until_it_is_asked_for_again(shop: Shop) -> None:
    first = prepared(shop).run("discover", "@duckdb.shop", "--json")
    assert "--refresh" not in first.err
    with duckdb.connect(str(shop.root / "data/shop.duckdb")) as con:
        con.execute("CREATE TABLE newer (n INTEGER)")
    second = shop.run("discover", "@duckdb.shop", "--json")
    assert second.json == {**first.json, "from_cache": True}
    assert "--refresh asks again" in second.err
    third = shop.run("discover", "@duckdb.shop", "--refresh", "--json").json
    assert "newer" in [table["name"] for table in third["tables"]]
    assert shop.run("discover", "@duckdb.shop", "newer", "--json").json["from_cache"]


def test_a_cache_that_is_old_or_damaged_or_of_other_values_is_as_good_as_none(shop: Shop) -> None:
    first = prepared(shop).run("discover", "@duckdb.shop", "--json").json
    whole = shop.read(CACHE)
    aged = json.loads(whole)
    past = rfc3339(parse_rfc3339(first["asked_at"]) - timedelta(hours=1))
    future = rfc3339(parse_rfc3339(first["asked_at"]) + timedelta(hours=2))
    moments = [json.dumps({**aged, "asked_at": moment}).encode() for moment in (past, future, "yesterday")]
    for content in (b"", b"{}", whole[:-5], b"\xff\x00", whole.replace(b"orders", b"\xff"), *moments):
        shop.write(CACHE, content)
        found = shop.run("discover", "@duckdb.shop", "--json").json
        assert (found["from_cache"], found["tables"]) == (False, first["tables"]), content
        assert shop.run("discover", "@duckdb.shop", "--json").json["from_cache"]
    duckdb.connect(str(shop.root / "data/other.duckdb")).close()
    other = shop.run("discover", "@duckdb.shop", "--json", env={"SHOP_FILE": "data/other.duckdb"}).json
    assert (other["from_cache"], other["tables"]) == (False, [])


@pytest.mark.parametrize("schema", ["main", "weird \"schema'"])
def test_the_step_that_it_writes_validates_and_reads_as_it_stands(shop: Shop, schema: str) -> None:
    prepared(shop)
    names = [*ODD_NAMES, "${x}", "a" * 100]
    with duckdb.connect(str(shop.root / "data/shop.duckdb")) as con:
        quoted = schema.replace('"', '""')
        con.execute(f'CREATE SCHEMA IF NOT EXISTS "{quoted}"')
        for number, name in enumerate(names):
            con.execute('CREATE TABLE "{}"."{}" AS SELECT {} AS n'.format(quoted, name.replace('"', '""'), number))
    steps = [shop.run("discover", "@duckdb.shop", f"{schema}.{name}", "--oml").out for name in names]
    for number, step in enumerate(steps):
        write = f"  - {{id: w, component: filesystem.csv_writer, mode: write, config: {{path: out/{number}.csv}}}}\n"
        shop.write(f"pipelines/p{number}.yaml", f'oml_version: "0.1.0"\nname: p{number}\nsteps:\n{step}{write}')
    shop.run("oml", "validate", *(f"p{number}" for number in range(len(names))))
    shop.run("run", "p3")
    assert shop.read("out/3.csv") == b"n\n3\n"
    assert (
        shop.run("discover", "@duckdb.shop", "people", "--oml", "--json")
        .json["oml"]
        .startswith("  - id: extract-people\n")
    )


def test_what_cannot_be_listed_is_said(shop: Shop) -> None:
    prepared(shop)
    assert shop.run("discover", "@duckdb.shop", "--oml", "--json", check=2).json["error"]["code"] == "cli.usage"
    shop.write("osiris_connections.yaml", "connections: {odd: {one: {}}, duckdb: {none: {path: data/none.duckdb}}}\n")
    assert shop.run("discover", "@odd.one", "--json", check=2).json["error"]["code"] == "connection.family"
    error = shop.run("discover", "@duckdb.none", "--json", check=2).json["error"]
    assert error["code"] == "connection.database_missing"
    assert not (shop.root / ".osiris/cache/discover").exists()


def test_the_tables_fit_eighty_columns(shop: Shop) -> None:
    prepared(shop)
    for args in ((), ("sales.orders",)):
        shown = shop.on_terminal("discover", "@duckdb.shop", *args)
        assert max(map(len, shown.splitlines())) <= 80
        assert "orders" in shown or "BIGINT" in shown
