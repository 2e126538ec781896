"""Canaries: whatever a component does with its secrets, none of them is in any file, on any stream, in any argument."""

from __future__ import annotations

import base64
import html
import json
import signal
import subprocess
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.leaky import install
from tests.cli.shop import ORDERS, Result, Shop, wait_until

PASSWORD = "cAnary'7/Pa55 w\"örd+x"  # noqa: S105
TOKEN = "tok-CANARY-0123456789abcdef"  # noqa: S105
PIN = "pin\"Canary'4711\\x-y"
SECRETS = {"ACME_PASSWORD": PASSWORD, "ACME_TOKEN": TOKEN, "ACME_CODE": PIN}
CONNECTIONS = """\
connections:
  acme:
    main:
      default: true
      host: db.example
      port: 5432
      user: ada
      password: ${ACME_PASSWORD}
      pin: ${ACME_CODE}
      dsn: "acme://ada:${ACME_PASSWORD}@db.example/shop"
      headers: {Authorization: "Bearer ${ACME_TOKEN}"}
"""
LEAKS = ["talk", "sql", "sql-cut", "os", "defect", "chain", "error", "retry"]


def pipeline(leak: str, more: str = "") -> str:
    return f"""\
oml_version: "0.1.0"
name: leaky
params: {{label: {{type: string, default: none}}}}
description: "label ${{params.label}}"
steps:
  - id: source
    component: acme.source
    mode: read
    config: {{leak: {leak}{more}}}
    retry: {{max: 2, backoff: fixed, delay_ms: 1}}
  - id: sink
    component: acme.sink
    mode: write
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment with the component and all secrets."""
    return {**install(tmp_path / "site"), **SECRETS}


@pytest.fixture
def leaky(shop: Shop) -> Shop:
    """A project with a connection."""
    shop.write("osiris_connections.yaml", CONNECTIONS)
    return shop


def variants(secret: str) -> set[str]:
    """The secret as it is and as libraries print it."""
    content = secret.encode()
    hexadecimal = content.hex()
    return {
        secret,
        repr(secret)[1:-1],
        repr(content)[2:-1],
        ascii(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        html.escape(secret),
        secret.replace("'", "''"),
        urllib.parse.quote(secret),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote(secret, safe="").lower(),
        urllib.parse.quote_plus(secret),
        base64.b64encode(content).decode(),
        base64.urlsafe_b64encode(content).decode(),
        base64.b64encode(b"ada:" + content).decode(),
        hexadecimal,
        hexadecimal.upper(),
    }


CANARIES = sorted({form for secret in SECRETS.values() for form in variants(secret)})


PIECES = sorted(
    {form[at : at + 8] for secret in SECRETS.values() for form in (secret, repr(secret)) for at in range(len(form) - 7)}
    | {f"{secret[:size]}..." for secret in SECRETS.values() for size in range(4, 8)}
)


def leaks_in(name: str, content: str) -> list[str]:
    """Where a canary, or a piece of one, stands."""
    return [f"{name}: {canary!r}" for canary in (*CANARIES, *PIECES) if canary in content]


def leaks(shop: Shop, result: Result | None = None) -> list[str]:
    """Every place in the project, or in what a command printed, in which a canary stands."""
    found = leaks_in("stdout", result.out) + leaks_in("stderr", result.err) if result else []
    for path in shop.root.rglob("*"):
        relative = path.relative_to(shop.root)
        if relative.parts[0] == "out":
            continue  # the component's own target, and its name
        found += leaks_in("a path", str(relative))
        if path.is_file():
            found += leaks_in(str(relative), path.read_bytes().decode("utf-8", "replace"))
    return found


def run(shop: Shop, env: Mapping[str, str], *args: str) -> Result:
    """``osiris run`` without the check for the word Traceback, which the component prints itself."""
    process = shop.start("run", "leaky", *args, env=env)
    out, err = process.communicate(timeout=60)
    return Result(process.returncode, out, err)


@pytest.mark.parametrize("leak", LEAKS)
def test_no_secret_gets_out_whatever_the_component_does(leaky: Shop, env: dict[str, str], leak: str) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline(leak))
    result = run(leaky, env, *(["--json"] if leak in ("talk", "error") else []))
    assert result.code == (0 if leak in ("talk", "retry") else 1), result
    assert leaks(leaky, result) == []
    if leak == "talk":
        log = next(leaky.root.glob("run_logs/**/osiris.log")).read_text()
        said = ["connecting with", "slow: Client(", "driver says", "wrong arguments", "tried with", "giving up",
                "old protocol", "a thread of a component died"]  # fmt: skip
        assert [words for words in said if words not in log] == []
        assert "Traceback" in log
        assert "db.example" in log
        assert result.json["run"]["status"] == "success"
        assert "stdout of the component" in result.err
        assert "calls with ***" in next(leaky.root.glob("run_logs/**/metrics.jsonl")).read_text()
        card = next(leaky.root.glob("aiop/**/run-card.md")).read_text()
        assert "out/***.txt" in card
        assert (leaky.root / "out").is_dir()
    shown = [leaky.run("runs", "show", "last", *more, env=env) for more in ([], ["--json"])]
    assert leaks(leaky, Result(0, shown[0].out + shown[1].out, shown[0].err)) == []
    leaky.run("index", "verify", env=env)


