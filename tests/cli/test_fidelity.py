"""What stands in a file comes out as it went in: no guess changes a value."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import duckdb
import pytest

from tests.cli.shop import Shop, pipeline

TRICKY = (
    b"\xef\xbb\xbfzip,big,missing_code,void,nothing,amount,day\n"
    b'00501,9007199254740993,NA,"",,1.10,24.12.2026\n'
    b"10115,9007199254740992,null,x,,2.25,01.02.2026\n"
)
REORDERED = "SELECT day, amount, nothing, void, missing_code, big, zip FROM df_orders"
STEPS_BEHIND = """\
  - {id: parquet, component: filesystem.parquet_writer, mode: write, inputs: {df: "${by-customer.df}"},
     config: {path: out/rows.parquet}}
  - {id: json, component: filesystem.json_writer, mode: write, inputs: {df: "${by-customer.df}"},
     config: {path: out/rows.jsonl}}
"""
# Columns of values that some type would take and give back changed.
COLUMNS = {
    "leading zeros": ["007", "42", "0"],
    "plus": ["+49301234567", "1", "2"],
    "beyond a double": ["9007199254740993", "123456789012345678901234567890", "1"],
    "trailing zeros": ["1.10", "2.00", "3.50"],
    "exponents": ["1e5", "2E-3", "7"],
    "not a number": ["NaN", "inf", "-Infinity"],
    "truth": ["TRUE", "no", "t"],
    "words for nothing": ["NA", "null", "None"],
    "spaces": [" padded ", "a  b", "  "],
    "german dates": ["24.12.2026", "01.02.2026", "3.4.2026"],
    "american dates": ["12/24/2026", "1/2/2026", "11/11/2026"],
    "days": ["2026-11-21", "2026-02-28", "2024-02-29"],
    "moments": ["2026-11-21 00:40:01.1234567", "2026-11-21T00:40:01Z", "2026-11-21 00:40"],
    "zoned": ["2026-11-21 00:40:01+02", "2026-11-21 00:40:01+00", "2026-11-21 00:40:01-05:30"],
    "times": ["00:40:01", "24:00:00", "7:05"],
    "money": ["1,234.50", "1.234,50", "$3"],
    "negative zero": ["-0", "0.0", "-0.0"],
    "hex": ["0x1F", "1_000", "0b1"],
    "quotes": ['say "hi"', "a,b", "two\nlines"],
    "beyond ascii": ["Příliš žluťoučký kůň", "\uff12\uff13", "🦆"],
    "formulas": ["=1+1", "@x", "-cmd"],
    "unhappy decimals": ["0.10000000000000000", "0.30000000000000004", "100000000000000000000.00000000000000001"],
}


def csv_text(columns: dict[str, list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([list(columns), *zip(*columns.values(), strict=True)])
    return text.getvalue()


def test_a_csv_file_goes_through_a_query_without_a_changed_value_in_the_order_of_the_query(shop: Shop) -> None:
    shop.write("data/orders.csv", TRICKY)
    shop.write("pipelines/orders.yaml", pipeline(REORDERED) + STEPS_BEHIND)
    steps = shop.run("run", "orders", "--json").json["steps"]
    assert {step["rows_out"] for step in steps} == {2}
    assert shop.read("out/by_customer.csv") == (
        b"day,amount,nothing,void,missing_code,big,zip\n"
        b'24.12.2026,1.10,,"",NA,9007199254740993,00501\n'
        b"01.02.2026,2.25,,x,null,9007199254740992,10115\n"
    )


def test_parquet_and_json_hold_the_same_values_as_csv(shop: Shop) -> None:
    shop.write("data/orders.csv", TRICKY)
    shop.write("pipelines/orders.yaml", pipeline(REORDERED) + STEPS_BEHIND)
    shop.run("run", "orders")
    expected = ["24.12.2026", "1.10", None, "", "NA", "9007199254740993", "00501"]
    parquet = duckdb.read_parquet(str(shop.root / "out" / "rows.parquet"))
    assert parquet.columns == ["day", "amount", "nothing", "void", "missing_code", "big", "zip"]
    first, _ = parquet.fetchall()
    assert [None if value is None else str(value) for value in first] == expected

    lines = shop.read("out/rows.jsonl").decode().splitlines()
    rows = [json.loads(line, parse_int=str, parse_float=str) for line in lines]
    assert list(rows[0].values()) == expected
    assert list(rows[0]) == parquet.columns


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_file_that_was_written_is_read_back_the_same(shop: Shop, ending: str) -> None:
    kind = {"parquet": "parquet", "jsonl": "json"}[ending]
    shop.write("data/orders.csv", TRICKY)
    shop.write("pipelines/orders.yaml", pipeline(REORDERED) + STEPS_BEHIND)
    back = pipeline("FROM df_orders", read=f"out/rows.{ending}", write="out/back.csv")
    shop.write("pipelines/back.yaml", back.replace("csv_extractor", f"{kind}_extractor"))
    shop.run("run", "orders")
    shop.run("run", "back")
    assert shop.read("out/back.csv") == shop.read("out/by_customer.csv")


def test_no_text_that_looks_like_something_else_is_taken_for_it(shop: Shop) -> None:
    shop.write("data/orders.csv", csv_text(COLUMNS))
    shop.write("pipelines/orders.yaml", pipeline("FROM df_orders"))
    shop.run("run", "orders")
    back = list(csv.reader(io.StringIO(shop.read("out/by_customer.csv").decode(), newline="")))
    found = {name: list(values) for name, *values in zip(*back, strict=True)}
    assert found == COLUMNS


def test_decimals_of_several_lengths_keep_their_exact_value(shop: Shop) -> None:
    values = ["1.1", "2", "0.30000000000000004", "-3.50"]
    shop.write("data/orders.csv", csv_text({"amount": values, "of": ["x"] * 4}))
    shop.write("pipelines/orders.yaml", pipeline("SELECT amount FROM df_orders"))
    shop.run("run", "orders")
    assert [Decimal(line) for line in shop.read("out/by_customer.csv").decode().split()[1:]] == list(
        map(Decimal, values)
    )


def test_one_odd_value_at_the_end_of_a_long_file_is_not_lost(shop: Shop) -> None:
    rows = [f"{number},{number}.5" for number in range(30_000)]
    text = "\n".join(["id,amount", *rows, "00501,NA", ""])
    shop.write("data/orders.csv", text)
    shop.write("pipelines/orders.yaml", pipeline("FROM df_orders"))
    document = shop.run("run", "orders", "--json").json
    assert document["run"]["rows_in"] == document["run"]["rows_out"] == 30_001
    assert shop.read("out/by_customer.csv").decode() == text


def test_types_that_were_asked_for_keep_decimals_and_dates(shop: Shop) -> None:
    shop.write("data/orders.csv", TRICKY)
    typed = pipeline("SELECT sum(amount) AS total, max(day) AS day, typeof(max(day)) AS type FROM df_orders").replace(
        "{path: data/orders.csv}",
        '{path: data/orders.csv, types: {amount: "DECIMAL(9,2)", day: DATE}, dateformat: "%d.%m.%Y"}',
    )
    shop.write("pipelines/orders.yaml", typed)
    shop.run("run", "orders")
    assert shop.read("out/by_customer.csv") == b"total,day,type\n3.35,2026-12-24,DATE\n"


def test_a_header_without_rows_gives_a_header_without_rows(shop: Shop) -> None:
    shop.write("data/orders.csv", "zip,amount\n")
    shop.write("pipelines/orders.yaml", pipeline("SELECT amount, zip FROM df_orders"))
    run = shop.run("run", "orders", "--json").json["run"]
    assert (run["rows_in"], run["rows_out"]) == (0, 0)
    assert shop.read("out/by_customer.csv") == b"amount,zip\n"
