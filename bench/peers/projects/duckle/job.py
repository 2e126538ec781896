"""A graph of three nodes, compiled to SQL by duckle and run by the DuckDB that it brings."""

import duckle

(
    duckle.read_csv("data/orders.csv")
    .transform(
        "code.sql",
        sql="SELECT customer, count(*) AS orders, sum(amount) AS total FROM input GROUP BY customer ORDER BY customer",
    )
    .write_csv("out/by_customer.csv")
    .run(quiet=True)
)
