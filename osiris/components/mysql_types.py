"""What the columns of a query are on a MySQL or MariaDB server, and the DuckDB types that hold their values whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from osiris.errors import ExitCode, OsirisError
from osiris.families.mysql_session import quote

# Numbers of types and flags in the protocol of client and server.
_INTEGERS = {1: "TINYINT", 2: "SMALLINT", 9: "INTEGER", 3: "INTEGER", 8: "BIGINT"}
_TEXTS_OR_BYTES = frozenset({15, 249, 250, 251, 252, 253, 254})
_DECIMALS = frozenset({0, 246})
_FLOAT, _BIT = 4, 16
_TYPES = {
    _FLOAT: "FLOAT",
    5: "DOUBLE",
    6: "VARCHAR",  # NULL
    7: "TIMESTAMP WITH TIME ZONE",
    10: "DATE",
    11: "TIME",
    12: "TIMESTAMP",
    13: "USMALLINT",  # YEAR
    14: "DATE",
    _BIT: "UBIGINT",
    245: "VARCHAR",  # JSON
    247: "VARCHAR",  # ENUM
    248: "VARCHAR",  # SET
    255: "BLOB",  # GEOMETRY
}
_UNSIGNED_FLAG = 32
_BINARY_CHARSET = 63
_MOST_DIGITS = 38

_CASTS = {
    "DATE": "NULLIF({0}, 0), or CAST({0} AS CHAR)",
    "TIMESTAMP": "NULLIF({0}, 0), or CAST({0} AS CHAR)",
    "TIMESTAMP WITH TIME ZONE": "NULLIF({0}, 0), or CAST({0} AS CHAR)",
    "TIME": "TIME_TO_SEC({0}), or CAST({0} AS CHAR)",
    "VARCHAR": "CAST({0} AS BINARY)",
}
_OF_THE_SERVER = {"TIMESTAMP": "DATETIME", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "VARCHAR": "text"}


class SourceColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a result: its name and DuckDB type; ``is_float`` where the server would send too few digits."""

    name: str
    type: str
    is_bits: bool = False
    is_float: bool = False

    def reading_sql(self, raw: str) -> str:
        """The expression that makes a value of ``raw``, a column with the bytes that the server sent."""
        if self.type == "BLOB":
            return raw
        if self.is_bits:
            return f"CAST('0x' || hex({raw}) AS UBIGINT)"
        if self.type == "VARCHAR":
            return f"decode({raw})"
        zone = " || '+00'" if self.type == "TIMESTAMP WITH TIME ZONE" else ""
        return f"CAST(decode({raw}){zone} AS {self.type})"


def source_columns(fields: Sequence[Any]) -> list[SourceColumn]:
    """The columns for the descriptions in a result; raises where two share a name, or a type cannot be held."""
    columns = [_source_column(field) for field in fields]
    names = [column.name.lower() for column in columns]
    for column in columns:
        if not column.name or names.count(column.name.lower()) > 1:
            problem = f"the query has several columns {column.name}" if column.name else "a column has no name"
            raise _error("doubled_column", problem, "Give each column a name of its own with AS.")
    return columns


def refuse_floats(columns: Sequence[SourceColumn]) -> None:
    """The server writes a FLOAT with six digits, which would change it; raises if there is one."""
    for column in columns:
        if column.is_float:
            raise _unfit(column.name, "the server sends only six digits of a FLOAT", "CAST({0} AS DOUBLE)")


def unfit_value(column: SourceColumn, value: bytes) -> OsirisError:
    """A value that the column's DuckDB type cannot hold."""
    shown = value[:60].decode("utf-8", "backslashreplace")
    kind = _OF_THE_SERVER.get(column.type, column.type)
    cast = _CASTS.get(column.type, "CAST({0} AS CHAR)")
    return _unfit(column.name, f"{shown} is no {kind} that can be held whole", cast, code="unfit_value")


def _source_column(field: Any) -> SourceColumn:
    name, kind, unsigned = field.name, field.type_code, bool(field.flags & _UNSIGNED_FLAG)
    if kind in _INTEGERS:
        return SourceColumn(name=name, type=("U" if unsigned else "") + _INTEGERS[kind])
    if kind in _DECIMALS:
        return SourceColumn(name=name, type=_decimal(name, field.length, field.scale, unsigned=unsigned))
    if kind in _TEXTS_OR_BYTES:
        return SourceColumn(name=name, type="BLOB" if field.charsetnr == _BINARY_CHARSET else "VARCHAR")
    if kind in _TYPES:
        return SourceColumn(name=name, type=_TYPES[kind], is_float=kind == _FLOAT, is_bits=kind == _BIT)
    raise _unfit(name, f"nothing is known of its type, number {kind}", "CAST({0} AS CHAR)")


def _decimal(name: str, length: int, scale: int, *, unsigned: bool) -> str:
    """``length`` counts the point and the sign as well."""
    digits = max(length - bool(scale) - (not unsigned), scale, 1)
    if digits > _MOST_DIGITS:
        reason = f"it is a DECIMAL({digits},{scale}), and {_MOST_DIGITS} digits can be held"
        raise _unfit(name, reason, f"CAST({{0}} AS DECIMAL({_MOST_DIGITS},{scale})), or CAST({{0}} AS CHAR)")
    return f"DECIMAL({digits},{scale})"


def _unfit(name: str, reason: str, cast: str, *, code: str = "unfit_type") -> OsirisError:
    return _error(code, f"the column {name}: {reason}", f"Write in the query {cast.format(quote(name))}.")


def _error(code: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code=f"extract.{code}", exit_code=ExitCode.PIPELINE_FAILED)
