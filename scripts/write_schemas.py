"""Write the JSON Schemas of all documents that Osiris prints to ``docs/schemas``: ``make schemas``.

Types come from the Structs, descriptions of fields from the tables in ``docs/json-fields.md`` and
``docs/index-files.md``. A file is named after its verb, ``runs-list.json``; ``error.json`` is that of every error.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from osiris.cli.main import COMMANDS, cli
from osiris.cli.output import ErrorDocument
from osiris.cli.verb import Verb

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "schemas"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def verbs() -> Iterator[tuple[str, Verb]]:
    """Every verb of the command line as it is typed, ``runs list``."""
    context = click.Context(cli)
    for noun in COMMANDS:
        command = cli.get_command(context, noun)
        named = command.list_commands(context) if isinstance(command, click.Group) else [""]
        for name in named:
            verb = command.get_command(context, name) if isinstance(command, click.Group) else command
            assert isinstance(verb, Verb), f"{noun} {name}"
            yield f"{noun} {name}".strip(), verb


def documents() -> dict[str, type[msgspec.Struct]]:
    """What is printed, by what is typed: verbs, verbs with an option that changes the document, and ``error``."""
    found: dict[str, type[msgspec.Struct]] = {}
    for name, verb in verbs():
        found[name] = verb.document
        found |= {f"{name} {option}": document for option, document in verb.variants.items()}
    return {**found, "error": ErrorDocument}


def file_name(typed: str) -> str:
    """``run --dry-run`` as ``run-dry-run.json``."""
    return re.sub(r"[^a-z]+", "-", typed) + ".json"


def descriptions() -> dict[str, str]:
    """The meaning of each field, by its name or by ``Struct.field``."""
    found: dict[str, str] = {}
    for page in ("index-files.md", "json-fields.md"):
        for table in re.findall(r"^\| field.*\n\|[-|]+\|\n((?:\|.*\n)+)", (DOCS / page).read_text("utf-8"), re.M):
            for row in table.splitlines():
                names, meaning = row.strip("| ").split(" | ", 1)
                found |= dict.fromkeys(re.findall(r"`([\w.]+)`", names), meaning.replace("`", ""))
    return found


def schema(typed: str, document: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of one document. All fields are always there but those that may be unset.

    The document's own are left out, too, where its Struct says that about what says nothing.
    """
    meanings = descriptions()
    made = msgspec.json.schema(document)
    for name, part in made["$defs"].items():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
        if "properties" in part and not (name == document.__name__ and document.__struct_config__.omit_defaults):
            unset = set(part["properties"]) - set(part.get("required", ()))
            unset -= {field for field, its in part["properties"].items() if "default" in its}
            part["required"] = [field for field in part["properties"] if field not in unset]
        for field, its in part.get("properties", {}).items():
            its.pop("default", None)
            meaning = meanings.get(f"{name}.{field}") or meanings.get(field)
            if meaning:
                its.setdefault("description", meaning)
    title = "an error" if typed == "error" else f"osiris {typed}"
    return {"$schema": _DRAFT, "title": f"{title} --json", **made}


def schemas() -> dict[str, str]:
    """The content of every file in ``docs/schemas``, by its name."""
    made = {file_name(typed): schema(typed, document) for typed, document in documents().items()}
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in made.items()}


def write() -> None:
    """Bring ``docs/schemas`` up to date; the files of verbs that are gone go, too."""
    FOLDER.mkdir(exist_ok=True)
    wanted = schemas()
    for path in FOLDER.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (FOLDER / name).write_text(content, "utf-8")


if __name__ == "__main__":
    write()
