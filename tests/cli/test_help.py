"""Help, start-up, and what happens when nobody reads the output."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import osiris
from osiris.cli.main import COMMANDS, cli
from osiris.project import open_project
from scripts.write_schemas import verbs
from tests.cli.shop import BY_CUSTOMER, OSIRIS, Shop, environment, pipeline
from tests.histories import begin, end

HEAVY = ("duckdb", "msgspec", "yaml", "sqlite3", "portalocker", "ulid", "osiris.project", "osiris.components")


def test_help_fits_one_screen_and_names_every_command(tmp_path: Path) -> None:
    lines = Shop(tmp_path).run("--help").out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.startswith(" " * 20)], "a summary in COMMANDS is too long for its line"
    assert all(any(line.split()[:1] == [name] for line in lines) for name in COMMANDS)


def test_every_verb_has_examples_and_an_exit_status_in_its_help(tmp_path: Path) -> None:
    typed = [name for name, _ in verbs()]
    for verb, shown in zip(typed, Shop(tmp_path).all(*[(*name.split(), "--help") for name in typed]), strict=True):
        assert "\nExamples:\n" in shown.out, verb
        assert f"osiris {verb}" in shown.out.split("Examples:")[1], verb
        status = shown.out.split("\nEXIT STATUS:\n")[1].splitlines()
        assert status[0].split() == ["0", "done"], verb
        assert shown.err == ""


def test_the_help_names_every_variable_that_osiris_heeds(tmp_path: Path) -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(osiris.__file__).parent.rglob("*.py"))
    heeded = set(re.findall(r"""["'](OSIRIS_[A-Z_]*[A-Z])["']""", sources))
    shown = Shop(tmp_path).run("--help").out
    assert {"OSIRIS_HOME", "OSIRIS_PROFILE"} <= heeded
    assert [name for name in [*heeded, "OSIRIS_PARAM_<NAME>", "NO_COLOR"] if name not in shown] == []


NOUNS = [name for name in COMMANDS if isinstance(cli.get_command(click.Context(cli), name), click.Group)]


@pytest.mark.parametrize("noun", ["", *(noun for noun in NOUNS if COMMANDS[noun].group == "Look")])
def test_a_noun_without_a_verb_shows_its_help(tmp_path: Path, noun: str) -> None:
    done = Shop(tmp_path).run(*noun.split(), check=2)
    assert done.out == ""
    assert done.err.splitlines() == Shop(tmp_path).run(*noun.split(), "--help").out.splitlines()
    error = Shop(tmp_path).run(*noun.split(), "--json", check=2).json["error"]
    assert (error["code"], "\n" in error["message"]) == ("cli.usage", False)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("rnus", "Did you mean 'runs'? See `osiris --help`."),
        ("runs lst", "Did you mean 'list'? See `osiris runs --help`."),
        ("zzz", "See `osiris --help`."),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_the_nearest_word(tmp_path: Path, typed: str, hint: str) -> None:
    done = Shop(tmp_path).run(*typed.split(), check=2)
    assert done.err == f"error: No such command '{typed.rsplit(maxsplit=1)[-1]}'.\nTry: {hint}\n"
    assert "--limit" in Shop(tmp_path).run("runs", "list", "--limt", "3", check=2).err


def test_help_is_had_in_every_way_that_people_try(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for typed in ("", "run", "runs", "runs list"):
        wanted = shop.run(*typed.split(), "--help").out
        assert shop.run(*typed.split(), "-h").out == shop.run("help", *typed.split()).out == wanted
    assert re.fullmatch(r"osiris \d+\.\d+\.\d+\n", shop.run("--version").out)


def test_the_command_line_imports_nothing_that_its_help_does_not_need() -> None:
    script = f"import sys, osiris.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("verb", ["'runs', 'list'", "'aiop', 'list'", "'aiop', 'show', 'last', '--no-color'"])
def test_looking_at_runs_does_not_import_the_engine(used: Shop, verb: str) -> None:
    call = f"m.cli.main([{verb}], standalone_mode=False)"
    script = f"import sys, osiris.cli.main as m; {call}; print('duckdb' in sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=used.root, env=environment(), capture_output=True, text=True, check=True)
    assert done.stderr == "False\n"


@pytest.fixture
def long_history(used: Shop) -> Shop:
    """More events than a pipe holds."""
    ledger = open_project(used.root, {}).ledger
    for _ in range(150):
        end(ledger, begin(ledger))
    ledger.close()
    return used


@pytest.mark.parametrize(
    "command", ["events", "events --json", "runs list --limit 1000", "runs list --limit 1000 --json"]
)
def test_a_reader_that_has_seen_enough_is_no_error(long_history: Shop, command: str) -> None:
    script = f"set -o pipefail; '{OSIRIS}' {command} | head -1"
    done = subprocess.run(
        ["bash", "-c", script], cwd=long_history.root, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


@pytest.mark.parametrize(
    "redirect", ["2>&1 | head -1", "2>&1 | true", "2>/dev/full", "2>&-", ">&-", "| true", "</dev/null"]
)
def test_a_run_goes_on_when_nobody_reads_what_it_says(used: Shop, redirect: str) -> None:
    script = f"set -o pipefail; '{OSIRIS}' run orders {redirect}"
    done = subprocess.run(["bash", "-c", script], cwd=used.root, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [run["status"] for run in used.runs()] == ["success"] * 2
    assert used.read("out/by_customer.csv") == BY_CUSTOMER


def test_the_exit_code_of_a_failed_run_is_1_even_if_nobody_reads_its_output(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT nothing FROM df_orders"))
    script = f"set -o pipefail; '{OSIRIS}' run orders --json | true"
    assert subprocess.run(["bash", "-c", script], cwd=used.root, env=environment(), check=False).returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("more", ["", "--json"])
def test_a_full_disk_behind_stdout_is_an_error_of_the_disk_and_no_bug(used: Shop, more: str) -> None:
    script = f"'{OSIRIS}' runs list {more} > /dev/full"
    done = subprocess.run(
        ["bash", "-c", script], cwd=used.root, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 7
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "Try"]
