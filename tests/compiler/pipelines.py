"""A small registry of real components, and OML files for the compiler's tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import duckdb
import msgspec

from osiris.compiler.compile import Compiled, compile_pipeline
from osiris.compiler.oml import Bindings, Registry
from osiris.compiler.validate import Validation, validate_pipeline
from osiris.components.base import Component, ComponentSpec, Produced, StepContext
from osiris.documents import load_document

ORDERS = """\
oml_version: "0.1.0"
name: orders-etl
metadata: {intent: totals by customer, owner: sales}
params:
  region: {type: string, default: eu, enum: [eu, us]}
  limit: {type: int, default: 100}
profiles: {prod: {params: {limit: 1000000}}}
requires: {duckdb: ">=1.1"}
steps:
  - id: extract-orders
    component: filesystem.csv_extractor
    mode: read
    config: {path: "data/${params.region}.csv", limit: "${params.limit}"}
  - id: by-customer
    component: duckdb.processor
    mode: transform
    needs: [extract-orders]
    config: {query: "SELECT customer, sum(amount) AS total FROM df_extract_orders GROUP BY 1 ORDER BY 1"}
    retry: {max: 3, backoff: exp, delay_ms: 200}
    timeout: 10m
  - id: write
    component: filesystem.csv_writer
    mode: write
    inputs: {df: "${by-customer.df}"}
    config: {path: out/by_customer.csv}
"""


class CsvSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the rows come from."""

    path: str
    limit: int | None = None
    header: bool = True
    null_text: str = ""
    types: dict[str, str] = {}
    options: dict[str, Any] = {}


class Query(msgspec.Struct, frozen=True, kw_only=True):
    query: Annotated[str, msgspec.Meta(min_length=1)]


class CsvTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    header: bool = True


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = ""
    pin: str = ""
    auth: dict[str, str] = {}


def _run(_context: StepContext, _config: Any, _inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:
    raise NotImplementedError("the compiler runs nothing")


def component(name: str, config: type[msgspec.Struct], *modes: Any, **more: Any) -> Component:
    spec = ComponentSpec(name=name, version=more.pop("version", "1.0.0"), summary=name, modes=modes, **more)
    return Component(spec=spec, config_type=config, run=_run)


def registry(*more: Component) -> Registry:
    """The components of these tests; ``more`` come on top, or in the place of those with the same name."""
    components = [
        component("filesystem.csv_extractor", CsvSource, "read"),
        component("duckdb.processor", Query, "transform"),
        component("filesystem.csv_writer", CsvTarget, "write"),
        component("bank.extractor", Account, "read", secret_fields=("pin", "auth.code")),
        *more,
    ]
    by_name = {one.spec.name: one for one in components}
    return Registry(by_name.get, lambda: sorted(by_name))


def validate(text: str, **bindings: Any) -> Validation:
    return validate_pipeline(load_document(text, "p.yaml"), "p.yaml", Bindings(**bindings), registry())


def errors(text: str, **bindings: Any) -> list[str]:
    """Every error as ``line:column problem``."""
    return [f"{error.line}:{error.column} {error.problem}" for error in validate(text, **bindings).errors]


def compile_text(text: str, folder: Path, components: Registry | None = None, **bindings: Any) -> Compiled:
    source = folder / "orders.yaml"
    source.write_text(text, encoding="utf-8")
    return compile_pipeline(
        source,
        project_root=folder,
        slug="orders",
        bindings=Bindings(**bindings),
        registry=components or registry(),
    )


def pipeline(*steps: str, head: str = "") -> str:
    """An OML text with these steps, each one line in flow style; the first step stands at line 4 or after ``head``."""
    lines = ['oml_version: "0.1.0"', "name: test", *head.splitlines(), "steps:", *(f"  - {step}" for step in steps)]
    return "\n".join(lines) + "\n"


def read(step_id: str, more: str = "") -> str:
    return f"{{id: {step_id}, component: filesystem.csv_extractor, mode: read, config: {{path: a.csv}}{more}}}"


def transform(step_id: str, more: str = "") -> str:
    return f"{{id: {step_id}, component: duckdb.processor, mode: transform, config: {{query: FROM input_df}}{more}}}"


def write(step_id: str, more: str = "") -> str:
    return f"{{id: {step_id}, component: filesystem.csv_writer, mode: write, config: {{path: out.csv}}{more}}}"
