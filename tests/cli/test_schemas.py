"""``docs/schemas`` is what the code says, and what every verb really prints is what the schemas say.

A new verb needs an example in ``EXAMPLES``, or a reason in ``NOT_RUN``.
"""

from __future__ import annotations

import copy
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import jsonschema
import pytest

from scripts.write_schemas import DOCS, FOLDER, documents, file_name, schemas
from tests.cli.shop import ENDLESS, Shop, new_shop, pipeline, running, step_started


class Example(NamedTuple):
    """A command in one of the projects of ``SCENES``, and how it ends."""

    scene: str
    args: str
    code: int = 0


EXAMPLES: dict[str, list[Example]] = {
    "init": [Example("fresh", "init made"), Example("fresh", "init made --example")],
    "compile": [Example("fresh", "compile orders"), Example("used", "compile orders -p prod")],
    "run": [
        Example("fresh", "run orders --tags billing,ml"),
        Example("used", "run --last-compile"),
        Example("failing", "run orders", 1),
        Example("resumable", "run --resume last"),
    ],
    "run --dry-run": [
        Example("fresh", "run orders --dry-run"),
        Example("used", "run orders --dry-run -p prod"),
        Example("resumable", "run --resume last --dry-run"),
    ],
    "runs list": [
        Example("fresh", "runs list"),
        Example("used", "runs list"),
        Example("failed", "runs list --status failed"),
        Example("killed", "runs list"),
    ],
    "runs diff": [Example("failed", "runs diff last"), Example("used", "runs diff last last")],
    "runs tag": [Example("used", "runs tag last --add golden"), Example("killed", "runs tag last --add odd")],
    "logs list": [Example("fresh", "logs list"), Example("killed", "logs list --all")],
    "logs show": [Example("used", "logs show last"), Example("killed", "logs show last --tail 1")],
    "logs show --events": [Example("failed", "logs show last --events"), Example("killed", "logs show last --events")],
    "logs show --metrics": [Example("used", "logs show last --metrics")],
    "aiop list": [Example("fresh", "aiop list"), Example("failed", "aiop list")],
    "aiop show": [
        Example("used", "aiop show last"),
        Example("failed", "aiop show last"),
        Example("settled", "aiop show last"),
    ],
    "aiop export": [Example("used", "aiop export last"), Example("settled", "aiop export last")],
    "runs show": [
        Example("used", "runs show last"),
        Example("failed", "runs show last"),
        Example("killed", "runs show last"),
    ],
    "pipelines list": [Example("fresh", "pipelines list"), Example("used", "pipelines list")],
    "pipelines show": [Example("used", "pipelines show orders"), Example("failed", "pipelines show orders")],
    "pipelines tag": [Example("used", "pipelines tag orders --add billing")],
    "oml validate": [
        Example("fresh", "oml validate orders"),
        Example("wrong", "oml validate orders wrong nowhere", 2),
    ],
    "components list": [Example("fresh", "components list")],
    "components show": [
        Example("fresh", "components show duckdb.processor"),
        Example("fresh", "components show filesystem.csv_extractor"),
    ],
    "connections list": [Example("fresh", "connections list"), Example("connected", "connections list")],
    "connections doctor": [
        Example("fresh", "connections doctor"),
        Example("connected", "connections doctor", 2),
    ],
    "discover": [
        Example("connected", "discover duckdb.shop"),
        Example("connected", "discover @duckdb.shop orders --oml"),
    ],
    "events": [Example("fresh", "events"), Example("used", "events"), Example("killed", "events --run last")],
    "index verify": [
        Example("fresh", "index verify"),
        Example("used", "index verify --against head.json"),
        Example("drifted", "index verify", 3),
        Example("torn", "index verify", 4),
    ],
    "index rebuild": [Example("fresh", "index rebuild"), Example("used", "index rebuild")],
    "index repair": [
        Example("used", "index repair"),
        Example("corrupt", "index repair --dry-run"),
        Example("corrupt", "index repair"),
    ],
    "index head": [Example("fresh", "index head"), Example("used", "index head")],
    "config show": [Example("fresh", "config show"), Example("fresh", "config show ids -p prod")],
    "repo ensureignore": [Example("fresh", "repo ensureignore")],
    "maintenance clean": [
        Example("fresh", "maintenance clean"),
        Example("failed", "maintenance clean --keep-runs 1"),
        Example("failed", "maintenance clean --keep-runs 1 --apply"),
    ],
    "completion": [Example("fresh", "completion bash")],
    "error": [
        Example("fresh", "rnus", 2),
        Example("fresh", "runs", 2),
        Example("fresh", "runs show last", 2),
        Example("wrong", "compile wrong", 2),
        Example("fresh", "events --run nope", 2),
        Example("corrupt", "runs list", 5),
        Example("used", "run orders --limit 3", 2),
        Example("used", "run --resume last", 2),
    ],
}
NOT_RUN: dict[str, str] = {}
"""Verbs whose output cannot be had in a temporary project, with the reason."""
STREAMS = frozenset({"events", "logs show --events", "logs show --metrics"})
"""Verbs that print any number of documents, one a line."""


def _failing(shop: Shop) -> None:
    shop.write("pipelines/orders.yaml", pipeline("SELECT customer::INT AS n FROM df_orders"))


def _failed(shop: Shop) -> None:
    _failing(shop)
    shop.run("run", "orders", check=1)


def _wrong(shop: Shop) -> None:
    shop.write("pipelines/wrong.yaml", 'oml_version: "0.1.0"\nname: wrong\nstepz: []\nsteps: [{id: a, mode: reed}]\n')


