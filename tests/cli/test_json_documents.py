"""With ``--json`` every verb prints exactly one document, with the fields that ``docs/json-output.md`` names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shop import Shop
from tests.docs.test_json_output import shapes

DOCS = Path(__file__).parents[2] / "docs"
STEP = "StepSummary"


def documented(name: str) -> set[str]:
    """The keys of the object in ``docs/json-output.md`` that describes ``name``, a verb or an object."""
    return set(shapes()[name])


def record_keys() -> list[str]:
    """The fields of a run record in their order, from the table in ``docs/index-files.md``."""
    page = (DOCS / "index-files.md").read_text("utf-8")
    table = page[page.index("| field, in this order") :].split("\n\n")[0]
    return re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))


@pytest.mark.parametrize(
    ("verb", "args", "code"),
    [
        ("compile", ("compile", "orders"), 0),
        ("run", ("run", "orders"), 0),
        ("run --dry-run", ("run", "orders", "--dry-run"), 0),
        ("runs list", ("runs", "list"), 0),
        ("runs show", ("runs", "show", "last"), 0),
        ("runs diff", ("runs", "diff", "last", "last"), 0),
        ("runs tag", ("runs", "tag", "last", "--add", "golden"), 0),
        ("logs list", ("logs", "list"), 0),
        ("logs show", ("logs", "show", "last"), 0),
        ("aiop list", ("aiop", "list"), 0),
        ("aiop show", ("aiop", "show", "last"), 0),
        ("aiop export", ("aiop", "export", "last"), 0),
        ("pipelines list", ("pipelines", "list"), 0),
        ("pipelines show", ("pipelines", "show", "orders"), 0),
        ("pipelines tag", ("pipelines", "tag", "orders", "--add", "billing"), 0),
        ("config show", ("config", "show", "ids"), 0),
        ("repo ensureignore", ("repo", "ensureignore"), 0),
        ("maintenance clean", ("maintenance", "clean"), 0),
        ("index verify", ("index", "verify"), 0),
        ("index rebuild", ("index", "rebuild"), 0),
        ("index head", ("index", "head"), 0),
        ("oml validate", ("oml", "validate", "orders", "pipelines/orders.yaml"), 0),
        ("oml validate", ("oml", "validate", "nothing"), 2),
        ("components list", ("components", "list"), 0),
        ("components show", ("components", "show", "duckdb.processor"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_verb_prints_one_document_with_the_documented_keys(
    used: Shop, verb: str, args: tuple[str, ...], code: int
) -> None:
    result = used.run(*args, "--json", check=code)
    assert result.json.keys() == documented(verb)
    assert result.err == ""


def test_json_may_stand_before_the_verb_as_well(used: Shop) -> None:
    assert used.run("--json", "runs", "list").json.keys() == {"runs"}


def test_init_says_where_and_what_it_made(tmp_path: Path) -> None:
    document = Shop(tmp_path).run("init", "shop", "--example", "--json").json
    assert document.keys() == documented("init")
    assert document["project"] == str(tmp_path / "shop")
    assert all((tmp_path / "shop" / path).is_file() for path in document["created"])


def test_events_prints_one_document_a_line(used: Shop) -> None:
    lines = used.run("events", "--json").lines
    assert all(line.keys() == documented("events") for line in lines)
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert [line["event"] for line in lines] == used.journal()


def test_a_run_record_has_the_documented_fields_in_their_order_wherever_it_is_shown(used: Shop) -> None:
    ran = used.run("run", "orders", "--json").json
    shown = used.run("runs", "show", "last", "--json").json
    listed = used.runs()[0]
    assert list(listed) == record_keys()
    assert shown["run"] == ran["run"] == listed
    assert shown["steps"] == ran["steps"]


def test_a_step_has_the_documented_fields_and_exact_counts(used: Shop) -> None:
    steps: list[dict[str, Any]] = used.run("run", "orders", "--json").json["steps"]
    assert all(step.keys() == documented(STEP) for step in steps)
    assert [(step["id"], step["status"], step["rows_in"], step["rows_out"]) for step in steps] == [
        ("orders", "success", None, 3),
        ("by-customer", "success", 3, 2),
        ("write", "success", 2, 2),
    ]


def test_a_compile_names_the_build_the_manifest_and_the_pointer(used: Shop) -> None:
    document = used.run("compile", "orders", "--json").json
    pointer = (used.root / document["pointer"]).read_text().splitlines()
    assert pointer == [document["manifest_path"], document["manifest_hash"], document["profile"]]
    assert document["manifest_path"] == document["build_path"] + "/manifest.yaml"
    assert document["manifest_hash"].startswith(document["manifest_short"])
    assert (used.root / document["manifest_path"]).is_file()


def test_paths_in_documents_are_relative_and_times_are_utc(used: Shop) -> None:
    out = used.run("runs", "list", "--json", env={"TZ": "Asia/Kolkata"}).out
    assert str(used.root) not in out
    [record] = used.runs()
    assert record["started_at"].endswith("Z")
    assert all((used.root / record[name]).exists() for name in ("run_logs_path", "aiop_path", "build_manifest_path"))


def test_runs_can_be_filtered_and_limited(used: Shop) -> None:
    used.run("run", "orders", "-p", "prod", "--tags", "ml")
    used.run("run", "orders", "--param", "minimum=5")

    def count(*options: str) -> int:
        return len(used.run("runs", "list", "--json", *options).json["runs"])

    assert count() == 3
    assert count("--profile", "prod") == count("--tag", "ml") == count("--limit", "1") == 1
    assert count("--pipeline", "orders", "--status", "success", "--since", "1h") == 3
    assert count("--status", "failed") == count("--since", "2999-01-01") == 0
    unknown = used.run("runs", "list", "--json", "--pipeline", "order", check=2).json["error"]
    assert (unknown["code"], unknown["hint"]) == ("pipeline.unknown", "Did you mean 'orders'?")
