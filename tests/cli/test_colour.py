"""Colour is for people at a terminal who did not say no; whatever is piped is plain."""

from __future__ import annotations

import re

import pytest

from tests.cli.shop import Shop
from tests.cli.test_progress import shown_on_terminal

STYLE = "\x1b["


def on_terminal(shop: Shop, *args: str, **variables: str) -> str:
    """All that a command shows on a terminal of 200 columns."""
    return shown_on_terminal(shop, *args, until=None, **{"COLUMNS": "200", **variables})[1]


def test_a_terminal_shows_a_table_with_colour(used: Shop) -> None:
    shown = on_terminal(used, "runs", "list")
    assert re.search(r"\x1b\[32msuccess\x1b\[0m", shown)
    assert "\t" not in shown


@pytest.mark.parametrize(
    ("options", "variables"), [((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"}), (("--no-color",), {})]
)
def test_colour_can_be_turned_off(used: Shop, options: tuple[str, ...], variables: dict[str, str]) -> None:
    for args in (("runs", "list"), ("runs", "show", "last"), ("index", "verify"), ("runs", "show", "nope"), ("rnus",)):
        shown = on_terminal(used, *args, *options, **variables)
        assert shown
        assert STYLE not in shown


def test_an_error_on_a_terminal_is_red_even_where_its_option_is_the_error(used: Shop) -> None:
    assert "\x1b[31merror: " in on_terminal(used, "runs", "list", "--nope")
    assert STYLE not in on_terminal(used, "runs", "list", "--nope", "--no-color")


def test_live_progress_without_colour_is_still_redrawn_in_place(used: Shop) -> None:
    shown = on_terminal(used, "run", "orders", NO_COLOR="1")
    assert "\x1b[3F\x1b[J" in shown
    assert not re.search(r"\x1b\[[0-9;]*m", shown)
    assert STYLE not in on_terminal(used, "run", "orders", TERM="dumb")


def test_piped_output_is_plain_and_whole_whatever_the_environment_asks_for(used: Shop) -> None:
    asked = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "COLUMNS": "20", "TERM": "xterm"}
    for args in (("runs", "list"), ("runs", "show", "last"), ("runs", "show", "nope")):
        done = used.run(*args, env=asked, check=None)
        assert STYLE not in done.out + done.err
    header, row = used.run("runs", "list", env=asked).out.splitlines()
    assert len(header.split("\t")) == len(row.split("\t")) == 8
    assert used.runs()[0]["run_id"] in row
