"""One node, on Polars."""

import polars as pl
from kedro.pipeline import Pipeline, node


def totals(orders: pl.LazyFrame) -> pl.DataFrame:
    return (
        orders.group_by("customer")
        .agg(pl.len().alias("orders"), pl.col("amount").sum().alias("total"))
        .sort("customer")
        .collect()
    )


def register_pipelines() -> dict[str, Pipeline]:
    return {"__default__": Pipeline([node(totals, "orders", "by_customer")])}
