"""Nothing is ever written to ``logs/`` or ``compiled/``, nor anywhere but the places of the layout.

A pipeline's own targets are the one exception, and what a person names with ``--out``.
"""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from scripts.write_schemas import verbs
from tests.cli.shop import ENDLESS, Result, Shop, pipeline, step_started, wait_until

ROOT = Path(__file__).parents[2]
PLACES = {"build", "run_logs", "aiop", ".osiris"}
TARGETS = {"out"}
ARGUMENTS = {"run": "last", "before": "last", "name": "duckdb.processor", "shell": "bash"}
"""What the arguments of verbs are called that are no pipeline."""
MAY_NAME_IT = {"osiris/migration", "scripts"}
LEGACY = re.compile(r"(?<![\w\-.])(logs|compiled)/")


class Watched:
    """A project, and around it everything that a command could write to without being told: all of it empty."""

    def __init__(self, shop: Shop, around: Path) -> None:
        self.shop = shop
        self.around = around
        self.elsewhere = {
            name: around / name.lower()
            for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
                         "XDG_RUNTIME_DIR", "CWD")
        }  # fmt: skip
        for folder in self.elsewhere.values():
            folder.mkdir()
        self.env = {name: str(folder) for name, folder in self.elsewhere.items()}
        self.before = self.listing()

    def listing(self) -> set[str]:
        """Every file, folder and link in and around the project."""
        return {path.relative_to(self.around).as_posix() for path in self.around.rglob("*")}

    def run(self, *args: str | Path, check: int | None = 0) -> Result:
        """Run ``osiris`` from a folder that is not the project's."""
        return self.shop.run("-C", self.shop.root, *args, env=self.env, cwd=self.elsewhere["CWD"], check=check)

    def outside(self) -> list[str]:
        """What appeared since the beginning where nothing may."""
        root = self.shop.root.relative_to(self.around).as_posix()
        allowed = tuple(f"{root}/{place}/" for place in PLACES | TARGETS)
        return sorted(path for path in self.listing() - self.before if not f"{path}/".startswith(allowed))


@pytest.fixture
def watched(shop: Shop, tmp_path: Path) -> Watched:
    shop.write("pipelines/endless.yaml", pipeline(ENDLESS, write="out/endless.csv"))
    shop.write("pipelines/broken.yaml", pipeline("SELECT nothing FROM df_orders", write="out/broken.csv"))
    shop.write("pipelines/wrong.yaml", "steps: [")
    shop.write(".gitignore", "")
    return Watched(shop, tmp_path)


def required(verb: click.Command) -> list[str]:
    """Something for each argument that the verb cannot do without."""
    arguments = [param for param in verb.params if isinstance(param, click.Argument)]
    return [ARGUMENTS.get(argument.name or "", "orders") for argument in arguments if argument.required]


def test_compiling_and_running_writes_to_the_places_of_the_layout_alone(watched: Watched) -> None:
    watched.run("compile", "orders", "--profile", "prod")
    watched.run("run", "orders", "--tags", "ml")
    watched.run("run", "--last-compile")
    watched.run("run", "orders", "--dry-run")
    watched.run("run", "broken", check=1)
    watched.run("run", "wrong", check=2)
    watched.run("run", "nothing", check=2)
    watched.run("run", "orders", "--profile", "qa", check=2)
    watched.run("pipelines", "tag", "orders", "--add", "billing")
    assert watched.outside() == []
    statuses = [run["status"] for run in watched.run("runs", "list", "--json").json["runs"]]
    assert statuses == ["failed", "success", "success"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["cancelled", "killed"])
def test_a_run_that_does_not_come_to_its_end_leaves_nothing_elsewhere(watched: Watched, end: signal.Signals) -> None:
    shop = watched.shop
    started = step_started(shop, "by-customer")
    process = shop.start("run", "endless", env=watched.env)
    try:
        wait_until(started, process)
        process.send_signal(end)
    finally:
        shop.end(process, check=None)
    watched.run("run", "orders")
    assert watched.outside() == []
    assert [run["status"] for run in watched.run("runs", "list", "--json").json["runs"]] == [
        "success", "cancelled" if end == signal.SIGINT else "interrupted"
    ]  # fmt: skip


def test_no_verb_writes_anywhere_else_whatever_it_comes_to(watched: Watched) -> None:
    watched.run("run", "orders")
    called = 0
    for typed, verb in verbs():
        names = typed.split()
        for more in ([], ["--json"]):
            result = watched.run(*names, *required(verb), *more, check=None)
            assert result.code not in (70, -1), (names, result)
            assert watched.outside() == [], names
            called += result.code == 0
    assert called >= 20, "most verbs do what they are for"
    watched.run("index", "rebuild")
    watched.run("index", "verify")
    assert watched.outside() == []


def test_a_new_project_has_no_such_folder(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.run("init", "new", "--example")
    shop.run("-C", "new", "run", "daylight")
    names = {path.name for path in tmp_path.rglob("*") if path.is_dir()}
    assert names.isdisjoint({"logs", "compiled"})
    assert {"build", "run_logs", "aiop", ".osiris"} <= {path.name for path in (tmp_path / "new").iterdir()}


def legacy_places(tree: ast.AST) -> Iterator[int]:
    """Lines that name a path in ``logs/`` or ``compiled/``, in a text or joined by ``/``."""
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings and the like
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            if LEGACY.search(node.value):
                yield node.lineno
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if isinstance(node.right, ast.Constant) and node.right.value in ("logs", "compiled"):
                yield node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "path", "joinpath", "Path", "PurePosixPath", "mkdir", "makedirs"
        ):  # fmt: skip
            yield from (
                arg.lineno for arg in node.args if isinstance(arg, ast.Constant) and arg.value in ("logs", "compiled")
            )


def test_no_code_but_the_migration_names_the_old_places() -> None:
    sources = [*(ROOT / "osiris").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{line}"
        for path in sorted(sources)
        if not any((ROOT / allowed) in path.parents for allowed in MAY_NAME_IT)
        for line in legacy_places(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ['root / "logs"', 'Path("logs/x")', 'open(f"logs/{name}")', 'project.path("compiled")', 'x = "compiled/m.yaml"'],
)
def test_the_check_sees_what_it_is_for(code: str) -> None:
    assert list(legacy_places(ast.parse(code))) == [1]


@pytest.mark.parametrize("code", ['"""Not logs/ any more."""', 'x = "run_logs/dev"', 'COMMANDS["logs"]', '"compiled"'])
def test_the_check_lets_pass_what_is_no_old_place(code: str) -> None:
    assert list(legacy_places(ast.parse(code))) == []
