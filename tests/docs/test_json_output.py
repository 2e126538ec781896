"""Every verb and every object has its place in the documentation of the JSON output, and every verb in the help."""

from __future__ import annotations

import json
import re
from pathlib import Path

from osiris.cli.verb import READING_EXITS
from scripts.write_schemas import documents, schemas, verbs

PAGE = Path(__file__).parents[2] / "docs" / "json-output.md"


def shapes() -> dict[str, list[str]]:
    """The keys of each verb's document and of each object, in the order in which the page has them."""
    found = {}
    for name, text in re.findall(r"^- `([\w -]+)`: `\{(.*?)\}`", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        while text != (text := re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]", "", text)):
            pass
        found[name] = [part.split(":")[0].strip() for part in text.split(",")]
    return found


def test_the_page_has_every_document_and_every_object_with_its_fields_in_their_order_and_none_for_nothing() -> None:
    objects = {
        name: list(part["properties"])
        for text in schemas().values()
        for name, part in json.loads(text)["$defs"].items()
        if "properties" in part
    }
    printed = {typed: list(document.__struct_fields__) for typed, document in documents().items() if typed != "error"}
    inner = objects.keys() - {document.__name__ for document in documents().values()} - {"RunRecord"}
    assert shapes() == {**printed, **{name: objects[name] for name in inner | {"JournalHead"}}}


def test_every_object_that_the_page_speaks_of_is_one() -> None:
    spoken = set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", " ".join(re.findall(r"`(\{[^`]*)`", PAGE.read_text("utf-8")))))
    assert spoken
    assert spoken <= {*shapes(), "RunRecord"}


def test_no_line_of_the_page_is_wider_than_120_characters() -> None:
    assert [line for line in PAGE.read_text("utf-8").splitlines() if len(line) > 120] == []


def test_every_verb_has_examples_that_call_it_an_exit_status_and_json() -> None:
    for name, verb in verbs():
        assert verb.examples, name
        assert all(example.startswith(f"osiris {name}") for example in verb.examples), name
        assert {"--json", "--project"} <= {option for param in verb.params for option in param.opts}, name


def test_every_verb_that_asks_the_index_names_how_bringing_it_up_to_date_may_end() -> None:
    asking = {"compile", "runs list", "runs show", "pipelines list", "pipelines tag", "events"}
    asking |= {"runs diff", "runs tag", "logs list", "logs show", "pipelines show"}
    asking |= {"index verify", "index rebuild"}
    asking |= {"aiop list", "aiop show", "aiop export"}
    exits = {name: set(verb.exits) for name, verb in verbs()}
    assert all(set(READING_EXITS) <= exits[name] for name in asking)
