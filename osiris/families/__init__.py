"""The families of connections: what stands below ``connections.<family>`` and what can be asked of it.

A family is one line in ``FAMILIES`` and one module with ``SPEC``, ``check`` and, where there is something to list,
``tables``. Modules are imported when they are asked for.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from osiris.families.base import Family

FAMILIES: dict[str, str] = {
    "duckdb": "osiris.families.duckdb_files",
    "http": "osiris.families.http",
    "mysql": "osiris.families.mysql",
    "postgres": "osiris.families.postgres",
    "sqlite": "osiris.families.sqlite_files",
    "supabase": "osiris.families.supabase",
}


@cache
def find_family(name: str) -> Family | None:
    """The family called ``name``; None for one that only a package's component knows."""
    if name not in FAMILIES:
        return None
    module = import_module(FAMILIES[name])
    return Family(spec=module.SPEC, check=module.check, tables=getattr(module, "tables", None))