def _killed(shop: Shop) -> None:
    shop.write("pipelines/orders.yaml", pipeline(ENDLESS))
    with running(shop, "run", "orders", reached=step_started(shop, "write")) as process:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def _settled(shop: Shop) -> None:
    """A killed run whose end another command has recorded."""
    _killed(shop)
    shop.run("runs", "tag", "last", "--add", "odd")


def _resumable(shop: Shop) -> None:
    """A run that kept its rows failed, and nothing stands in the way of what it was to write any more."""
    shop.write("osiris.yaml", "runtime: {keep_step_outputs: true}\n")
    shop.write("pipelines/orders.yaml", pipeline("FROM df_orders", write="out/taken.csv"))
    taken = shop.root / "out" / "taken.csv"
    taken.mkdir()
    shop.run("run", "orders", check=1)
    taken.rmdir()


def _segment(shop: Shop) -> Path:
    return next((shop.root / ".osiris/journal").glob("*.ndjson"))


def _torn(shop: Shop) -> None:
    with _segment(shop).open("ab") as file:
        file.write(b'{"seq":')


def _corrupt(shop: Shop) -> None:
    first, second, *rest = _segment(shop).read_bytes().splitlines(True)
    _segment(shop).write_bytes(b"".join([first, second.replace(b"orders", b"orderz", 1), *rest]))


def _drifted(shop: Shop) -> None:
    shop.write(".osiris/index/runs.jsonl", "{}\n")
    shop.write(".osiris/index/stray.txt", "")


def _connected(shop: Shop) -> None:
    body = "{duckdb: {shop: {path: shop.duckdb}, none: {path: '${NOT_SET}'}}, odd: {one: {path: x}}}"
    shop.write("osiris_connections.yaml", f"connections: {body}\n")
    with duckdb.connect(str(shop.root / "shop.duckdb")) as con:
        con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY); CREATE VIEW one AS SELECT 1 AS n")


SCENES: dict[str, Callable[[Shop], object]] = {
    "connected": _connected,
    "fresh": lambda _: None,
    "used": lambda shop: shop.write("head.json", shop.run("index", "head").out),
    "failing": _failing,
    "failed": _failed,
    "wrong": _wrong,
    "killed": _killed,
    "settled": _settled,
    "resumable": _resumable,
    "torn": _torn,
    "corrupt": _corrupt,
    "drifted": _drifted,
}


@pytest.fixture
def scene(finished: Shop, tmp_path: Path) -> Callable[[str], Shop]:
    """A project by the name of its scene."""

    def made(name: str) -> Shop:
        fresh = name == "fresh"
        shop = new_shop(tmp_path / "shop") if fresh else Shop(shutil.copytree(finished.root, tmp_path / "shop"))
        SCENES[name](shop)
        return shop

    return made


def strict(typed: str) -> dict[str, Any]:
    """The published schema, but with no place for a field that it does not name."""
    schema: dict[str, Any] = copy.deepcopy(json.loads((FOLDER / file_name(typed)).read_text("utf-8")))
    for part in schema["$defs"].values():
        if "properties" in part:
            part["additionalProperties"] = False
    return schema


def printed(text: str) -> Iterator[Any]:
    """Every JSON document in ``text``, which holds nothing else."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        yield document
        at += len(text[at:]) - len(text[at:].lstrip())


CASES = [(typed, example) for typed, examples in EXAMPLES.items() for example in examples]


@pytest.mark.parametrize(("typed", "example"), CASES, ids=[f"{example.scene}: {example.args}" for _, example in CASES])
def test_what_a_verb_prints_is_what_its_schema_says_and_no_field_more(
    typed: str, example: Example, scene: Callable[[str], Shop]
) -> None:
    done = scene(example.scene).run(*example.args.split(), "--json", check=example.code)
    found = list(printed(done.out))
    assert typed in STREAMS or len(found) == 1
    for document in found:
        jsonschema.validate(document, strict(typed), jsonschema.Draft202012Validator)


def test_a_stream_that_an_error_ends_has_one_document_a_line_to_its_end(scene: Callable[[str], Shop]) -> None:
    *entries, last = scene("corrupt").run("events", "--json", check=5).lines
    assert [entry["seq"] for entry in entries] == [1]
    assert last["error"]["code"].startswith("journal.")


def test_every_document_has_an_example_or_a_reason() -> None:
    assert EXAMPLES.keys() | NOT_RUN.keys() == documents().keys()
    assert not EXAMPLES.keys() & NOT_RUN.keys()
    assert all(NOT_RUN.values())


def test_the_schemas_in_docs_are_those_of_the_code() -> None:
    published = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert published == schemas(), "run `make schemas`"


def test_every_schema_is_one_and_says_what_each_field_means() -> None:
    for name, text in schemas().items():
        schema = json.loads(text)
        jsonschema.Draft202012Validator.check_schema(schema)
        silent = [
            f"{part['title']}.{field}"
            for part in schema["$defs"].values()
            for field, its in part.get("properties", {}).items()
            if not its.get("description")
        ]
        assert silent == [], f"{name}: describe these in docs/json-fields.md"


def test_the_page_of_fields_names_none_that_is_not_printed() -> None:
    page = (DOCS / "json-fields.md").read_text("utf-8")
    fields = {
        known
        for text in schemas().values()
        for part in json.loads(text)["$defs"].values()
        for field in part.get("properties", {})
        for known in (field, f"{part['title']}.{field}")
    }
    for row in page[page.index("|---") :].splitlines()[1:]:
        for field in row.split("|")[1].replace("`", "").split(","):
            assert field.strip() in fields
