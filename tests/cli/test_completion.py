"""Completion: what a shell is offered, in real shells, and that it never disturbs anybody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from osiris.cli import complete
from osiris.cli.verb import Settings
from osiris.project import open_project
from tests.cli.shop import OSIRIS, Result, Shop, environment
from tests.histories import begin, end

PROFILES = ["dev", "staging", "prod", "ml", "finance", "incident_debug"]
BASH = """
source <(osiris completion bash)
read -ra COMP_WORDS <<< "$1"
[ "${1% }" = "$1" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_osiris_completion osiris
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; autoload -U compinit; compinit -D -u; source <(osiris completion zsh)'
zpty -w shell 'show() { print -r -- "<$BUFFER>" }; zle -N show; bindkey "^X" show; print REA''DY'
zpty -r shell shown '*READY*'
zpty -w -n shell "$1"$'\\t\\x18'
zpty -r shell shown '*<*>*'
print -r -- "$shown"
"""


def asked(shop: Shop, line: str, shell: str = "bash") -> Result:
    """What ``osiris`` says to the script of a shell; the word at the cursor is the last one of ``line``."""
    words = line.split(" ")
    variables = {"_OSIRIS_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return shop.run(env=variables)


def offered(shop: Shop, line: str) -> list[str]:
    """The words that are offered, in their order; ``<file>`` where the shell is to add its files."""
    found = [entry.split(",", 1) for entry in asked(shop, line).out.splitlines() if entry]
    return [value if kind == "plain" else f"<{kind}>" for kind, value in found]


def shell(name: str) -> str:
    """A shell; where it is missing, there is nothing to try, but continuous integration has to have it."""
    found = shutil.which(name)
    if found is None:
        assert os.environ.get("CI") != "true", f"{name} is missing"
        pytest.skip(f"{name} is not installed")
    return found


def tried(shop: Shop, *command: str) -> str:
    """What a real shell prints that finds ``osiris`` on its path."""
    path = f"{OSIRIS.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=shop.root,
        env=environment({"PATH": path, "HOME": str(shop.root), "TERM": "xterm"}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def given(found: complete.Completer, shop: Shop, word: str = "", **params: str) -> list[str]:
    """What a completer offers by itself."""
    settings = Settings()
    settings.project = shop.root
    context = click.Context(click.Command("verb"), obj=settings)
    context.params.update(params)
    return [item.value for item in found(context, click.Argument(["word"]), word)]


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Every path below ``root`` with its size and when it was changed."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in [root, *root.rglob("*")]}


def test_nouns_verbs_and_options_are_offered(used: Shop) -> None:
    assert offered(used, "osiris co") == ["compile", "components", "connections", "config", "completion"]
    assert {"list", "show"} <= set(offered(used, "osiris runs "))
    assert offered(used, "osiris run --last") == ["--last-compile"]
    assert offered(used, "osiris runs list --status c") == ["cancelled"]
    assert offered(used, "osiris completion z") == ["zsh"]
    assert offered(used, "osiris help ru") == ["run", "runs"]


def test_pipelines_are_those_in_the_folder_and_in_the_ledger_and_files_beside_them(used: Shop) -> None:
    used.write("pipelines/deep/offers.yml", "")
    used.write("pipelines/orphan.txt", "")
    for line in ("osiris run o", "osiris compile o", "osiris oml validate offers o"):
        assert offered(used, line) == ["<file>", "offers", "orders"]
    (used.root / "pipelines/orders.yaml").unlink()
    assert offered(used, "osiris run o") == ["<file>", "offers", "orders"]
    assert offered(used, "osiris pipelines tag o") == offered(used, "osiris runs list --pipeline o") == ["orders"]


def test_profiles_come_from_the_configuration(used: Shop) -> None:
    assert offered(used, "osiris run orders -p ") == offered(used, "osiris runs list --profile ") == PROFILES
    used.write("osiris.yaml", "filesystem: {profiles: {values: [lab, live], default: lab}}\n")
    assert offered(used, "osiris compile orders -p l") == ["lab", "live"]
    used.write("osiris.yaml", "filesystem: {profiles: {enabled: false}}\n")
    assert offered(used, "osiris compile orders -p ") == []


def test_runs_are_offered_newest_first_behind_last_with_what_a_shell_can_show_of_them(used: Shop) -> None:
    used.run("run", "orders")
    newest, oldest = (run["run_id"] for run in used.runs())
    assert offered(used, "osiris runs show ") == ["last", newest, oldest]
    assert offered(used, "osiris events --run run-000001") == [oldest]
    assert offered(used, "osiris runs show ord") == [f"orders/{newest}", f"orders/{oldest}"]
    shown = asked(used, "osiris runs show l", "zsh").out.splitlines()
    assert shown[:2] == ["plain", "last"]
    assert shown[2].startswith("orders  success  20")


def test_an_id_that_several_runs_have_is_offered_with_its_pipeline(used: Shop) -> None:
    used.write("osiris.yaml", "ids: {run_id_format: incremental}\n")
    shutil.copy(used.root / "pipelines/orders.yaml", used.root / "pipelines/offers.yaml")
    for name in ("offers", "orders", "orders"):
        used.run("run", name)
    assert offered(used, "osiris runs show run-00000") == [
        "run-000003",
        "run-000002",
        "run-000001",
        used.runs()[3]["run_id"],
    ]
    used.run("run", "offers")
    assert offered(used, "osiris runs show run-000002") == ["offers/run-000002", "orders/run-000002"]


def test_a_run_that_goes_on_is_offered_and_never_more_than_a_hundred(used: Shop) -> None:
    ledger = open_project(used.root, {}).ledger
    for _ in range(150):
        end(ledger, begin(ledger))
    running = begin(ledger)
    words = offered(used, "osiris runs show ")
    assert words[:2] == ["last", running.started.run_id]
    assert len(words) == 100
    ledger.close()


def test_tags_and_lists_of_them(used: Shop) -> None:
    used.run("pipelines", "tag", "orders", "--add", "billing")
    used.run("run", "orders", "--tags", "monthly")
    assert offered(used, "osiris runs list --tag ") == ["billing", "monthly"]
    assert offered(used, "osiris run orders --tags billing,") == ["billing,monthly"]
    assert offered(used, "osiris pipelines tag orders --remove ") == ["billing"]
    assert offered(used, "osiris run orders --run-id-format incremental,u") == [
        "incremental,ulid",
        "incremental,uuidv4",
    ]


def test_components_event_types_steps_and_keys_of_the_configuration(used: Shop) -> None:
    assert offered(used, "osiris components show duckdb.p") == ["duckdb.processor"]
    assert "run.finished" in offered(used, "osiris events --type run.")
    assert given(complete.complete_steps, used, run="last") == ["by-customer", "orders", "write"]
    assert given(complete.complete_steps, used, run="nope") == []
    keys = given(complete.complete_config_keys, used, "filesystem.pro")
    assert keys == [f"filesystem.profiles{key}" for key in ("", ".enabled", ".values", ".default")]


def test_connections_are_offered_by_name_and_nothing_is_resolved(used: Shop) -> None:
    assert given(complete.complete_connections, used) == []
    used.write(
        "osiris_connections.yaml",
        "connections:\n  postgres: {warehouse: {password: '${UNSET_SECRET}'}, default: {}}\n  mysql: {shop: 7}\n",
    )
    assert given(complete.complete_connections, used) == ["postgres.warehouse", "postgres.default", "mysql.shop"]
    assert given(complete.complete_connections, used, "@my") == ["@mysql.shop"]
    for rubbish in ("[]", "connections: [a]", "connections: {a: b, c: [d]}", "a: [", "\0"):
        used.write("osiris_connections.yaml", rubbish)
        assert given(complete.complete_connections, used) == []


def test_another_project_may_be_named_on_the_line(used: Shop, tmp_path: Path) -> None:
    elsewhere = Shop(tmp_path / "elsewhere")
    elsewhere.root.mkdir()
    assert offered(elsewhere, "osiris runs show ") == []
    assert offered(elsewhere, f"osiris -C {used.root} runs show l") == ["last"]
    assert offered(elsewhere, f"osiris runs show -C {used.root} l") == ["last"]
    assert offered(elsewhere, "osiris -C ") == ["<dir>"]


LINES = ("osiris run ", "osiris run x -p ", "osiris runs show ", "osiris pipelines tag orders --remove ")
RUBBISH = ("osiris.yaml", ".osiris/index/runs.jsonl", ".osiris/index/pipelines.json", ".osiris/index/counters.sqlite")


@pytest.mark.parametrize("broken", [*RUBBISH, ".osiris/index", "osiris_connections.yaml", "pipelines"])
@pytest.mark.parametrize("content", [None, b"\xff\0{["], ids=["gone", "rubbish"])
def test_a_broken_project_gives_no_error_and_is_not_mended(used: Shop, broken: str, content: bytes | None) -> None:
    target = used.root / broken
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    if content is not None:
        target.write_bytes(content)
    before = tree(used.root)
    for line in LINES:
        done = asked(used, line)
        assert done.err == ""
        assert "error" not in done.out
    assert tree(used.root) == before


def test_completion_waits_for_no_lock_and_does_not_catch_up(used: Shop) -> None:
    ledger = open_project(used.root, {}).ledger
    entry = begin(ledger)
    with ledger.journal.lock(), ledger.index.lock():
        before = tree(used.root)
        assert entry.started.run_id in offered(used, "osiris runs show ")
        assert tree(used.root) == before
    ledger.close()


def test_what_the_shell_asks_wrongly_is_answered_with_nothing(used: Shop) -> None:
    for asked_for in ("bash_rubbish", "tcsh_complete", "bash_complete"):
        done = used.run(env={"_OSIRIS_COMPLETE": asked_for}, check=None)
        assert (done.out, done.err) == ("", "")
        assert done.code in (1, 70)


@pytest.mark.parametrize("line", ["osiris run o", "osiris compile o", "osiris runs show ", "osiris "])
def test_no_engine_is_loaded_to_complete_a_word(used: Shop, line: str) -> None:
    variables = {"_OSIRIS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = used.run(env={**variables, "PYTHONPROFILEIMPORTTIME": "1"})
    assert "osiris.cli.main" in done.err
    assert "duckdb" not in {row.split("|")[-1].strip() for row in done.err.splitlines()}


def test_names_that_a_shell_would_take_for_something_else_are_left_out(used: Shop) -> None:
    used.write("osiris_connections.yaml", 'connections: {"a b": {c: {}}, "d\\ne": {f: {}}, g: {h: {}}}\n')
    assert given(complete.complete_connections, used) == ["g.h"]


def test_bash_completes(used: Shop) -> None:
    assert tried(used, shell("bash"), "--norc", "-c", BASH, "bash", "osiris run ord") == "orders\n"
    runs = tried(used, "bash", "--norc", "-c", BASH, "bash", "osiris runs show ")
    assert runs.splitlines() == ["last", used.runs()[0]["run_id"]]


def test_zsh_completes(used: Shop) -> None:
    script = used.run("completion", "zsh").out
    subprocess.run([shell("zsh"), "-n"], input=script, text=True, check=True)
    assert "<osiris run orders >" in tried(used, "zsh", "-f", "-c", ZSH, "zsh", "osiris run ord")


def test_fish_completes(used: Shop) -> None:
    def completed(line: str) -> list[str]:
        script = f"osiris completion fish | source; complete -C{json.dumps(line)}"
        return tried(used, shell("fish"), "--no-config", "-c", script).splitlines()

    used.run("run", "orders", "--tags", "ml,ops")
    assert completed("osiris run ord") == ["orders\tpipelines/orders.yaml"]
    assert [line.split("\t")[0] for line in completed("osiris runs show ")] == [
        "last",
        *[run["run_id"] for run in used.runs()],
    ]
    assert completed("osiris run orders --tags ml,") == ["ml,ops"]


def test_a_script_is_printed_for_each_shell_without_a_project(tmp_path: Path) -> None:
    for name in ("bash", "zsh", "fish"):
        document = Shop(tmp_path).run("completion", name, "--json").json
        assert document == {"shell": name, "script": Shop(tmp_path).run("completion", name).out.removesuffix("\n")}
        assert "_OSIRIS_COMPLETE" in document["script"]
