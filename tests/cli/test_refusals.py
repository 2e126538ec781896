"""What is wrong is said in one line with its place, what to do in one more, and nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from tests.cli.shop import ORDERS, Shop, pipeline
from tests.histories import tree

SECRET = "hunter2-and-more"  # noqa: S105 - what must not be echoed
NOT_ALLOWED = (
    "ConfigError: Unknown profile 'qa'. Allowed profiles: dev, staging, prod, ml, finance, incident_debug "
    "(filesystem.profiles.values)."
)
UNSUPPORTED = (
    "ConfigError: Unsupported run_id_format token 'ksuid'. Supported: incremental, ulid, iso_ulid, uuidv4, snowflake."
)


class Case(NamedTuple):
    """``says`` are parts of the one error line; ``files`` are written over the project first."""

    name: str
    args: tuple[str, ...]
    says: tuple[str, ...]
    files: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    hint: str = ""


def orders(name: str, text: str, *says: str, hint: str = "") -> Case:
    return Case(name, ("run", "orders"), ("pipelines/orders.yaml:", *says), {"pipelines/orders.yaml": text}, hint=hint)


def config(name: str, text: str, *says: str, hint: str = "") -> Case:
    return Case(name, ("runs", "list"), says, {"osiris.yaml": 'version: "2.0"\n' + text}, hint=hint)


CASES = [
    Case("no project", ("-C", "data", "run", "orders"), ("no project in", "osiris.yaml"), hint="osiris init"),
    Case("no such folder", ("runs", "list"), ("no project in /nowhere",), env={"OSIRIS_HOME": "/nowhere"}),
    Case("unknown profile", ("run", "orders", "-p", "qa"), (NOT_ALLOWED,)),
    Case("unknown profile, environment", ("compile", "orders"), (NOT_ALLOWED,), env={"OSIRIS_PROFILE": "qa"}),
    Case("unknown token", ("run", "orders", "--run-id-format", "ulid,ksuid"), (UNSUPPORTED,)),
    Case("unknown token, environment", ("run", "orders"), (UNSUPPORTED,), env={"OSIRIS_RUN_ID_FORMAT": "ksuid"}),
    config("unknown token, configuration", "ids: {run_id_format: [ulid, ksuid]}\n", UNSUPPORTED),
    config(
        "bad value",
        "filesystem:\n  naming:\n    manifest_short_len: 17\n",
        "osiris.yaml:4:25:",
        "manifest_short_len",
        "16",
    ),
    config("bad word", "filesystem: {profiles: {enabled: maybe}}\n", "osiris.yaml:2:34:", "true or false"),
    config("near miss", "ids: {manifest_hash_algo: sha256_slag}\n", "osiris.yaml:2:27:", hint="'sha256_slug'"),
    config("wrong default profile", "filesystem: {profiles: {default: qa}}\n", NOT_ALLOWED),
    config("escaping template", "filesystem: {naming: {run_dir: 'x'}}\n", "osiris.yaml:2:32:", "{run_id}"),
    orders("broken YAML", "name: x\nsteps:\n  - id: a\n   component: [\n", ":4:4:", "not YAML"),
    orders("duplicate key", "name: x\n" + ORDERS, ":3:1:", "'name' stands twice"),
    orders("unknown component", ORDERS.replace("csv_ext", "csv_axt"), ":6:16:", hint="filesystem.csv_extractor"),
    orders("unknown key", ORDERS.replace("path: data", "pth: data"), "pth", hint="path"),
    orders("cycle", ORDERS.replace("    config:\n", "    needs: [write]\n    config:\n"), "by-customer -> write"),
    orders("password", ORDERS + f"x-password: {SECRET}\n", "x-password", "secret", hint="osiris_connections.yaml"),
    orders("DSN", ORDERS.replace("out/by", f"postgres://u:{SECRET}@h/by"), "steps[2].config.path", "password"),
    orders("climbing id", ORDERS.replace("id: write", "id: ../../evil"), ":16:9:", "'../../evil' is not a step id"),
    orders("unknown input", ORDERS.replace("mode: write", 'mode: write\n    inputs: {df: "${x.df}"}'), "x"),
    orders("unknown param", ORDERS.replace("{params.minimum}", "{params.minimun}"), ":14:", "minimun", hint="minimum"),
    orders("empty file", "", "map of keys"),
    orders("not text", "\x00\x01", ":1:1:"),
    Case("ill-typed param", ("run", "orders", "--param", "minimum=many"), ("minimum", "expected a number")),
    Case("no pair", ("run", "orders", "--param", "minimum"), ("--param 'minimum'",), hint="name=value"),
    Case("unknown parameter", ("run", "orders", "--param", "minimun=1"), ("minimun",), hint="minimum"),
    Case("unknown pipeline", ("run", "ordes"), ("ordes",), hint="'orders'"),
    Case("missing file", ("compile", "pipelines/no.yaml"), ("pipelines/no.yaml: there is no such",)),
    Case(
        "two files with one slug",
        ("compile", "orders"),
        ("pipelines/Orders.yml and pipelines/orders.yaml", "'orders'"),
        {"pipelines/Orders.yml": ORDERS},
        hint="Rename",
    ),
    Case("empty slug", ("compile", "pipelines/???.yaml"), ("???.yaml",), {"pipelines/???.yaml": ORDERS}),
    Case("bad tag", ("run", "orders", "--tags", "two words"), ("'two words' cannot be a tag",)),
    Case("two ways at once", ("run", "orders", "--last-compile"), ("name one pipeline",)),
    Case("no such manifest", ("run", "build/manifest.yaml"), ("build/manifest.yaml",), hint="osiris compile"),
    Case("unknown command", ("frobnicate",), ("frobnicate",), hint="osiris --help"),
    Case("unknown option", ("run", "orders", "--fast"), ("--fast",), hint="osiris run --help"),
    Case("not a moment", ("runs", "list", "--since", "last week"), ("--since 'last week'",), hint="7d"),
    Case(
        "a moment before years had four digits", ("runs", "list", "--since", "0001-01-01"), ("'0001-01-01'",), hint="7d"
    ),
    Case("a moment too long ago", ("runs", "list", "--since", "95000w"), ("--since '95000w'",), hint="7d"),
    Case("no name for a file", ("run", "x" * 300), ("xxx: there is no such pipeline file",)),
    Case("not a number", ("runs", "list", "--limit", "many"), ("--limit", "'many'"), hint="osiris runs list --help"),
    Case("a name in bytes", ("run", "pipelines/\udcff.yaml"), ("\\udcff.yaml",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_one_error_line_and_one_hint_and_leaves_nothing_behind(shop: Shop, case: Case) -> None:
    for path, text in case.files.items():
        shop.write(path, text)
    before = tree(shop.root)
    results = [shop.start(*case.args, *more, env=case.env) for more in ((), ("--json",))]
    plain, document = (shop.end(process, 2) for process in results)
    error, hint = plain.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("Try: ")
    assert all(part in error for part in case.says), error
    assert case.hint in hint
    assert plain.out == ""
    assert SECRET not in plain.err + document.out + document.err

    body = document.json["error"]
    assert list(document.json) == ["error"]
    assert list(body) == ["code", "message", "hint", "path", "findings"]
    assert body["code"]
    assert (f"error: {body['message']}", f"Try: {body['hint']}") == (error, hint)
    assert document.err == ""
    assert tree(shop.root) == before


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("runs", "show", "run-9"), "unknown run 'run-9'"),
        (("runs", "show", ""), "unknown run ''"),
        (("run", "--last-compile", "-p", "prod"), "nothing was compiled yet in profile prod"),
        (("events", "--run", "nope"), "unknown run 'nope'"),
        (("pipelines", "tag", "order", "--add", "x"), "unknown pipeline 'order'"),
        (("pipelines", "tag", "orders"), "nothing to change"),
        (("pipelines", "tag", "orders", "--add", "../x y"), "'../x y' cannot be a tag"),
        (("index", "verify", "--against", "osiris.yaml"), "osiris.yaml holds no head"),
        (("init", "."), "is a project already"),
    ],
)
def test_a_question_that_cannot_be_answered_changes_nothing(used: Shop, args: tuple[str, ...], says: str) -> None:
    def contents() -> dict[str, bytes]:
        return {path: content for path, (_, _, content) in tree(used.root).items() if "counters" not in path}

    before = contents()
    error, hint = used.run(*args, check=2).err.splitlines()
    assert says in error
    assert hint.startswith("Try: ")
    assert contents() == before


def test_an_ambiguous_run_is_refused_with_the_names_of_those_that_it_may_be(used: Shop) -> None:
    used.write("pipelines/other.yaml", ORDERS)
    used.run("run", "other", "--run-id-format", "incremental")
    used.run("run", "orders")
    error = used.run("runs", "show", "run-00000", check=2).err
    assert " other/run-000001" in error
    assert " orders/run-000001_" in error
    assert used.run("runs", "show", "run-000002").out.startswith("orders/run-000002_")


def test_several_mistakes_are_all_reported_at_once(shop: Shop) -> None:
    broken = (
        ORDERS.replace("csv_extractor", "csv_axtractor").replace("id: write", "id: wri te").replace("name:", "nam:")
    )
    shop.write("pipelines/orders.yaml", broken)
    lines = shop.run("compile", "orders", check=2).err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "Try"] * (len(lines) // 2)
    findings = shop.run("compile", "orders", "--json", check=2).json["error"]["findings"]
    assert len(findings) == len(lines) // 2 >= 3
    assert [finding["line"] for finding in findings] == sorted(finding["line"] for finding in findings)
    shown = shop.run("oml", "validate", "orders", "--json", check=2).json["files"][0]["errors"]
    assert shown == findings

    shop.write("osiris.yaml", "ids: {manifest_hash_algo: md5}\nfilesystem: {naming: {manifest_short_len: 2}}\n")
    assert len(shop.run("runs", "list", "--json", check=2).json["error"]["findings"]) == 2


def test_unknown_keys_of_the_configuration_are_tolerated_and_named_in_a_warning(shop: Shop) -> None:
    shop.write("osiris.yaml", 'version: "2.0"\nfuture: {thing: 1}\n')
    warned = shop.run("compile", "orders")
    assert warned.err == "warning: osiris.yaml:2:1: unknown key 'future'\n"


def test_a_message_cannot_move_the_cursor_of_the_terminal_that_shows_it(shop: Shop) -> None:
    shop.write("data/orders.csv", "customer\n\x1b]0;owned\x07\x1b[2J\n")
    shop.write("pipelines/orders.yaml", pipeline("SELECT customer::INTEGER AS n FROM df_orders"))
    failed = shop.run("run", "orders", check=1)
    shown = shop.run("runs", "show", "last")
    assert "owned" in failed.err
    assert "owned" in shown.out
    assert "\x1b" not in failed.err + failed.out + shown.out


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_build_folder_that_leads_elsewhere_is_not_followed_out_of_the_project_by_names(shop: Shop) -> None:
    shop.write("osiris.yaml", "filesystem: {naming: {manifest_dir: '../../{pipeline_slug}'}}\n")
    error = shop.run("compile", "orders", check=2).err
    assert "leaves its root" in error
    assert not (shop.root / "build").exists()
