"""How the columns of a PostgreSQL query come through unaltered: what the server is asked for, what DuckDB makes of it.

The driver gives the common types as they are. It would turn others into bytes, flatten arrays and wrap dates that
Arrow has no room for; such columns come as PostgreSQL writes them, or with a check that fails at the first such value.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from osiris.components.base import quote_identifier, quote_literal
from osiris.errors import ExitCode, OsirisError
from osiris.families.postgres_session import Session

_PLAIN = frozenset(
    {"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name", "bytea"}
    | {"uuid", "json", "jsonb", "time"}
)
_TIMES = {"date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ"}
_REFUSED = {
    "money": ("its text depends on the server's lc_monetary", "{}::numeric"),
    "_money": ("its text depends on the server's lc_monetary", "{}::numeric[]"),
    "record": ("a row without a type of its own", "to_jsonb({})"),
    "_record": ("rows without a type of their own", "to_jsonb({})"),
}
_EARLIEST = "4714-11-24 (BC)"
_EPOCH = "1970-01-01"
# What infinity becomes when the driver moves PostgreSQL's epoch, 2000, to Arrow's, 1970, without looking.
_INFINITIES = {"date": (-2147472692, -2147472691), "timestamp": (-9222425352054775809, -9222425352054775808)}
_MOST_DIGITS = 38
_MOST_HOURS = 2562047  # of an interval; more microseconds do not fit into Arrow's nanoseconds

_TYPES = """
WITH RECURSIVE base(asked, oid, typmod) AS (
    SELECT t.oid, t.oid, -1 FROM pg_catalog.pg_type AS t WHERE t.oid = ANY (string_to_array($1, ',')::oid[])
    UNION ALL
    SELECT b.asked, d.typbasetype, CASE WHEN b.typmod = -1 THEN d.typtypmod ELSE b.typmod END
    FROM base AS b JOIN pg_catalog.pg_type AS d ON d.oid = b.oid AND d.typtype = 'd'
)
SELECT b.asked::int8, t.oid <> b.asked, b.typmod,
       CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text ELSE '' END,
       CASE WHEN t.typcategory <> 'A' OR t.typarray <> 0 THEN ''
            WHEN e.typnamespace = 'pg_catalog'::regnamespace THEN e.typname::text ELSE '?' END,
       format_type(t.oid, -1), format_type(b.asked, NULL)
FROM base AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.oid AND t.typtype <> 'd'
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem
"""


class QueryColumn(msgspec.Struct, frozen=True):
    """A column of a query, as the server describes it."""

    name: str
    type_oid: int
    typmod: int = -1


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask the server for, and what to take of that in DuckDB; ``complaints`` are what its checks may say."""

    server: tuple[str, ...]
    duckdb: tuple[str, ...]
    complaints: tuple[str, ...]


class _Type(msgspec.Struct, frozen=True):
    oid: int
    is_domain: bool
    typmod: int
    builtin: str
    element: str
    base: str
    shown: str


def plan_reading(session: Session, columns: Sequence[QueryColumn]) -> Reading:
    """How to read ``columns``, which the query names c1, c2, …; an error names the first that cannot be read whole."""
    asked = ",".join(sorted({str(column.type_oid) for column in columns}))
    types = {found.oid: found for found in (_Type(*row) for row in session.rows(_TYPES, asked))}
    names = [column.name.lower() for column in columns]  # DuckDB tells no case from the other
    for place, column in enumerate(columns):
        if column.name.lower() in names[:place]:
            raise _doubled(column.name)
    server: list[str] = []
    local: list[str] = []
    complaints: list[str] = []
    for place, column in enumerate(columns, start=1):
        asking, taking, complaint = _read(column, types[column.type_oid], f"c{place}")
        server += asking
        local.append(f"{taking} AS {quote_identifier(column.name)}")
        complaints += [complaint] if complaint else []
    return Reading(server=tuple(server), duckdb=tuple(local), complaints=tuple(complaints))


