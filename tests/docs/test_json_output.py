"""Every verb has its place in the documentation of the JSON output, and in the help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from osiris.cli.main import COMMANDS, cli
from osiris.cli.verb import READING_EXITS, Verb

PAGE = Path(__file__).parents[2] / "docs" / "json-output.md"


def verbs() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for noun in COMMANDS:
        command = cli.get_command(context, noun)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{noun} {name}", verb) for name, verb in command.commands.items())
        else:
            yield noun, command


def test_every_verb_has_a_row_in_the_page_about_json_and_none_is_there_for_nothing() -> None:
    rows = set(re.findall(r"^\| `([a-z ]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert rows == {name for name, _ in verbs()}


def test_every_verb_has_examples_that_call_it_an_exit_status_and_json() -> None:
    for name, verb in verbs():
        assert isinstance(verb, Verb), name
        assert verb.examples, name
        assert all(example.startswith(f"osiris {name}") for example in verb.examples), name
        assert {"--json", "--project"} <= {option for param in verb.params for option in param.opts}, name


def test_every_verb_that_asks_the_index_names_how_bringing_it_up_to_date_may_end() -> None:
    asking = {"compile", "runs list", "runs show", "pipelines list", "pipelines tag", "events"}
    asking |= {"runs diff", "runs tag", "logs list", "logs show", "pipelines show"}
    asking |= {"index verify", "index rebuild"}
    asking |= {"aiop list", "aiop show", "aiop export"}
    exits = {name: set(verb.exits) for name, verb in verbs() if isinstance(verb, Verb)}
    assert all(set(READING_EXITS) <= exits[name] for name in asking)
