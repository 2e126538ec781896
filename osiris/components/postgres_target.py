"""The SQL by which staged rows get into a table of PostgreSQL, in the transaction that staged them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from osiris.components.base import quote_identifier
from osiris.components.postgres_carriers import Carrier, rounds
from osiris.components.postgres_tables import TableColumn
from osiris.components.table_target import WriteMode, doubled_key, null_key, unfit_type
from osiris.families.postgres_session import Session

STAGING = "osiris_rows"
_STAGED = f"pg_temp.{STAGING}"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows go: the table's columns that they have, each with how it travels, and the columns that are its key."""

    table: str
    schema: str
    columns: Mapping[str, tuple[TableColumn, Carrier]]
    key: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The table's name."""
        return f"{quote_identifier(self.schema)}.{quote_identifier(self.table)}"

    @property
    def places(self) -> dict[str, str]:
        """Each column's name in the staging table."""
        return {name: f"c{place}" for place, name in enumerate(self.columns, start=1)}


def new_table(table: str, schema: str, made: Mapping[str, str], key: Sequence[str]) -> str:
    """The statement that makes a table with columns of those types."""
    terms = [f"{quote_identifier(name)} {type_}" for name, type_ in made.items()]
    terms += [f"PRIMARY KEY ({_listed(key)})"] if key else []
    prefix = f"{quote_identifier(schema)}." if schema else ""
    return f"CREATE TABLE {prefix}{quote_identifier(table)} ({', '.join(terms)})"


def make_staging(session: Session, target: Target) -> None:
    """A table that is gone with the transaction."""
    columns = [f"{place} {target.columns[name][1].travels}" for name, place in target.places.items()]
    session.execute(f"CREATE TEMPORARY TABLE {STAGING} ({', '.join(columns)}) ON COMMIT DROP")


def merge(session: Session, target: Target, write_mode: WriteMode, staged: int) -> int:
    """Put the staged rows into the table and give the number of rows written."""
    _refuse_rounding(session, target)
    if write_mode == "upsert":
        _refuse_keys(session, target)
        # Whoever else writes this table waits: a row that another one adds meanwhile would be added twice.
        session.execute(f"LOCK TABLE {target.sql} IN SHARE ROW EXCLUSIVE MODE")
        session.execute(f"ANALYZE {_STAGED}")
        for statement in _upsert(target):
            session.execute(statement)
        return staged
    if write_mode == "replace":
        session.execute(f"TRUNCATE {target.sql}")
    return session.execute(_insert(target))


def _rows(target: Target) -> str:
    casts = [f"{place}::{target.columns[name][0].base} AS {place}" for name, place in target.places.items()]
    return f"(SELECT {', '.join(casts)} FROM {_STAGED}) AS r"  # noqa: S608 - types as the server spells them


def _insert(target: Target, where: str = "") -> str:
    places = ", ".join(target.places.values())
    return f"INSERT INTO {target.sql} ({_listed(target.columns)}) SELECT {places} FROM {_rows(target)}{where}"  # noqa: S608 - quoted


def _upsert(target: Target) -> Iterator[str]:
    """An update and an insert: they need no unique index, and no value for columns that the rows have not."""
    same = " AND ".join(f"t.{quote_identifier(name)} = r.{target.places[name]}" for name in target.key)
    news = [f"{quote_identifier(name)} = r.{place}" for name, place in target.places.items() if name not in target.key]
    if news:
        yield f"UPDATE {target.sql} AS t SET {', '.join(news)} FROM {_rows(target)} WHERE {same}"  # noqa: S608 - quoted
    yield _insert(target, f" WHERE NOT EXISTS (SELECT 1 FROM {target.sql} AS t WHERE {same})")  # noqa: S608 - quoted


def _refuse_rounding(session: Session, target: Target) -> None:
    looked_at = [(column, target.places[name]) for name, (column, how) in target.columns.items() if rounds(column, how)]
    if not looked_at:
        return
    terms = [f"bool_or({p}::{c.base}::{c.full} IS DISTINCT FROM {p}::{c.base})" for c, p in looked_at]
    [found] = session.rows(f"SELECT {', '.join(terms)} FROM {_STAGED}")  # noqa: S608 - types as the server spells them
    for (column, _), altered in zip(looked_at, found, strict=True):
        if altered:
            cast = f"the rounded or shortened value of {quote_identifier(column.name)}"
            raise unfit_type(column.name, "more precise or longer", f"the table has {column.full}", cast)


def _refuse_keys(session: Session, target: Target) -> None:
    places = [target.places[name] for name in target.key]
    nulls = ", ".join(f"bool_or({place} IS NULL)" for place in places)
    [found] = session.rows(f"SELECT {nulls} FROM {_STAGED}")  # noqa: S608 - names of our own
    for name, holds_null in zip(target.key, found, strict=True):
        if holds_null:
            raise null_key(target.table, name)
    shown, grouped = ", ".join(f"{place}::text" for place in places), ", ".join(places)
    doubled = session.rows(f"SELECT {shown} FROM {_rows(target)} GROUP BY {grouped} HAVING count(*) > 1 LIMIT 1")  # noqa: S608
    if doubled:
        raise doubled_key(target.table, target.key, doubled[0])


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(map(quote_identifier, names))