def test_the_canaries_are_found_where_nothing_masks_them(leaky: Shop, env: dict[str, str], tmp_path: Path) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk"))
    switched_off = "import osiris.redaction as r\nr.Redactor.scrub = lambda self, text: text\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(switched_off)
    places = " ".join(leaks(leaky, run(leaky, env)))
    for place in ("stderr", "osiris.log", "metrics.jsonl", "summary.json", "run-card.md"):
        assert place in places
    leaky.write("pipelines/leaky.yaml", pipeline("chain"))
    places = " ".join(leaks(leaky, run(leaky, env)))
    for place in ("events.jsonl", "status.json", ".osiris/journal", ".osiris/index"):
        assert place in places


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_secret_is_left_by_a_run_that_is_stopped_in_the_middle(
    leaky: Shop, env: dict[str, str], number: signal.Signals
) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("wait"))
    process = leaky.start("run", "leaky", env=env)
    wait_until((leaky.root / "waiting").exists, process)
    arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert leaks(leaky, Result(0, out + arguments, err)) == []
    assert {run["status"] for run in leaky.runs()} == {"interrupted" if number == signal.SIGKILL else "cancelled"}
    assert leaks(leaky) == []


def test_the_traceback_of_a_bug_is_masked_in_the_crash_log(leaky: Shop, env: dict[str, str], tmp_path: Path) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk"))
    broken = (
        "import osiris.runner.engine as engine\n"
        "def execute(*_, connections, **__):\n"
        "    raise TypeError(f'no way with {connections}')\n"
        "engine.execute = execute\n"
    )
    (tmp_path / "site" / "sitecustomize.py").write_text(broken)
    result = run(leaky, env)
    assert result.code == 70, result
    assert "no way with" in (leaky.root / ".osiris/cache/crash.log").read_text()
    assert leaks(leaky, result) == []


