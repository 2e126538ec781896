"""A project that keeps step outputs, and a pipeline whose third step does what a file says: go on, wait, or fail."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.cli.shop import Result, Shop, new_shop

COMPONENT = """
import time
import msgspec
from osiris.components.base import ComponentSpec, Produced
from osiris.errors import OsirisError

class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass

SPEC = ComponentSpec(name="acme.held", version="1.0.0", summary="Does what a file says.", modes=("transform",))

def run(ctx, config, inputs):
    gate = ctx.project_root / "gate"
    while (said := gate.read_text()) == "wait" and not ctx.cancel.cancelled:
        time.sleep(0.01)
    if said != "open":
        raise OsirisError("the gate is not open", "Open it.", code="acme.shut")
    (rows,) = {relation.alias: relation for relation in inputs.values()}.values()
    return Produced(rows=ctx.con.sql(f'FROM "{rows.alias}"'))
"""
CONFIG = """\
version: "2.0"
ids: {run_id_format: incremental}
filesystem: {naming: {run_dir: "{pipeline_slug}/{run_id}"}}
runtime: {keep_step_outputs: true}
"""
ORDERS = """\
oml_version: "0.1.0"
name: orders
params: {factor: {type: int, default: 2}}
steps:
  - id: orders
    component: filesystem.csv_extractor
    mode: read
    config: {path: data/orders.csv}
  - id: raw
    component: filesystem.csv_writer
    mode: write
    config: {path: out/raw.csv}
  - id: total
    component: duckdb.processor
    mode: transform
    needs: [orders, raw]
    inputs: {df: "${orders.df}"}
    config:
      query: SELECT customer, sum(amount) * ${params.factor} AS total FROM df_orders GROUP BY ALL ORDER BY customer
  - id: held
    component: acme.held
    mode: transform
    config: {}
  - id: write
    component: filesystem.csv_writer
    mode: write
    config: {path: out/total.csv}
"""
STEPS = ("orders", "raw", "total", "held", "write")
TOTAL = b"customer,total\nAda,25.50\nGrace,14.50\n"
OLD = b"what an earlier run wrote\n"


class HeldShop(Shop):
    """The project; its runs are ``run_logs/dev/orders/run-000001`` and so on."""

    def osiris(self, *args: str, check: int | None = 0) -> Result:
        """Run ``osiris`` where it finds the component."""
        return self.run(*args, env=environment(self.root), check=check)

    def fail(self) -> None:
        """A run that fails at the gate; then the gate is open and the source is gone."""
        self.write("gate", "shut")
        self.osiris("run", "orders", check=1)
        self.let_go()

    def let_go(self) -> None:
        """Nothing can be read a second time from here on, and nothing waits."""
        self.write("gate", "open")
        (self.root / "data" / "orders.csv").unlink(missing_ok=True)

    def kept(self, number: int) -> Path:
        """The folder of the kept outputs of a run."""
        return self.root / "run_logs" / "dev" / "orders" / f"run-{number:06}" / "outputs"


def new_held_shop(root: Path) -> HeldShop:
    """With an output of an earlier time in its place; the gate is open."""
    shop = HeldShop(new_shop(root).root)
    dist = root / "site" / "acme-1.0.dist-info"
    dist.mkdir(parents=True)
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text("[osiris.components]\nacme.held = acme_held\n")
    (root / "site" / "acme_held.py").write_text(COMPONENT)
    shop.write("osiris.yaml", CONFIG)
    shop.write("pipelines/orders.yaml", ORDERS)
    shop.write("gate", "open")
    shop.write("out/total.csv", OLD)
    return shop


def environment(root: Path) -> dict[str, str]:
    """The environment in which ``osiris`` finds the component."""
    return {"PYTHONPATH": os.pathsep.join([str(root / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])}


def statuses(document: dict[str, Any]) -> dict[str, str]:
    """How each step of a run ended."""
    return {step["id"]: step["status"] for step in document["steps"]}


def summary(shop: Shop, run: dict[str, Any]) -> dict[str, Any]:
    """The run's ``summary.json``."""
    found: dict[str, Any] = json.loads(shop.read(f"{run['aiop_path']}/summary.json"))
    return found
