"""Two tasks around DuckDB in one flow, on the server that Prefect starts for it."""

import duckdb
from prefect import flow, task

DATABASE = "work.duckdb"


@task
def orders() -> None:
    with duckdb.connect(DATABASE) as con:
        con.execute("CREATE OR REPLACE VIEW orders AS FROM read_csv('data/orders.csv')")


@task
def by_customer() -> None:
    with duckdb.connect(DATABASE) as con:
        con.execute(
            "COPY (SELECT customer, count(*) AS orders, sum(amount) AS total FROM orders "
            "GROUP BY customer ORDER BY customer) TO 'out/by_customer.csv' (HEADER)"
        )


@flow
def pipeline() -> None:
    orders()
    by_customer()


pipeline()
