"""Two machines: one project gives the same builds and the same index on both, and the same runs but for named fields.

They differ in everything that must not matter: the folder's depth and name, user, home, time zone, locale, umask, hash
seed, and how the pipeline is laid out: the order of keys, comments, line ends.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.shop import DEADLINE_S, ORDERS, OSIRIS, environment, new_shop
from tests.histories import text_files

REORDERED = """\
# The same pipeline, written by somebody else.
steps:
  - component: filesystem.csv_extractor
    config: {"path": 'data/orders.csv'}
    id: orders
    mode: read
  - {id: by-customer, mode: "transform", component: duckdb.processor,   # in one line
     config: {query: "SELECT customer, sum(amount) AS total\\nFROM df_orders WHERE amount >= ${params.minimum} GROUP BY ALL ORDER BY customer\\n"}}
  - id: write

    component: filesystem.csv_writer
    mode: write
    config:
      path: >-
        out/by_customer.csv
name: "orders"
params:
  minimum:
    default: 0
    type: float
oml_version: '0.1.0'
"""  # noqa: E501 - the query on one line is the point

NOBODY = 65534
CAPABILITY = "+dac_read_search"
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={CAPABILITY}",
    f"--ambient-caps={CAPABILITY}",
)  # fmt: skip
"""Starts a command as somebody else who may read, but not write, what root may: Python may lie in root's home."""
HERE = {"TZ": "UTC", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "0", "USER": "ada", "LOGNAME": "ada"}
THERE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "tr_TR.UTF-8",
    "LANG": "tr_TR.UTF-8",
    "PYTHONHASHSEED": "4711",
    "USER": "somebody",
    "LOGNAME": "somebody",
    "HOME": "/nonexistent",
    "HOSTNAME": "elsewhere",
    "SOURCE_DATE_EPOCH": "1",
}
ASCII_ONLY = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
MAY_DIFFER = {
    "run_id", "run_ts", "started_at", "finished_at", "completed_at", "at", "duration_ms", "run_logs_path", "aiop_path",
    "user", "evidence.run.duration_ms", "previous_run_id", "ms", "evidence.run.last_event_ms",
    "seq", "annex.lines", "evidence.annex.timeline.lines",
}  # fmt: skip
"""The fields in which two runs of one build may differ: its id, its times, who ran it, and how long its log is, for the
progress of a statement is told only if it takes its time."""
RUN_ID = re.compile(r"run-[0-9]{6}_[0-9A-Z]{26}")
RUN_TS = re.compile(r"[0-9]{8}T[0-9]{6}Z")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z")


def files(folder: Path) -> dict[str, bytes]:
    """Everything under ``folder``: files with their bytes, folders with none."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


class Machine(NamedTuple):
    """A project on a machine: who works there, and in what surroundings."""

    root: Path
    env: Mapping[str, str]
    umask: int = 0o022
    before: tuple[str, ...] = ()

    def run(self, *args: str, check: int = 0) -> str:
        """Run ``osiris`` there."""
        done = subprocess.run(
            [*self.before, OSIRIS, *args],
            cwd=self.root,
            env=environment(self.env),
            umask=self.umask,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == check, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return Machine(new_shop(tmp_path / "here").root, {**HERE, "HOME": str(tmp_path)})


@pytest.fixture
def there(tmp_path: Path) -> Machine:
    """The same project, deep in folders of another script, its pipeline laid out by somebody else."""
    shop = new_shop(tmp_path / "far" / "away, über there" / "項目 1" / 'it\'s "here"')
    shop.write("pipelines/orders.yaml", REORDERED.replace("\n", "\r\n"))
    shop.write("osiris.yaml", "# ours\nfilesystem: {base_path: \"\"}\r\nversion: '2.0'\r\n")
    return Machine(shop.root, THERE, umask=0o077)


def test_two_people_in_two_places_at_two_times_get_the_same_build(here: Machine, there: Machine) -> None:
    for machine in (here, there):
        machine.run("compile", "orders")
        machine.run("compile", "orders", "--profile", "prod", "--param", "minimum=5")
    builds = files(here.root / "build")
    assert files(there.root / "build") == builds
    assert len({name.split("/")[3] for name in builds if name.count("/") > 2}) == 2, "two builds, one for each profile"
    written = b"".join(builds.values())
    for trace in (str(here.root), str(there.root), "somebody", "/nonexistent", "elsewhere", "Kiritimati"):
        assert trace.encode() not in written


def test_comments_layout_line_ends_and_the_order_of_keys_do_not_change_a_build(tmp_path: Path) -> None:
    texts = {"lf": ORDERS, "crlf": ORDERS.replace("\n", "\r\n"), "reordered": REORDERED, "bom": "\ufeff" + ORDERS}
    builds = []
    for name, text in texts.items():
        shop = new_shop(tmp_path / name)
        shop.write("pipelines/orders.yaml", text)
        shop.run("compile", "orders")
        builds.append(files(shop.root / "build"))
    assert builds[0]
    assert all(build == builds[0] for build in builds[1:])


def test_a_project_whose_journal_came_along_has_the_same_index_byte_for_byte(here: Machine, there: Machine) -> None:
    here.run("run", "orders", "--tags", "ml")
    here.run("run", "orders", "--profile", "prod")
    here.run("pipelines", "tag", "orders", "--add", "größe".replace("ö", "oe").replace("ß", "ss"))
    shutil.copytree(here.root / ".osiris" / "journal", there.root / ".osiris" / "journal")
    there.run("index", "rebuild")
    indexes = [text_files(machine.root / ".osiris" / "index") for machine in (here, there)]
    assert indexes[0] == indexes[1]
    assert {"runs.jsonl", "pipelines.json", "by_pipeline/orders.jsonl", "latest/prod/orders.txt"} <= set(indexes[0])
    assert json.loads(there.run("index", "verify", "--json"))["result"] == "ok"


def named_alike(path: str) -> str:
    return RUN_TS.sub("<ts>", RUN_ID.sub("<run>", path))


def differing(one: Any, other: Any, path: str = "") -> set[str]:
    """The dotted paths, without places in lists, at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        return set().union(*(differing(one[key], other[key], f"{path}.{key}") for key in one))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return set().union(*(differing(left, right, path) for left, right in zip(one, other, strict=True)))
    same = one == other and not isinstance(one, dict)  # two objects are only here if their keys are not in one order
    return set() if same else {path.lstrip(".")}


