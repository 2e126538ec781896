"""Manifests run for real: rows, counts, and how stages go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from osiris.runner.results import RuntimeLimits
from tests.runner.pipelines import Diary, Step, read_csv, rows_of, run, select, write_csv


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text(
        "id,customer,amount\n" + "".join(f"{number},c{number % 7},{number}.50\n" for number in range(10_000))
    )
    (tmp_path / "customers.csv").write_text(
        "customer,city\n" + "".join(f"c{number},t{number}\n" for number in range(5))
    )
    return tmp_path


ORDERS = read_csv("orders", "orders.csv")
CUSTOMERS = read_csv("customers", "customers.csv")
TOTALS = "SELECT customer, sum(amount) AS total FROM input_df GROUP BY customer ORDER BY customer"


def test_rows_go_from_a_file_through_a_query_into_a_file(root: Path) -> None:
    diary = Diary()
    outcome = run(root, ORDERS, select("by", TOTALS, "orders"), write_csv("w", "out/totals.csv", "by"), listener=diary)
    assert outcome.status == "success"
    assert rows_of(outcome) == {"orders": (None, 10_000), "by": (10_000, 7), "w": (7, 7)}
    lines = (root / "out/totals.csv").read_text().splitlines()
    assert lines[:2] == ["customer,total", "c0,7142856.50"]
    assert outcome.steps[2].files[0].path == "out/totals.csv"
    assert diary.lines == ["started orders", "started by", "started w", "finished orders", "finished by", "finished w"]
    assert ("w", 7) in diary.counts


def test_the_work_folder_is_empty_afterwards(root: Path) -> None:
    run(root, ORDERS, write_csv("w1", "a.csv", "orders"), write_csv("w2", "b.csv", "orders"))
    assert list((root / ".osiris/cache/run-1").iterdir()) == []


def test_a_filter_does_not_change_what_an_extractor_read(root: Path) -> None:
    outcome = run(
        root, ORDERS, select("some", "FROM input_df WHERE id < 10", "orders"), write_csv("w", "o.csv", "some")
    )
    assert rows_of(outcome) == {"orders": (None, 10_000), "some": (10_000, 10), "w": (10, 10)}


def test_the_sides_of_a_join_are_counted_each(root: Path) -> None:
    join = select("j", "SELECT * FROM df_orders JOIN df_customers USING (customer)", "orders", "customers")
    outcome = run(root, ORDERS, CUSTOMERS, join, write_csv("w", "o.csv", "j"))
    counts = rows_of(outcome)
    assert (counts["orders"], counts["customers"]) == ((None, 10_000), (None, 5))
    assert counts["j"][0] == 10_005
    assert counts["j"][1] == counts["w"][1] == (root / "o.csv").read_text().count("\n") - 1


def test_a_table_joined_with_itself_is_counted_once(root: Path) -> None:
    twice = select("j", "SELECT a.id FROM input_df a JOIN input_df b USING (id)", "orders")
    assert rows_of(run(root, ORDERS, twice, write_csv("w", "o.csv", "j"))) == {
        "orders": (None, 10_000),
        "j": (10_000, 10_000),
        "w": (10_000, 10_000),
    }


def diamond(left: str, right: str, top: str) -> list[Step]:
    """Two queries over the orders, and a third over both."""
    return [ORDERS, select("l", left, "orders"), select("r", right, "orders"), select("j", top, "l", "r")]


def test_rows_that_two_branches_read_are_scanned_once(root: Path) -> None:
    few = "SELECT customer, count(*) AS few FROM input_df WHERE id < 70 GROUP BY customer"
    join = "SELECT customer, few, total FROM df_l JOIN df_r USING (customer) ORDER BY customer"
    outcome = run(root, *diamond(few, TOTALS, join), write_csv("w", "o.csv", "j"), write_csv("v", "p.csv", "j"))
    assert rows_of(outcome)["orders"] == (None, 10_000)
    assert rows_of(outcome)["j"] == (None, 7)
    lines = (root / "o.csv").read_text().splitlines()
    assert lines[:2] == ["customer,few,total", "c0,10,7142856.50"]
    assert lines == (root / "p.csv").read_text().splitlines()


def test_a_query_whose_rows_two_branches_read_is_computed_once(root: Path) -> None:
    numbered = select("n", "SELECT random() AS chance FROM input_df", "orders")
    same = select("s", "SELECT chance FROM input_df", "n")
    join = select("j", "SELECT count(*) AS hits FROM df_n SEMI JOIN df_s USING (chance)", "n", "s")
    outcome = run(root, ORDERS, numbered, same, join, write_csv("w", "o.csv", "j"))
    assert outcome.status == "success"
    assert (root / "o.csv").read_text().splitlines() == ["hits", "10000"]


def test_a_wrong_guess_about_shared_rows_is_corrected(root: Path) -> None:
    with (root / "orders.csv").open("a") as file:
        file.write("x1,c1,n/a\n")
    left, right = "SELECT max(id) AS last FROM input_df", "SELECT max(amount) AS most FROM input_df"
    outcome = run(root, *diamond(left, right, "SELECT * FROM df_l, df_r"), write_csv("w", "o.csv", "j"))
    assert (root / "o.csv").read_text().splitlines() == ["last,most", "x1,n/a"]
    assert rows_of(outcome)["orders"] == (None, 10_001)


def test_branches_that_stop_reading_leave_the_count_of_shared_rows_open(root: Path) -> None:
    some = "SELECT id FROM input_df LIMIT 3"
    outcome = run(root, *diamond(some, some, "SELECT * FROM df_l UNION ALL FROM df_r"), write_csv("w", "o.csv", "j"))
    assert rows_of(outcome)["orders"][1] in (None, 10_000)
    assert rows_of(outcome)["w"] == (6, 6)


def test_a_failure_in_a_branch_of_shared_rows_is_the_fault_of_that_branch(root: Path) -> None:
    wrong = "SELECT id,\n  customer::INT AS number FROM input_df"
    outcome = run(
        root, *diamond("FROM input_df", wrong, "FROM df_l JOIN df_r USING (id)"), write_csv("w", "o.csv", "j")
    )
    assert outcome.error is not None
    assert (outcome.error.step, outcome.error.code) == ("r", "transform.sql_conversion")


def test_two_extractors_of_one_file_count_the_same(root: Path) -> None:
    join = select("j", "SELECT a.id FROM df_orders a JOIN df_again b USING (id) WHERE a.id < 5", "orders", "again")
    outcome = run(root, ORDERS, read_csv("again", "orders.csv"), join, write_csv("w", "o.csv", "j"))
    assert rows_of(outcome)["orders"] == rows_of(outcome)["again"] == (None, 10_000)


def test_a_count_that_nobody_made_is_not_guessed(root: Path) -> None:
    first, second = select("p", "FROM input_df WHERE id < 10", "orders"), select("q", "FROM input_df LIMIT 3", "p")
    outcome = run(root, ORDERS, first, second, write_csv("w", "o.csv", "q"))
    assert rows_of(outcome) == {"orders": (None, None), "p": (None, None), "q": (None, 3), "w": (3, 3)}


def test_a_join_that_ends_early_leaves_counts_open(root: Path) -> None:
    nobody = "SELECT o.id FROM df_orders o JOIN (FROM df_customers WHERE city = 'none') c USING (customer)"
    outcome = run(root, ORDERS, CUSTOMERS, select("j", nobody, "orders", "customers"), write_csv("w", "o.csv", "j"))
    assert rows_of(outcome)["orders"][1] in (None, 10_000)
    assert rows_of(outcome)["w"] == (0, 0)


def test_a_parquet_source_says_its_rows_itself(root: Path) -> None:
    store = Step(id="store", component="filesystem.parquet_writer", config={"path": "o.parquet"}, reads=("orders",))
    run(root, ORDERS, store)
    source = Step(id="e", component="filesystem.parquet_extractor", config={"path": "o.parquet"})
    few = select("few", "SELECT id FROM input_df WHERE id > 9990 LIMIT 4", "e")
    assert rows_of(run(root, source, few, write_csv("w", "o.csv", "few"))) == {
        "e": (None, 10_000),
        "few": (10_000, 4),
        "w": (4, 4),
    }


def test_rows_for_several_consumers_are_computed_once_and_counted(root: Path) -> None:
    outcome = run(
        root,
        ORDERS,
        select("numbered", "SELECT *, uuid() AS token FROM input_df", "orders"),
        select("some", "FROM input_df WHERE id % 2 = 0", "numbered"),
        write_csv("w1", "all.csv", "numbered"),
        write_csv("w2", "some.csv", "some"),
    )
    assert rows_of(outcome) == {
        "orders": (None, 10_000),
        "numbered": (10_000, 10_000),
        "some": (10_000, 5_000),
        "w1": (10_000, 10_000),
        "w2": (5_000, 5_000),
    }
    everything = (root / "all.csv").read_text().splitlines()
    assert set((root / "some.csv").read_text().splitlines()) <= set(everything)


def test_types_survive_between_stages(root: Path) -> None:
    rich = """SELECT 170141183460469231731687303715884105727::HUGEINT AS h, TIMETZ '10:00:00+02' AS t,
        INTERVAL '1 month 4 microseconds' AS i, '0101'::BIT AS b, 'x'::ENUM('x', 'y') AS e,
        TIMESTAMP_S '2024-01-05 10:00:00' AS s, [1::HUGEINT] AS l, NULL AS n, '' AS empty, '00501' AS zip"""
    shown = "SELECT typeof(COLUMNS(*)) FROM input_df UNION ALL SELECT COLUMNS(*)::VARCHAR FROM input_df"
    run(
        root,
        select("rich", rich),
        select("far", shown, "rich"),
        write_csv("w1", "far.csv", "far"),
        write_csv("w2", "x.csv", "rich"),
    )
    run(root, select("rich", rich), select("near", shown, "rich"), write_csv("w1", "near.csv", "near"))
    far, near = ((root / name).read_text().splitlines() for name in ("far.csv", "near.csv"))
    assert far[2] == near[2]
    assert far[1].split(",")[:7] == near[1].split(",")[:7]


def test_stages_that_wait_for_nobody_run_at_the_same_time(root: Path) -> None:
    steps: list[Step] = []
    for number in range(12):
        steps += [
            read_csv(f"e{number}", "orders.csv"),
            select(f"p{number}", f"SELECT id + {number} AS id FROM input_df", f"e{number}"),
            write_csv(f"w{number}", f"out/{number}.csv", f"p{number}"),
        ]
    outcome = run(root, *steps)
    assert outcome.status == "success"
    assert [(root / f"out/{number}.csv").read_text().splitlines()[1] for number in range(12)] == [
        str(number) for number in range(12)
    ]


def test_column_order_and_row_order_are_the_query_s(root: Path) -> None:
    ordered = select("p", "SELECT customer AS z, id AS a FROM input_df ORDER BY id DESC", "orders")
    run(root, ORDERS, ordered, write_csv("w", "o.csv", "p"))
    lines = (root / "o.csv").read_text().splitlines()
    assert lines[0] == "z,a"
    assert [int(line.split(",")[1]) for line in lines[1:]] == list(range(9_999, -1, -1))


def test_a_wrong_guess_is_corrected_while_the_pipeline_runs(root: Path) -> None:
    (root / "zips.csv").write_text(
        "zip,n\n" + "".join(f"{number},1\n" for number in range(10_000, 20_000)) + "00501,2.5\n"
    )
    query = "SELECT zip, n + 1 AS n FROM input_df ORDER BY zip LIMIT 1"
    outcome = run(root, read_csv("e", "zips.csv"), select("p", query, "e"), write_csv("w", "o.csv", "p"))
    assert outcome.status == "success"
    assert (root / "o.csv").read_text() == "zip,n\n00501,3.5\n"
    assert rows_of(outcome)["e"][1] == 10_001


def test_a_wrong_guess_behind_a_filter_is_corrected_too(root: Path) -> None:
    rows = "".join(f"{number},eu\n" for number in range(10_000))
    (root / "zips.csv").write_text(f"zip,region\n{rows}00501,us\n")
    query = "SELECT zip FROM input_df WHERE region = 'eu' AND zip = '7'"
    run(root, read_csv("e", "zips.csv"), select("p", query, "e"), write_csv("w", "o.csv", "p"))
    assert (root / "o.csv").read_text() == "zip\n7\n"


def test_a_wrong_guess_is_corrected_when_only_binding_fails(root: Path) -> None:
    rows = "".join(f"{number},\n" for number in range(10_000))
    (root / "sparse.csv").write_text(f"a,b\n{rows}1,2.5\n")
    query = "SELECT sum(b) AS b FROM input_df"
    outcome = run(root, read_csv("e", "sparse.csv"), select("p", query, "e"), write_csv("w", "o.csv", "p"))
    assert outcome.status == "success", outcome.error
    assert (root / "o.csv").read_text() == "b\n2.5\n"


def test_an_input_larger_than_the_memory_limit_is_spilled(root: Path) -> None:
    wide = select("wide", "SELECT range AS id, repeat(range::VARCHAR, 20) AS text FROM range(1_000_000)")
    order = select("p", "FROM input_df ORDER BY text DESC", "wide")
    outcome = run(root, wide, order, write_csv("w", "o.csv", "p"), limits=RuntimeLimits(memory_limit="60MB"))
    assert outcome.status == "success", outcome.error
    assert rows_of(outcome)["w"] == (1_000_000, 1_000_000)
