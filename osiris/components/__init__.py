"""The registry of components: what Osiris brings, and what installed packages add.

A built-in component is one line in ``BUILT_IN``. A package adds one through the entry point group
``osiris.components``: the entry point's name is the component's, and it leads to a module with ``Config``, ``SPEC`` and
``run``. Modules are imported when they are asked for, so that a verb pays only for what it uses.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from osiris.components.base import CONNECTION_KEY, AnyConnection, Component, ComponentSpec
from osiris.errors import OsirisError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "osiris.components"

BUILT_IN: dict[str, str] = {
    "duckdb.extractor": "osiris.components.duckdb_extractor",
    "duckdb.processor": "osiris.components.duckdb_processor",
    "duckdb.writer": "osiris.components.duckdb_writer",
    "filesystem.csv_extractor": "osiris.components.csv_extractor",
    "filesystem.csv_writer": "osiris.components.csv_writer",
    "filesystem.json_extractor": "osiris.components.json_extractor",
    "filesystem.json_writer": "osiris.components.json_writer",
    "filesystem.parquet_extractor": "osiris.components.parquet_extractor",
    "filesystem.parquet_writer": "osiris.components.parquet_writer",
    "graphql.extractor": "osiris.components.graphql_extractor",
    "http.extractor": "osiris.components.http_extractor",
    "mysql.extractor": "osiris.components.mysql_extractor",
    "mysql.writer": "osiris.components.mysql_writer",
    "postgres.extractor": "osiris.components.postgres_extractor",
    "postgres.writer": "osiris.components.postgres_writer",
    "sqlite.extractor": "osiris.components.sqlite_extractor",
    "sqlite.writer": "osiris.components.sqlite_writer",
    "supabase.extractor": "osiris.components.supabase_extractor",
    "supabase.writer": "osiris.components.supabase_writer",
}

# What importing somebody else's module may raise, short of the process being told to stop.
_IMPORT_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


@cache
def find_component(name: str) -> Component | None:
    """The component called ``name``, or None if neither Osiris nor an installed package has one.

    A package's component that cannot be loaded, or is not what its entry point says, is an error that names it.
    """
    if name in BUILT_IN:
        module = import_module(BUILT_IN[name])
        return Component(module.SPEC, module.Config, module.run, getattr(module, "Connection", AnyConnection))
    entry_point = _entry_points().get(name)
    return _load(entry_point) if entry_point else None


def component_names() -> list[str]:
    """The names of all components, sorted; those of installed packages included."""
    return sorted({*BUILT_IN, *_entry_points()})


@cache
def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - costs 50 ms, and built-in names never need it

    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _load(entry_point: EntryPoint) -> Component:
    source = f"{entry_point.value!r}" + (f" of the package {entry_point.dist.name!r}" if entry_point.dist else "")
    try:
        module = entry_point.load()
        found = Component(module.SPEC, module.Config, module.run, getattr(module, "Connection", AnyConnection))
    except _IMPORT_FAILURES as cause:
        raise _broken(entry_point.name, f"cannot be loaded from {source}: {type(cause).__name__}: {cause}") from cause
    wrong = _what_is_wrong(entry_point.name, found.spec, found.config_type, found.connection_type, found.run)
    if wrong:
        raise _broken(entry_point.name, f"from {source} is not usable: {wrong}")
    return found


def _what_is_wrong(name: str, spec: object, config_type: object, connection_type: object, run: object) -> str:
    if not isinstance(spec, ComponentSpec):
        return "SPEC is not a ComponentSpec"
    if spec.name != name:
        return f"SPEC calls it {spec.name!r}"
    for called, type_ in (("Config", config_type), ("Connection", connection_type)):
        if not (isinstance(type_, type) and issubclass(type_, msgspec.Struct)):
            return f"{called} is not a msgspec Struct"
    if spec.connection_family and CONNECTION_KEY not in getattr(config_type, "__struct_fields__", ()):
        return f"SPEC names a family of connections, but Config has no field {CONNECTION_KEY}"
    return "" if callable(run) else "run cannot be called"


def _broken(name: str, what: str) -> OsirisError:
    return OsirisError(f"the component {name!r} {what}", "Update or uninstall that package.", code="component.broken")
