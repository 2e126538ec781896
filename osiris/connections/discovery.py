"""What a connection leads to: its tables, asked for once and kept for an hour under ``.osiris/cache/discover``.

A cache file is canonical JSON. It counts only for the same values (without secrets) of the connection; one that is
old, of another shape or damaged is as good as none.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from osiris.canonical import canonical_json, digest
from osiris.clock import Clock, parse_rfc3339, rfc3339
from osiris.connections.file import Connection
from osiris.connections.resolve import resolve_masked
from osiris.connections.usability import public_values
from osiris.connections.variables import Variables
from osiris.durable import make_folders, replace_file
from osiris.errors import OsirisError, disk_error
from osiris.families import FAMILIES, find_family
from osiris.families.base import Family, Table

FOLDER = "discover"
KEPT = timedelta(hours=1)


class Discovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found and when (RFC 3339); ``values_digest`` tells which values of the connection led there."""

    connection: str
    values_digest: str
    asked_at: str
    tables: tuple[Table, ...]

    def age(self, now: datetime) -> timedelta:
        """How long ago that was."""
        return now - parse_rfc3339(self.asked_at)


def discover(
    connection: Connection, variables: Variables, root: Path, cache_dir: Path, clock: Clock, *, refresh: bool
) -> tuple[Discovery, bool]:
    """The tables behind ``connection``, and whether they come from the cache.

    Raises OsirisError ``connection.*``, ``discover.nothing_to_list``, or ``disk.failed`` where the cache is unwritable.
    """
    family = _listing_family(connection)
    assert family.tables is not None  # as chosen there; this tells mypy
    resolved = resolve_masked(connection, variables, family.spec.secret_fields)
    values_digest = digest(public_values(resolved, family.spec))
    kept = cache_dir / FOLDER / f"{connection.family}.{connection.alias}.json"
    if not refresh and (known := _read(kept)) is not None:
        fits = (known.connection, known.values_digest) == (connection.name, values_digest)
        if fits and timedelta() <= known.age(clock.now()) < KEPT:
            return known, True
    found = Discovery(
        connection=connection.name,
        values_digest=values_digest,
        asked_at=rfc3339(clock.now()),
        tables=tuple(sorted(family.tables(resolved.values, root), key=lambda table: (table.schema, table.name))),
    )
    try:
        make_folders(kept.parent)
        replace_file(kept, canonical_json(found), sync=False)
    except OSError as cause:
        raise disk_error("write", kept, cause) from cause
    return found, False


def find_table(tables: Sequence[Table], name: str) -> Table:
    """The table called ``name``, or ``schema.table``; OsirisError ``discover.unknown_table`` or ``.several_tables``."""
    exact = [table for table in tables if name in (table.name, full_name(table))]
    if len(exact) == 1:
        return exact[0]
    if exact:
        names = ", ".join(full_name(table) for table in exact)
        raise OsirisError(f"there are several tables {name}", f"Name one: {names}.", code="discover.several_tables")
    by_name = {spelling.lower(): spelling for table in tables for spelling in (table.name, full_name(table))}
    near = [by_name[match] for match in difflib.get_close_matches(name.lower(), by_name, n=3)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "See all without naming one; --refresh asks again."
    raise OsirisError(f"there is no table {name}", hint, code="discover.unknown_table")


def full_name(table: Table) -> str:
    """``schema.table``, or the bare name where there are no schemas."""
    return f"{table.schema}.{table.name}" if table.schema else table.name


def _listing_family(connection: Connection) -> Family:
    family = find_family(connection.family)
    if family is None:
        hint = f"Those of {', '.join(FAMILIES)} can."
        raise OsirisError(
            f"{connection.name} is of a family that cannot be looked into", hint, code="connection.family"
        )
    if family.tables is None:
        problem = f"{connection.name} leads to no tables: {family.spec.title} has none to list"
        raise OsirisError(problem, "Try `osiris connections doctor`.", code="discover.nothing_to_list")
    return family


def _read(kept: Path) -> Discovery | None:
    try:
        found = msgspec.json.decode(kept.read_bytes(), type=Discovery)
        parse_rfc3339(found.asked_at)
    except (OSError, ValueError):  # what msgspec raises is a ValueError
        return None
    return found