def documents(content: bytes) -> list[Any]:
    text = named_alike(content.decode())
    try:
        found = [json.loads(text)]
    except ValueError:
        found = [json.loads(line) for line in text.splitlines()]
    found = [one for one in found if one.get("event") != "step.progress"]  # told of statements that take their time
    return [{**one, "value": "<ms>"} if one.get("metric") == "duration" else one for one in found]


def unexpected(name: str, one: bytes, other: bytes) -> set[str]:
    """Where two files of two runs differ and must not."""
    if name.endswith((".json", ".jsonl", ".ndjson")):
        found = differing(documents(one), documents(other))
        return {path for path in found if path not in MAY_DIFFER and path.split(".")[-1] not in MAY_DIFFER}
    texts = [TIME.sub("<time>", named_alike(content.decode())) for content in (one, other)]
    texts = [re.sub(r".*step\.progress.*\n", "", text) for text in texts]
    texts = [re.sub(r"\b[0-9]+ (?:ms|lines)|(?<=\| )[0-9]+ \|$", "<ms>", text, flags=re.MULTILINE) for text in texts]
    return set() if texts[0] == texts[1] else {"text"}


def test_run_folders_packs_and_records_differ_in_named_fields_only(here: Machine, there: Machine) -> None:
    trees = []
    for machine in (here, there):
        machine.run("run", "orders", "--tags", "ml")
        machine.run("run", "orders", "--param", "minimum=nothing", check=2)
        folders = {place: files(machine.root / place) for place in ("run_logs", "aiop", "out")}
        trees.append(
            {
                named_alike(f"{place}/{name}"): content
                for place, tree in folders.items()
                for name, content in tree.items()
            }
        )
    one, other = trees
    assert sorted(one) == sorted(other)
    wrong = {name: found for name in one if (found := unexpected(name, one[name], other[name]))}
    assert wrong == {}
    assert one["out/by_customer.csv"] == other["out/by_customer.csv"]
    names = {name.rsplit("/", 1)[-1] for name in one}
    assert {"events.jsonl", "status.json", "osiris.log", "manifest.yaml", "summary.json", "run-card.md"} <= names
    records = [json.loads(machine.run("runs", "list", "--json"))["runs"] for machine in (here, there)]
    assert {path.split(".")[-1] for path in differing(*records)} <= MAY_DIFFER


def test_the_comparison_of_runs_sees_a_difference() -> None:
    assert unexpected("a.json", b'{"rows": 1, "at": 1}', b'{"rows": 2, "at": 2}') == {"rows"}
    assert unexpected("a.jsonl", b'{"x": 1}\n{"x": 1}\n', b'{"x": 1}\n') == {""}
    assert unexpected("a.json", b'{"a": 1, "b": 1}', b'{"b": 1, "a": 1}') == {""}
    assert unexpected("a.log", b"took 5 ms, 3 rows", b"took 7 ms, 4 rows") == {"text"}


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "ascii only"])
def test_a_locale_decides_nothing_not_even_what_i_is_in_lower_case(tmp_path: Path, locale: str) -> None:
    env = ASCII_ONLY if locale == "ascii only" else {"LC_ALL": locale, "LANG": locale}
    output = "ÖZET_İ"
    shop = new_shop(tmp_path / "INVOICES İI")
    shop.write("pipelines/INVOICES.yaml", ORDERS.replace("by_customer", output))
    machine = Machine(shop.root, env)
    record = json.loads(machine.run("run", "pipelines/INVOICES.yaml", "--json"))
    assert record["run"]["pipeline_slug"] == "invoices"
    assert [path.name for path in (shop.root / "build" / "pipelines" / "dev").iterdir()] == ["invoices"]
    assert (shop.root / "out" / f"{output}.csv").exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="osiris-parity-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_another_user_of_the_machine_gets_the_same_build(here: Machine, open_folder: Path) -> None:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else, and needs setpriv")
    root = new_shop(open_folder / "theirs").root
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    theirs = Machine(root, THERE, umask=0o077, before=AS_NOBODY)
    tried = subprocess.run([*AS_NOBODY, OSIRIS, "--version"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"nobody cannot run the installed command: {tried.stderr}")
    here.run("run", "orders")
    theirs.run("run", "orders")
    assert files(theirs.root / "build") == files(here.root / "build")
    assert {path.lstat().st_uid for path in root.rglob("*")} == {NOBODY}
    assert json.loads(theirs.run("runs", "list", "--json"))["runs"][0]["status"] == "success"