def test_a_missing_variable_is_named_and_nothing_is_recorded_of_a_run(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk"))
    env = {name: value for name, value in env.items() if name not in ("ACME_PASSWORD", "ACME_CODE")}
    leaky.run("compile", "leaky", env=env)
    result = leaky.run("run", "leaky", "--json", env=env, check=2)
    error = result.json["error"]
    assert error["code"] == "connection.variable_missing"
    assert [(found["path"], found["line"]) for found in error["findings"]] == [
        ("osiris_connections.yaml", 8),
        ("osiris_connections.yaml", 9),
        ("osiris_connections.yaml", 10),
    ]
    assert "ACME_PASSWORD" in error["message"]
    assert "@acme.main" in error["message"]
    assert leaky.types() == ["pipeline.compiled"]
    assert not (leaky.root / "run_logs").exists()
    assert leaks(leaky, result) == []


def test_a_variable_may_come_from_the_env_file_and_the_environment_wins(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk"))
    env_file = leaky.write(".env", f"export ACME_TOKEN={TOKEN}\nACME_PASSWORD=ignored-Xy9\n")
    env = {name: value for name, value in env.items() if name != "ACME_TOKEN"}
    result = run(leaky, env)
    env_file.unlink()
    assert result.code == 0, result
    assert leaks(leaky, result) == []
    assert (leaky.root / "out" / f"{PASSWORD}.txt").exists()


def test_a_build_keeps_the_reference_and_needs_no_variable(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk", ', connection: "@acme.main"'))
    without = {name: value for name, value in env.items() if name not in SECRETS}
    first = leaky.run("compile", "leaky", "--json", env=without).json["manifest_hash"]
    assert leaky.run("compile", "leaky", "--json", env=env).json["manifest_hash"] == first
    config = json.loads(next(leaky.root.glob("build/**/cfg/source.json")).read_bytes())
    assert config == {"connection": "@acme.main", "leak": "talk"}
    assert leaks(leaky) == []


@pytest.mark.parametrize(
    ("args", "more", "place"),
    [
        (("run", "--tags", f"a,{TOKEN}"), {}, "--tags"),
        (("run", "--param", f"label={TOKEN}"), {}, "params.label"),
        (("compile", "--param", f"label={TOKEN}"), {}, "params.label"),
        (("run", "--param", f"label=x{urllib.parse.quote(PASSWORD, safe='')}x"), {}, "params.label"),
        (("compile",), {"OSIRIS_PARAM_LABEL": f"my {PIN}"}, "params.label"),
    ],
)
def test_a_secret_does_not_come_into_a_build_or_the_journal(
    leaky: Shop, env: dict[str, str], args: tuple[str, ...], more: dict[str, str], place: str
) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk"))
    result = leaky.run(args[0], "leaky", *args[1:], env={**env, **more}, check=2)
    assert f"{place}" in result.err
    assert "a secret of the connection @acme.main" in result.err
    assert leaks(leaky, result) == []


def test_a_literal_that_equals_a_secret_is_refused_with_its_place(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline(TOKEN))
    for verb in (["run", "leaky"], ["compile", "leaky"], ["oml", "validate", "leaky"], ["run", "leaky", "--dry-run"]):
        result = leaky.run(*verb, env=env, check=2)
        assert "steps.source.config.leak" in result.out + result.err
        (leaky.root / "pipelines/leaky.yaml").rename(leaky.root / "kept")
        assert leaks_in("printed", result.out + result.err) == []
        (leaky.root / "kept").rename(leaky.root / "pipelines/leaky.yaml")
    leaky.run("compile", "leaky", env={name: value for name, value in env.items() if name not in SECRETS})
    assert "steps.source.config.leak" in leaky.run("run", "--last-compile", env=env, check=2).err
    assert "run.started" not in leaky.types()


def test_a_pipeline_without_connections_is_searched_for_secrets_too(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/orders.yaml", ORDERS.replace("name: orders", f"name: orders of {TOKEN}"))
    assert (
        "pipelines/orders.yaml: name: this is, or holds, a secret" in leaky.run("run", "orders", env=env, check=2).err
    )
    assert leaky.types() == []
    assert not (leaky.root / "build").exists()


def test_an_error_of_the_validator_repeats_no_secret(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk").replace("acme.sink", TOKEN))
    for args in (["compile", "leaky"], ["oml", "validate", "leaky", "--json"]):
        result = leaky.run(*args, env=env, check=2)
        assert "unknown component" in result.out + result.err
        assert leaks_in("printed", result.out + result.err) == []


def test_a_tag_of_a_pipeline_is_no_secret(leaky: Shop, env: dict[str, str]) -> None:
    leaky.run("run", "orders", env=env)
    result = leaky.run("pipelines", "tag", "orders", "--add", TOKEN, env=env, check=2)
    assert "--add" in result.err
    assert leaks(leaky, result) == []


def test_a_branch_that_is_called_like_a_secret_is_masked(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("talk"))
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for args in (["init", "-q", "-b", TOKEN], [*identity, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *args], cwd=leaky.root, check=True)
    result = run(leaky, env)
    assert leaky.journal()[1]["branch"] == "***"
    assert leaks_in("stderr", result.err) == []


def test_what_is_kept_of_a_step_that_wrote_names_no_secret(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("osiris.yaml", "runtime: {keep_step_outputs: true}\n")
    leaky.write("pipelines/leaky.yaml", pipeline("none"))
    result = run(leaky, env)
    [record] = leaky.root.glob("run_logs/**/outputs/sink.json")
    assert '"path":"out/***.txt"' in record.read_text()
    assert leaks(leaky, result) == []


def test_a_secret_too_short_to_be_masked_is_warned_of(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("pipelines/leaky.yaml", pipeline("none"))
    result = run(leaky, {**env, "ACME_CODE": "4x7"})
    assert "connections.acme.main.pin: a secret shorter than 4 characters" in result.err
    assert "4x7" not in result.err


def test_a_run_without_connections_reads_none(leaky: Shop, env: dict[str, str]) -> None:
    leaky.write("osiris_connections.yaml", "connections: [this is, no map")
    leaky.run("run", "orders", env=env)
    asked = leaky.start("run", "orders", env={**env, "PYTHONPROFILEIMPORTTIME": "1"})
    _, err = asked.communicate(timeout=60)
    assert asked.returncode == 0
    assert "osiris.runner.run" in err
    assert [name for name in ("dotenv", "osiris.connections.file", "osiris.connections.resolve") if name in err] == []