def _read(column: QueryColumn, type_: _Type, own: str) -> tuple[list[str], str, str]:
    """The server's expressions for the column ``own``, DuckDB's expression for it, and what that may complain of."""
    typmod = column.typmod if column.typmod != -1 else type_.typmod
    cast = f"{own}::{type_.base}" if type_.is_domain else own
    short = type_.builtin
    if (refused := _REFUSED.get(short)) is not None:
        raise _unreadable(column.name, type_.shown, *refused)
    if type_.element:
        return _read_array(column.name, type_, typmod, own)
    if short in _PLAIN:
        return [f"{cast} AS {own}"], own, ""
    if short == "oid":
        return [f"{own}::int8 AS {own}"], own, ""
    if short in _TIMES:
        complaint = f"the column {column.name} holds a time after the year 294246"
        return [f"{cast} AS {own}"], _time(short, own, complaint), complaint
    if short == "numeric" and (decimal := _decimal(typmod)):
        complaint = f"the column {column.name} is {decimal} and holds NaN"
        checked = (
            f"CASE WHEN {own} IN ('nan', 'inf', '-inf') THEN {_error(complaint)} ELSE CAST({own} AS {decimal}) END"
        )
        return [f"{cast} AS {own}"], checked, complaint
    if short == "interval":
        complaint = f"the column {column.name} holds an interval of more than {_MOST_HOURS} hours"
        too_long = f"abs(date_part('hour', {own})) >= {_MOST_HOURS}"
        asking = [f"CASE WHEN {too_long} THEN NULL ELSE {cast} END AS {own}", f"{too_long} AS {own}_long"]
        return asking, f"CASE WHEN {own}_long THEN {_error(complaint)} ELSE {own} END", complaint
    return [f"{own}::text AS {own}"], own, ""


def _read_array(name: str, type_: _Type, typmod: int, own: str) -> tuple[list[str], str, str]:
    """An array of one dimension that counts from 1 is a list; the driver gives any other as if it were one, too."""
    complaint = f"the column {name} holds an array that is no plain list"
    unlike = f"array_ndims({own}) > 1 OR array_lower({own}, 1) <> 1"
    element, given, taken = type_.element, own, own
    if element in _TIMES:
        unfit = f"list_min({own}) < {_TIMES[element]} '{_EARLIEST}'"
        complaint = f"the column {name} holds an array that is no plain list, or in it infinity"
        taken = f"CASE WHEN {unfit} THEN {_error(complaint)} ELSE {own} END"
    elif element == "numeric":
        given, decimal = f"{own}::text[]", _decimal(typmod)
        if decimal:
            complaint = f"the column {name} holds an array that is no plain list, or in it NaN"
            unfit = f"list_contains({own}, 'NaN')"
            taken = f"CASE WHEN {unfit} THEN {_error(complaint)} ELSE CAST({own} AS {decimal}[]) END"
    elif element not in _PLAIN:
        given = f"{own}::text[]"
    asking = [f"{given} AS {own}", f"{unlike} AS {own}_unlike"]
    return asking, f"CASE WHEN {own}_unlike THEN {_error(complaint)} ELSE {taken} END", complaint


def _time(short: str, own: str, complaint: str) -> str:
    """A date or time from PostgreSQL's first to Arrow's last, and both infinities, which DuckDB has as well."""
    type_ = _TIMES[short]
    number = f"date_diff('day', DATE '{_EPOCH}', {own})" if short == "date" else f"epoch_us({own})"
    latest, earliest = _INFINITIES["date" if short == "date" else "timestamp"]
    return (
        f"CASE WHEN {own} >= {type_} '{_EARLIEST}' OR {own} IS NULL THEN {own}"
        f" WHEN {number} = {latest} THEN {type_} 'infinity' WHEN {number} = {earliest} THEN {type_} '-infinity'"
        f" ELSE {_error(complaint)} END"
    )


def _decimal(typmod: int) -> str:
    """The DECIMAL for a numeric's declared precision and scale; "" where it has none or DuckDB has no room."""
    if typmod < 4:
        return ""
    precision, scale = (typmod - 4) >> 16, (typmod - 4) & 0x7FF
    return f"DECIMAL({precision},{scale})" if scale <= precision <= _MOST_DIGITS else ""


def _error(complaint: str) -> str:
    return f"error({quote_literal(complaint)})"


def _doubled(name: str) -> OsirisError:
    return OsirisError(
        f"two columns of the query are called {name}, but for upper and lower case",
        "Give each a name of its own: SELECT a.id AS a_id, b.id AS b_id …",
        code="extract.doubled_column",
        exit_code=ExitCode.PIPELINE_FAILED,
    )


def _unreadable(name: str, type_: str, reason: str, cast: str) -> OsirisError:
    return OsirisError(
        f"the column {name} is {type_}: {reason}",
        f"Write {cast.format(quote_identifier(name))} in the query.",
        code="extract.unfit_type",
        exit_code=ExitCode.PIPELINE_FAILED,
    )
