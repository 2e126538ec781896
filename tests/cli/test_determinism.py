"""The same pipeline gives the bytes that it always gave; what counts gives others. See ``test_parity`` for places."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.shop import ORDERS, Shop

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


def test_a_byte_flipped_in_any_file_of_a_build_stops_a_run_of_it(used: Shop) -> None:
    [build] = used.root.glob("build/pipelines/dev/orders/*")
    for path in sorted(path for path in build.rglob("*") if path.is_file()):
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        error, hint = used.run("run", "orders", check=2).err.splitlines()
        assert path.name in error
        assert "osiris compile" in hint
        path.write_bytes(content)
    used.run("run", "orders")


def test_a_build_of_which_files_are_missing_is_refused(used: Shop) -> None:
    [build] = used.root.glob("build/pipelines/dev/orders/*")
    (build / "plan.json").unlink()
    assert "plan.json is missing" in used.run("run", "orders", check=2).err
    shutil.rmtree(build)
    assert "compiled" in used.run("run", "orders").err
