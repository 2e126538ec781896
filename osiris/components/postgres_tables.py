"""Finding a table of PostgreSQL, and what it is made of."""

from __future__ import annotations

import msgspec

from osiris.families.postgres_session import Session

_FIND = """
SELECT c.oid::int8, n.nspname::text FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN $2 = '' THEN pg_table_is_visible(c.oid) ELSE n.nspname = $2 END
"""
_NAMES = """
SELECT c.relname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND CASE WHEN $1 = '' THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END
ORDER BY 1
"""
# format_type with -1 spells a type so that no length is meant: "bit" and bpchar, not bit(1) and char(1).
_COLUMNS = """
SELECT a.attname::text, a.atttypid::int8, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
       format_type(a.atttypid, -1), format_type(a.atttypid, a.atttypmod), t.typtype = 'd',
       CASE WHEN b.typnamespace = 'pg_catalog'::regnamespace THEN b.typname::text ELSE '' END
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


class FoundTable(msgspec.Struct, frozen=True):
    """A table, view or foreign table that there is."""

    oid: int
    schema: str


class TableColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column: ``base`` is how its type is spelled without length or precision, ``full`` with it.

    ``builtin`` is the short name (``int4``, ``_int4``) of PostgreSQL's own type that it, or its domain, is; else "".
    """

    name: str
    type_oid: int
    typmod: int
    base: str
    full: str
    is_domain: bool
    builtin: str


def find_table(session: Session, table: str, schema: str) -> FoundTable | None:
    """The table, without ``schema`` on the search path; None where there is none."""
    found = session.rows(_FIND, table, schema)
    return FoundTable(*found[0]) if found else None


def table_names(session: Session, schema: str) -> list[str]:
    """The tables that could have been meant, without ``schema`` those on the search path."""
    return [name for (name,) in session.rows(_NAMES, schema)]


def table_columns(session: Session, oid: int) -> list[TableColumn]:
    """The columns of a table in order."""
    fields = TableColumn.__struct_fields__
    return [TableColumn(**dict(zip(fields, row, strict=True))) for row in session.rows(_COLUMNS, oid)]
