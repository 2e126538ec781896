"""A run that fails is recorded with the reason, and leaves the old output whole."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.cli.shop import BY_CUSTOMER, ORDERS, Shop, pipeline


class Case(NamedTuple):
    """``step``, ``line`` and ``says`` are what the error names; ``line`` is the query's own, 0 for none."""

    name: str
    text: str
    code: str
    step: str
    line: int
    says: str


CASES = [
    Case("missing input", ORDERS.replace("orders.csv", "order.csv"), "extract.file_missing", "orders", 0, "order.csv"),
    Case("syntax", pipeline("SELECT *\nFROM df_orders\nGROP BY 1"), "transform.sql_syntax", "by-customer", 3, '"BY"'),
    Case("name", pipeline("SELECT\n  amont\nFROM df_orders"), "transform.sql_binding", "by-customer", 2, "amont"),
    Case("table", pipeline("SELECT *\nFROM df_order"), "transform.sql_catalog", "by-customer", 2, "df_order"),
    Case("cast", pipeline("SELECT customer::INT FROM df_orders"), "transform.sql_conversion", "by-customer", 0, "Ada"),
    Case(
        "overflow",
        pipeline("SELECT 9223372036854775807 + order_id AS n FROM df_orders"),
        "transform.sql_out_of_range",
        "by-customer",
        0,
        "Overflow",
    ),
    Case(
        "raised by the query",
        pipeline("SELECT CASE WHEN amount = 0 THEN 1 ELSE error('amount of ' || customer) END AS x FROM df_orders"),
        "transform.sql_invalid_input",
        "by-customer",
        0,
        "amount of Ada",
    ),
    Case("not a SELECT", pipeline("DROP TABLE x"), "transform.sql_not_a_select", "by-customer", 0, "DROP"),
    Case("a folder", pipeline("FROM df_orders", write="data"), "write.unwritable", "write", 0, "it is a folder"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_run_that_fails_says_why_and_leaves_the_old_output_whole(used: Shop, case: Case) -> None:
    used.write("pipelines/orders.yaml", case.text)
    document = used.run("run", "orders", "--json", check=1).json
    error = document["run"]["error"]
    assert (error["code"], error["step"], error["line"]) == (case.code, case.step, case.line)
    assert case.says in error["message"]
    assert error["hint"]
    assert document["run"]["status"] == "failed"
    assert next(step["id"] for step in document["steps"] if step["status"] == "failed") == case.step

    assert used.runs()[0] == document["run"]
    assert used.read("out/by_customer.csv") == BY_CUSTOMER
    assert used.leftovers() == []
    assert (used.root / "data" / "orders.csv").is_file()


def test_a_failed_run_ends_with_one_error_line_and_one_hint(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT\n  amont\nFROM df_orders"))
    lines = used.run("run", "orders", check=1).err.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == [lines[-2]]
    assert lines[-2].startswith("error: step by-customer, line 2, column 3: ")
    assert lines[-1].startswith("Try: ")
    shown = used.run("runs", "show", "last").out
    assert "transform.sql_binding (step by-customer, line 2, column 3)" in shown


def test_a_failure_in_one_branch_leaves_no_output_of_the_others_half_written(used: Shop) -> None:
    used.write("out/second.csv", "old\n")
    second = """\
  - {id: boom, component: duckdb.processor, mode: transform, needs: [orders],
     config: {query: "SELECT customer::INT AS n FROM df_orders"}}
  - {id: write-boom, component: filesystem.csv_writer, mode: write, inputs: {df: "${boom.df}"},
     config: {path: out/second.csv}}
"""
    used.write("pipelines/orders.yaml", ORDERS + second)
    failed = used.run("run", "orders", "--json", check=1).json
    assert failed["run"]["error"]["step"] == "boom"
    assert used.read("out/second.csv") == b"old\n"
    assert used.read("out/by_customer.csv") == BY_CUSTOMER
    assert used.leftovers() == []


def test_two_writers_of_one_file_are_refused_before_anything_is_written(used: Shop) -> None:
    twice = '  - {id: again, component: filesystem.csv_writer, mode: write, inputs: {df: "${orders.df}"},\n'
    used.write("pipelines/orders.yaml", ORDERS + twice + "     config: {path: ./out/../out/by_customer.csv}}\n")
    refused = used.run("run", "orders", check=None)
    assert refused.code in {1, 2}
    assert "by_customer.csv" in refused.err
    assert used.read("out/by_customer.csv") == BY_CUSTOMER
    used.run("index", "verify")


def test_a_pipeline_may_replace_the_file_that_it_reads(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT * FROM df_orders WHERE amount > 3", write="data/orders.csv"))
    used.run("run", "orders")
    assert used.read("data/orders.csv") == b"order_id,customer,amount,zip\n1,Ada,10.50,00501\n2,Grace,7.25,10115\n"


def test_a_step_that_takes_too_long_fails_by_its_timeout(used: Shop) -> None:
    slow = pipeline("SELECT count(*) AS n FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = -1")
    used.write(
        "pipelines/orders.yaml", slow.replace("    config:\n      query", "    timeout: 1s\n    config:\n      query")
    )
    error = used.run("run", "orders", "--json", check=1).json["run"]["error"]
    assert (error["code"], error["step"]) == ("runtime.timeout", "by-customer")
    assert used.read("out/by_customer.csv") == BY_CUSTOMER


def test_a_csv_row_that_does_not_fit_is_named_by_file_and_line(used: Shop) -> None:
    used.write("data/orders.csv", "a,b\n1,2\n3,4,5\n")
    used.write("pipelines/orders.yaml", pipeline("FROM df_orders"))
    error = used.run("run", "orders", "--json", check=1).json["run"]["error"]
    assert error["step"] == "orders"
    assert "orders.csv" in error["message"]
    assert "line 3" in error["message"]


def test_nothing_that_a_failed_run_records_says_where_the_project_lies(used: Shop) -> None:
    used.write("data/orders.csv", used.read("data/orders.csv") + b"4,Ada\n")
    used.run("run", "orders", check=1)
    used.write("pipelines/orders.yaml", ORDERS.replace("by_customer.csv", "none/x.csv"))
    used.write("out/none", "a file where the folder should be")
    used.run("run", "orders", check=1)
    recorded = [path for room in ("run_logs", "aiop", ".osiris") for path in used.root.glob(f"{room}/**/*")]
    assert [str(path) for path in recorded if path.is_file() and str(used.root).encode() in path.read_bytes()] == []


def test_a_value_of_a_megabyte_in_an_error_does_not_keep_the_end_from_being_recorded(shop: Shop) -> None:
    shop.write("data/orders.csv", "a,b\n1," + "x" * 1_500_000 + "\n")
    shop.write("pipelines/orders.yaml", pipeline("SELECT CAST(b AS INTEGER) AS b FROM input_df"))
    document = shop.run("run", "orders", "--json", check=1).json
    assert document["run"]["status"] == "failed"
    assert document["run"]["error"]["code"].startswith("transform.")
    assert shop.runs()[0]["status"] == "failed"


@pytest.mark.parametrize(("right", "damaged"), [(b'"run_id"', b'"run_ix"'), (b"success", b"succ\xff\xfes")])
def test_a_damaged_index_does_not_keep_a_runs_end_from_being_recorded(used: Shop, right: bytes, damaged: bytes) -> None:
    used.runs()  # the index of a project that was copied is compared once; from now on it is at home
    [path] = (used.root / ".osiris/index/by_pipeline").iterdir()
    path.write_bytes(path.read_bytes().replace(right, damaged))
    slug = path.stem
    done = used.run("run", slug)
    assert "not compared" in done.err
    last = used.journal()[-1]
    assert (last["type"], last["status"]) == ("run.finished", "success")


def test_a_line_of_the_index_that_is_not_text_is_named_and_a_tag_of_that_run_mends_it(used: Shop) -> None:
    [run] = used.runs()
    path = used.root / ".osiris/index/by_pipeline/orders.jsonl"
    path.write_bytes(path.read_bytes().replace(b"success", b"succ\xff\xfes"))
    assert "is no run record" in used.run("runs", "list", "--pipeline", "orders", check=3).err
    assert "rebuilding it" in used.run("runs", "tag", run["run_id"], "--add", "kept").err
    assert used.runs()[0]["tags"] == ["kept"]
    used.run("index", "verify")
