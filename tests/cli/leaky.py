"""A component of a third party that leaks its secrets in every way, installed in a site folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

SOURCE = """
import logging
import os
import sys
import threading
import time
import traceback
import warnings

import msgspec
from osiris.components.base import ComponentSpec, Produced, Written, WrittenFile
from osiris.errors import ExitCode, OsirisError

class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    connection: str = ""
    leak: str = ""

SPEC = ComponentSpec(
    name="acme.source", version="1.0.0", summary="Leaks.", modes=("read",), connection_family="acme",
    secret_fields=("pin",),
)
tries = []

class Client:
    def __init__(self, values):
        self.values = values

    def __repr__(self):
        return f"Client({self.values})"

    def __del__(self):
        raise RuntimeError(f"not closed: {self.values}")

def fail(values):
    try:
        try:
            raise OSError(f"connection to {values['dsn']} lost; Authorization: {values['headers']['Authorization']}")
        except OSError as cause:
            raise KeyError(repr(values)) from cause
    except KeyError as cause:
        raise RuntimeError(f"giving up {values}") from cause

def die(values):
    raise RuntimeError(f"thread of {values}")

def run(ctx, config, inputs):
    values, leak = ctx.connection, config.leak
    password, pin = values["password"], values["pin"]
    token = values["headers"]["Authorization"].split()[1]
    tries.append(leak)
    if leak == "talk" or leak == "wait":
        ctx.log.info("connecting with %s", values)
        ctx.log.warning("slow: %r", Client(values))
        logging.getLogger("acme.driver").warning("driver says %s", values["dsn"])
        ctx.log.warning("wrong arguments %d", password)
        try:
            fail(values)
        except RuntimeError:
            ctx.log.exception("tried with %s", password)
        warnings.warn(f"old protocol with {password}")
        thread = threading.Thread(target=die, args=(values,))
        thread.start()
        thread.join()
        ctx.metric(f"calls with {password}", 1, f"per {pin}")
        ctx.progress(1)
        print("stdout of the component:", values)
        print("stderr of the component:", values, file=sys.stderr)
        print("pieces: " + password[:5], end="")
        print(password[5:])
        (ctx.output_dir / "note.txt").write_text("its own file")
    if leak == "wait":
        (ctx.project_root / "waiting").touch()
        while not ctx.cancel.cancelled:
            time.sleep(0.01)
        raise OSError(f"stopped while {password} was used")
    if leak == "sql":
        ctx.con.execute(f"SELECT nosuch, '{token}' AS p FROM (SELECT 1 AS a)")
    if leak == "sql-cut":
        try:
            ctx.con.execute(f"SELECT nosuch, {'x' * 37}, '{token}' AS p FROM (SELECT 1 AS a)")
        except Exception as cause:
            raise RuntimeError("a defect on top") from cause
    if leak == "os":
        open(f"/nowhere/{password}/file", "rb")
    if leak == "defect":
        getattr(values, f"no {password}")
    if leak == "chain":
        fail(values)
    if leak == "error":
        raise OsirisError(f"no access with {password}", f"Try {pin}.", code=f"acme.{password}",
                          exit_code=ExitCode.PIPELINE_FAILED, path=values["dsn"])
    if leak == "retry" and tries.count("retry") < 3:
        raise OSError(f"could not connect: {values['dsn']}")
    return Produced(rows=ctx.con.sql("SELECT 1 AS n"))
"""

WRITER = """
import hashlib
import msgspec
from osiris.components.base import ComponentSpec, Written, WrittenFile

class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    connection: str = ""

SPEC = ComponentSpec(
    name="acme.sink", version="1.0.0", summary="Writes to a file named after its secret.", modes=("write",),
    rows="none", connection_family="acme",
)

def run(ctx, config, inputs):
    name = f"out/{ctx.connection['password']}.txt"
    target = ctx.project_root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    (rows,) = inputs.values()
    found = ctx.consume(f'SELECT n FROM "{rows.alias}"')
    content = str(found).encode()
    target.write_bytes(content)
    file = WrittenFile(path=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return Written(rows=len(found), files=(file,))
"""


def install(folder: Path) -> dict[str, str]:
    """Put the components into ``folder``; the environment in which ``osiris`` finds them."""
    dist = folder / "acme-1.0.dist-info"
    dist.mkdir(parents=True)
    (folder / "acme_source.py").write_text(SOURCE)
    (folder / "acme_sink.py").write_text(WRITER)
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    entries = "[osiris.components]\nacme.source = acme_source\nacme.sink = acme_sink\n"
    (dist / "entry_points.txt").write_text(entries)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}
