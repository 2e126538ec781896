"""The job that all contestants do: orders in a CSV file, totals by customer, a CSV file again.

Rows are those of ``data/orders.csv``; the result goes to ``out/by_customer.csv``, customers in order.
"""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import duckdb

SOURCE = "data/orders.csv"
TARGET = "out/by_customer.csv"
QUERY = "SELECT customer, count(*) AS orders, sum(amount) AS total FROM {source} GROUP BY customer ORDER BY customer"
_ORDERS = """
SELECT range AS order_id,
       'c' || lpad((hash(range) % 5000)::VARCHAR, 5, '0') AS customer,
       ['eu', 'us', 'apac'][1 + (hash(range + 7) % 3)::INT] AS region,
       ((hash(range + 3) % 100000)::DECIMAL(12, 2) / 100)::DECIMAL(12, 2) AS amount,
       DATE '2026-01-01' + (hash(range + 5) % 365)::INT AS ordered_at,
       'shipped' AS status,
       'left with the neighbour ' || (range % 977) AS note
FROM range({rows})
"""

Totals = dict[str, tuple[int, Decimal]]
"""Orders and total by customer."""


def make_source(path: Path, rows: int) -> None:
    """Write the orders, ``rows`` of them, unless they are there already."""
    wanted = path.with_name(f"orders-{rows}.csv")
    if not wanted.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as con:
            con.execute(f"COPY ({_ORDERS.format(rows=rows)}) TO '{wanted}' (HEADER)")
    path.unlink(missing_ok=True)
    path.hardlink_to(wanted)


def read_totals(path: Path) -> Totals:
    """What a contestant wrote; totals to two decimals, for some of them count in doubles."""
    with path.open(newline="") as file:
        return {row["customer"]: (int(row["orders"]), round(Decimal(row["total"]), 2)) for row in csv.DictReader(file)}
