"""What a person writes who needs no tool: nothing is recorded."""

import duckdb

duckdb.connect().execute(
    "COPY (SELECT customer, count(*) AS orders, sum(amount) AS total FROM read_csv('data/orders.csv') "
    "GROUP BY customer ORDER BY customer) TO 'out/by_customer.csv' (HEADER)"
)
