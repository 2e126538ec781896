"""The same pipeline gives the same bytes, whoever compiles it, where and when."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.shop import ORDERS, Shop, new_shop

GOLDEN = Path(__file__).parents[1] / "golden" / "build_dev_orders"
ELSEWHERE = {
    "TZ": "Pacific/Kiritimati",
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "4711",
    "USER": "somebody",
    "LOGNAME": "somebody",
    "HOME": "/nonexistent",
    "HOSTNAME": "elsewhere",
    "SOURCE_DATE_EPOCH": "1",
}
REORDERED = """\
# The same pipeline, written by somebody else.
steps:
  - component: filesystem.csv_extractor
    config: {"path": 'data/orders.csv'}
    id: orders
    mode: read
  - {id: by-customer, mode: "transform", component: duckdb.processor,   # in one line
     config: {query: "SELECT customer, sum(amount) AS total\\nFROM df_orders WHERE amount >= ${params.minimum} GROUP BY ALL ORDER BY customer\\n"}}
  - id: write

    component: filesystem.csv_writer
    mode: write
    config:
      path: >-
        out/by_customer.csv
name: "orders"
params:
  minimum:
    default: 0
    type: float
oml_version: '0.1.0'
"""  # noqa: E501 - the query on one line is the point


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_build_is_byte_for_byte_the_one_that_was_kept(tmp_path: Path) -> None:
    """A change here is a change of every manifest hash. If it is meant, put the new tree in place of the old one."""
    shop = Shop(shutil.copytree(GOLDEN / "project", tmp_path / "shop"))
    shop.run("compile", "orders", env=ELSEWHERE)
    kept = files(GOLDEN / "build")
    names = {Path(name).name for name in kept}
    assert {"manifest.yaml", "plan.json", "fingerprints.json", "run_summary.json", "by-customer.json"} <= names
    assert files(shop.root / "build") == kept


def test_two_people_in_two_places_at_two_times_get_the_same_build(tmp_path: Path) -> None:
    here, there = new_shop(tmp_path / "here"), new_shop(tmp_path / "far" / "away, über there")
    here.run("run", "orders", env={"PYTHONHASHSEED": "1"})
    there.run("run", "orders", env=ELSEWHERE)
    assert files(here.root / "build") == files(there.root / "build") != {}
    written = b"".join(files(here.root / "build").values())
    assert str(here.root).encode() not in written
    assert here.read("out/by_customer.csv") == there.read("out/by_customer.csv")


def test_comments_layout_and_the_order_of_keys_do_not_change_a_build(tmp_path: Path) -> None:
    one, other = new_shop(tmp_path / "one"), new_shop(tmp_path / "other")
    other.write("pipelines/orders.yaml", REORDERED)
    one.run("compile", "orders")
    other.run("compile", "orders")
    assert files(one.root / "build") == files(other.root / "build")


@pytest.mark.parametrize(
    "change",
    [("default: 0", "default: 1"), ("by_customer.csv", "by_client.csv"), ("ORDER BY customer", "ORDER BY 1")],
    ids=["parameter", "config", "query"],
)
def test_what_counts_changes_the_hash(used: Shop, change: tuple[str, str]) -> None:
    before = used.runs()[0]["manifest_hash"]
    used.write("pipelines/orders.yaml", ORDERS.replace(*change))
    assert used.run("compile", "orders", "--json").json["manifest_hash"] != before


def test_a_copy_of_the_build_is_the_build(used: Shop, tmp_path: Path) -> None:
    [build] = used.root.glob("build/pipelines/dev/orders/*")
    used.run("compile", "orders", "--out", tmp_path / "dist")
    assert files(tmp_path / "dist") == files(build)


@pytest.mark.parametrize("name", ["cfg/by-customer.json", "plan.json", "manifest.yaml", "run_summary.json", "added"])
def test_an_edited_build_is_refused_with_the_name_of_the_file(used: Shop, name: str) -> None:
    [build] = used.root.glob("build/pipelines/dev/orders/*")
    with (build / name).open("a") as file:
        file.write(" ")
    journal = used.journal()
    commands = [
        ("run", "orders"),
        ("run", str(build / "manifest.yaml")),
        ("run", "--last-compile"),
        ("compile", "orders"),
    ]
    for result in used.all(*commands, check=2):
        error, hint = result.err.splitlines()
        assert name in error
        assert hint.startswith("Try: ")
    assert used.journal() == journal


def test_a_build_of_which_files_are_missing_is_refused(used: Shop) -> None:
    [build] = used.root.glob("build/pipelines/dev/orders/*")
    (build / "plan.json").unlink()
    assert "plan.json is missing" in used.run("run", "orders", check=2).err
    shutil.rmtree(build)
    assert "compiled" in used.run("run", "orders").err
