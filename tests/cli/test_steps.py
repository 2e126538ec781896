"""What a single step promises, through the real command line: tries, kills, patterns, and NULL beside empty text."""

from __future__ import annotations

import json

import pytest

from tests.cli.shop import Shop, pipeline, running

RETRIED = "config: {path: data/orders.csv}\n    retry: {max: %d, backoff: exp, delay_ms: %d}"
# Rows without end, each of which reaches the writer as it comes.
FLOWING = "SELECT range AS n, hash(range)::VARCHAR AS text FROM range(1000000000000)"
WRITERS = {
    "csv": "csv",
    "csv.gz": "csv",
    "csv.zst": "csv",
    "json": "json",
    "jsonl": "json",
    "json.gz": "json",
    "jsonl.zst": "json",
    "parquet": "parquet",
}


def retried(max_tries: int, delay_ms: int) -> str:
    return pipeline("FROM df_orders").replace("config: {path: data/orders.csv}", RETRIED % (max_tries, delay_ms))


def retries(shop: Shop) -> list[dict[str, object]]:
    """The tries that failed, as the log of the only run has them."""
    lines = [json.loads(line) for log in shop.root.glob("run_logs/**/events.jsonl") for line in log.open()]
    return [line for line in lines if line["event"] == "step.retried"]


def test_a_step_is_tried_again_after_pauses_that_double_and_then_fails(shop: Shop) -> None:
    (shop.root / "data/orders.csv").unlink()
    shop.write("pipelines/orders.yaml", retried(3, 5))
    failed = shop.run("run", "orders", "--json", check=1).json
    assert failed["run"]["error"]["code"] == "extract.file_missing"
    assert [(line["attempt"], line["duration_ms"]) for line in retries(shop)] == [(1, 5), (2, 10), (3, 20)]


def test_a_step_that_works_at_a_later_try_makes_the_run_a_success_with_exact_rows(shop: Shop) -> None:
    orders = shop.read("data/orders.csv")
    (shop.root / "data/orders.csv").unlink()
    shop.write("pipelines/orders.yaml", retried(100, 100).replace("backoff: exp", "backoff: fixed"))
    with running(shop, "run", "orders", "--json", reached=lambda: bool(retries(shop))) as process:
        shop.write("data/new.csv", orders).rename(shop.root / "data/orders.csv")
        ran = shop.end(process).json
    assert (ran["run"]["status"], ran["run"]["rows_in"], ran["run"]["rows_out"]) == ("success", 3, 3)
    assert shop.read("out/by_customer.csv") == orders


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "json", "jsonl.zst", "parquet"])
def test_a_writer_killed_in_the_middle_leaves_the_old_file_and_its_rest_goes_with_the_next_run(
    shop: Shop, ending: str
) -> None:
    target = f"out/rows.{ending}"
    kind = WRITERS[ending]
    text = pipeline(FLOWING, write=target).replace("filesystem.csv_writer", f"filesystem.{kind}_writer")
    shop.write(target, "the old one")
    shop.write("pipelines/orders.yaml", text)

    def half_written() -> bool:
        return any(path.stat().st_size for path in shop.root.glob("out/.rows.*"))

    with running(shop, "run", "orders", reached=half_written) as process:
        process.kill()
        process.wait()
    assert shop.read(target) == b"the old one"
    shop.write("pipelines/orders.yaml", text.replace(FLOWING, "FROM df_orders"))
    shop.run("run", "orders")
    assert [path.name for path in (shop.root / "out").iterdir()] == [f"rows.{ending}"]
    assert shop.read(target) != b"the old one"
    assert shop.leftovers() == []


def test_null_is_not_empty_in_any_format_and_a_pattern_reads_every_file_of_one(shop: Shop) -> None:
    rows = "SELECT * FROM (VALUES (1, NULL, 'NULL'), (2, '', 'NA'), (3, ' ', '')) AS t(n, a, b)"
    shown = "SELECT n, coalesce('<' || a || '>', '-') AS a, coalesce('<' || b || '>', '-') AS b FROM input_df"
    write, read = pipeline(rows), 'oml_version: "0.1.0"\nname: read\nsteps:\n'
    for ending, kind in WRITERS.items():
        name = ending.replace(".", "-")
        write += f"""\
  - {{id: {name}, component: filesystem.{kind}_writer, mode: write, inputs: {{df: "${{by-customer.df}}"}},
     config: {{path: parts/1.{ending}}}}}
"""
        read += f"""\
  - {{id: {name}, component: filesystem.{kind}_extractor, mode: read, config: {{path: "parts/*.{ending}"}}}}
  - {{id: q-{name}, component: duckdb.processor, mode: transform, config: {{query: "{shown} ORDER BY ALL"}}}}
  - {{id: w-{name}, component: filesystem.csv_writer, mode: write, config: {{path: back/{name}.csv}}}}
"""
    shop.write("pipelines/write.yaml", write)
    shop.write("pipelines/read.yaml", read)
    shop.run("run", "write")
    for part in list((shop.root / "parts").iterdir()):
        shop.write(f"parts/2{part.name[1:]}", part.read_bytes())
    steps = shop.run("run", "read", "--json").json["steps"]
    assert {step["rows_out"] for step in steps} == {6}
    lines = ["1,-,<NULL>", "2,<>,<NA>", "3,< >,<>"]
    back = {path.name: path.read_text().splitlines() for path in (shop.root / "back").iterdir()}
    assert len(back) == len(WRITERS)
    assert list(back.values()) == [["n,a,b", *sorted(lines * 2)]] * len(WRITERS)
