"""A temporary project and the real ``osiris`` command: what the acceptance tests are written with."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

OSIRIS = Path(sys.executable).with_name("osiris")
DEADLINE_S = 60
# A query that no machine finishes, small enough for any.
ENDLESS = "SELECT count(*) AS n FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = -1"
ORDERS_CSV = "order_id,customer,amount,zip\n1,Ada,10.50,00501\n2,Grace,7.25,10115\n3,Ada,2.25,00501\n"
ORDERS = """\
oml_version: "0.1.0"
name: orders
params: {minimum: {type: float, default: 0}}
steps:
  - id: orders
    component: filesystem.csv_extractor
    mode: read
    config: {path: data/orders.csv}
  - id: by-customer
    component: duckdb.processor
    mode: transform
    config:
      query: |
        SELECT customer, sum(amount) AS total
        FROM df_orders WHERE amount >= ${params.minimum} GROUP BY ALL ORDER BY customer
  - id: write
    component: filesystem.csv_writer
    mode: write
    config: {path: out/by_customer.csv}
"""
BY_CUSTOMER = b"customer,total\nAda,12.75\nGrace,7.25\n"


class Result(NamedTuple):
    """How a command ended and all that it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; anything before or behind it is an error."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The documents on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shop:
    """A project in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self, *args: str | Path, env: Mapping[str, str] | None = None, check: int | None = 0, cwd: Path | None = None
    ) -> Result:
        """Run ``osiris`` in the project and wait; ``check`` is the exit code that it must have, None for any."""
        return self.end(self.start(*args, env=env, cwd=cwd), check)

    def start(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        before: tuple[str, ...] = (),
        umask: int = -1,
    ) -> subprocess.Popen[str]:
        """Start ``osiris`` in the project; ``before`` is a command that starts it in its turn."""
        return subprocess.Popen(
            [*before, OSIRIS, *args],
            cwd=cwd or self.root,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            umask=umask,
        )

    def end(self, process: subprocess.Popen[str], check: int | None = 0) -> Result:
        """Wait for a started command."""
        try:
            out, err = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
        assert check is None or process.returncode == check, f"exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in out + err, err
        return Result(process.returncode, out, err)

    def on_terminal(self, *args: str, columns: int = 80, lines: int = 24, check: int = 0) -> str:
        """What ``osiris`` shows on a terminal of that size, stdout and stderr together, without colours."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        process = subprocess.Popen(
            [OSIRIS, *args],
            cwd=self.root,
            env=environment({"TERM": "xterm"}),
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the last one who had it open is gone
            while block := os.read(leader, 65536):
                shown += block
        os.close(leader)
        assert process.wait(DEADLINE_S) == check, shown
        return click.unstyle(shown.decode()).replace("\r\n", "\n")

    def all(self, *commands: tuple[str, ...], check: int | None = 0) -> list[Result]:
        """Run commands at the same time; their results in the same order."""
        started = [self.start(*command) for command in commands]
        try:
            return [self.end(process, check) for process in started]
        finally:
            for process in started:
                process.kill()

    def write(self, path: str, content: str | bytes) -> Path:
        """Put a file into the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def read(self, path: str) -> bytes:
        """A file of the project."""
        return (self.root / path).read_bytes()

    def runs(self) -> list[dict[str, Any]]:
        """``osiris runs list --json``, newest first."""
        records: list[dict[str, Any]] = self.run("runs", "list", "--json").json["runs"]
        return records

    def journal(self) -> list[dict[str, Any]]:
        """The events as they stand in the journal's files; no command is run, a torn last line is left out."""
        folder = self.root / ".osiris" / "journal"
        lines = [line for file in sorted(folder.glob("*.ndjson")) for line in file.read_bytes().splitlines(True)]
        return [json.loads(line)["event"] for line in lines if line.endswith(b"\n")]

    def types(self) -> list[str]:
        """The types of the journal's events."""
        return [event["type"] for event in self.journal()]

    def leftovers(self) -> list[str]:
        """Temporary files and folders, wherever they are."""
        names = (path for path in self.root.rglob("*") if "tmp" in path.name or path.name == ".new")
        work = self.root / ".osiris" / "cache" / "runs"
        return sorted(str(path.relative_to(self.root)) for path in [*names, *work.glob("*")])


def new_shop(root: Path) -> Shop:
    """A fresh project with the pipeline ``orders`` and its data."""
    root.mkdir(parents=True, exist_ok=True)
    shop = Shop(root)
    shop.write("osiris.yaml", 'version: "2.0"\n')
    shop.write("data/orders.csv", ORDERS_CSV)
    shop.write("pipelines/orders.yaml", ORDERS)
    return shop


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: this process's without what would reach into a test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OSIRIS_", "GIT_", "COLUMNS"))}
    return {**kept, **(more or {})}


def pipeline(query: str, *, read: str = "data/orders.csv", write: str = "out/by_customer.csv") -> str:
    """``orders`` with another query, input or output."""
    body = "\n".join(f"        {line}" for line in query.splitlines())
    return f"""\
oml_version: "0.1.0"
name: orders
steps:
  - id: orders
    component: filesystem.csv_extractor
    mode: read
    config: {{path: {read}}}
  - id: by-customer
    component: duckdb.processor
    mode: transform
    config:
      query: |
{body}
  - id: write
    component: filesystem.csv_writer
    mode: write
    config: {{path: {write}}}
"""


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a condition that a living process brings about."""
    for _ in range(DEADLINE_S * 200):
        if reached():
            return
        try:
            process.wait(0.005)
        except subprocess.TimeoutExpired:
            continue
        assert reached(), f"it ended before that: {process.communicate()}"
        return
    raise AssertionError("it did not come to that in time")


@contextmanager
def running(shop: Shop, *args: str, reached: Callable[[], bool]) -> Iterator[subprocess.Popen[str]]:
    """A command that has come so far that ``reached`` holds; it does not outlive the block."""
    process = shop.start(*args)
    try:
        wait_until(reached, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def step_started(shop: Shop, step: str) -> Callable[[], bool]:
    """Whether the log of a run that began after this call says that ``step`` has started."""
    before = set(shop.root.glob("run_logs/**/events.jsonl"))
    needle = f'"event":"step.started","step":"{step}"'.encode()

    def reached() -> bool:
        logs = set(shop.root.glob("run_logs/**/events.jsonl")) - before
        return any(needle in log.read_bytes() for log in logs)

    return reached
