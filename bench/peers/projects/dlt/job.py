"""dlt loads the file into DuckDB as Arrow batches; the query runs there."""

import dlt
from pyarrow import csv


@dlt.resource(name="orders", write_disposition="replace")
def orders():
    with csv.open_csv("data/orders.csv") as reader:
        yield from reader


pipeline = dlt.pipeline(
    "orders", destination=dlt.destinations.duckdb("work.duckdb"), dataset_name="shop", pipelines_dir=".dlt"
)
pipeline.run(orders())
with pipeline.sql_client() as client:
    client.execute_sql(
        "COPY (SELECT customer, count(*) AS orders, sum(amount) AS total FROM orders "
        "GROUP BY customer ORDER BY customer) TO 'out/by_customer.csv' (HEADER)"
    )
