"""Two assets around DuckDB: the table, and the file made from it."""

import duckdb
from dagster import Definitions, asset

DATABASE = "work.duckdb"


@asset
def orders() -> None:
    with duckdb.connect(DATABASE) as con:
        con.execute("CREATE OR REPLACE VIEW orders AS FROM read_csv('data/orders.csv')")


@asset(deps=[orders])
def by_customer() -> None:
    with duckdb.connect(DATABASE) as con:
        con.execute(
            "COPY (SELECT customer, count(*) AS orders, sum(amount) AS total FROM orders "
            "GROUP BY customer ORDER BY customer) TO 'out/by_customer.csv' (HEADER)"
        )


defs = Definitions(assets=[orders, by_customer])
