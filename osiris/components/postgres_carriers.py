"""How a column of rows travels to PostgreSQL: as which type, into which it may be turned there without being altered.

COPY by the driver takes only exactly the type that it is given, so a column travels as the PostgreSQL type that holds
it whole, or as text that PostgreSQL reads. What neither does is refused with the cast to write.
"""

from __future__ import annotations

import re

import msgspec

from osiris.components.base import quote_identifier, quote_literal
from osiris.components.postgres_tables import TableColumn
from osiris.components.table_target import unfit_type
from osiris.errors import OsirisError

_ANY: frozenset[str] = frozenset()
_TEXTS = frozenset({"text", "varchar", "bpchar"})
_WHOLE = frozenset({"int2", "int4", "int8", "numeric", "oid"})


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    """``cast`` is the DuckDB type to travel as ("" for as it is), ``travels`` PostgreSQL's name for it.

    ``becomes`` are the types of PostgreSQL that it may become, none for any that reads its text; ``made`` is the one
    that a new table gets. ``finite`` says that infinity has to be refused.
    """

    cast: str = ""
    travels: str = "text"
    becomes: frozenset[str] = _ANY
    made: str = "text"
    finite: bool = False
    scale: int = 0
    is_list: bool = False


def _as_is(name: str, made: str, *others: str, cast: str = "", finite: bool = False) -> Carrier:
    return Carrier(cast=cast, travels=name, becomes=frozenset({name, *others}), made=made, finite=finite)


def _as_text(made: str, becomes: frozenset[str] = _ANY) -> Carrier:
    return Carrier(cast="VARCHAR", becomes=becomes, made=made)


_INT2 = ("int4", "int8", "numeric", "float4", "float8")
_INT4 = ("int2", "int8", "numeric", "float8", "oid")
_INT8 = ("int2", "int4", "numeric", "oid")
_CARRIERS = {
    "BOOLEAN": _as_is("bool", "boolean"),
    "TINYINT": _as_is("int2", "smallint", *_INT2, cast="SMALLINT"),
    "UTINYINT": _as_is("int2", "smallint", *_INT2, cast="SMALLINT"),
    "SMALLINT": _as_is("int2", "smallint", *_INT2),
    "USMALLINT": _as_is("int4", "integer", *_INT4, cast="INTEGER"),
    "INTEGER": _as_is("int4", "integer", *_INT4),
    "UINTEGER": _as_is("int8", "bigint", *_INT8, cast="BIGINT"),
    "BIGINT": _as_is("int8", "bigint", *_INT8),
    "UBIGINT": _as_text("numeric(20,0)", _WHOLE | _TEXTS),
    "HUGEINT": _as_text("numeric(39,0)", _WHOLE | _TEXTS),
    "UHUGEINT": _as_text("numeric(39,0)", _WHOLE | _TEXTS),
    "FLOAT": _as_is("float4", "real", "float8"),
    "DOUBLE": _as_is("float8", "double precision"),
    "VARCHAR": Carrier(),
    '"NULL"': _as_text("text"),
    "NULL": _as_text("text"),  # as DuckDB 1.5 spells it
    "BLOB": _as_is("bytea", "bytea"),
    "DATE": _as_is("date", "date", "timestamp", finite=True),
    "TIME": _as_is("time", "time"),
    "TIMESTAMP": _as_is("timestamp", "timestamp", finite=True),
    "TIMESTAMP_S": _as_is("timestamp", "timestamp", cast="TIMESTAMP", finite=True),
    "TIMESTAMP_MS": _as_is("timestamp", "timestamp", cast="TIMESTAMP", finite=True),
    "TIMESTAMP WITH TIME ZONE": _as_is("timestamptz", "timestamptz", finite=True),
    "TIME WITH TIME ZONE": _as_text("timetz"),
    "INTERVAL": _as_text("interval"),
    "UUID": _as_text("uuid"),
    "JSON": _as_text("json"),
    "BIT": _as_text("varbit"),
}
_NO_LIST_OF = frozenset({"BLOB", "INTERVAL", '"NULL"'})
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
# The casts that a person may want where a type does not fit, by the target's short name.
_WANTED = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "bytea": "BLOB",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
}
# Types whose declared precision PostgreSQL applies to a value by rounding or cutting, without a word.
_ROUNDED = frozenset({"numeric", "time", "timetz", "timestamp", "timestamptz", "interval", "varchar"})


def find_carrier(name: str, type_: str) -> Carrier:
    """How the column ``name`` of DuckDB's ``type_`` travels; an error with the cast to write where it cannot."""
    found = _CARRIERS.get(type_)
    if found is not None:
        return found
    if decimal := _DECIMAL.fullmatch(type_):
        scale = int(decimal[2])
        whole = _WHOLE if scale == 0 else frozenset({"numeric"})
        return Carrier(travels="numeric", becomes=whole, made=f"numeric({decimal[1]},{scale})", scale=scale)
    if type_.startswith("ENUM("):
        return _as_text("text")
    if type_.endswith("[]") and not type_.endswith(("[][]", "][]")) and type_[:-2] not in _NO_LIST_OF:
        element = find_carrier(name, type_[:-2])
        becomes = frozenset(f"_{short}" for short in element.becomes)
        return msgspec.structs.replace(
            element, cast="VARCHAR[]", travels="text[]", becomes=becomes, made=f"{element.made}[]", is_list=True,
            finite=False,
        )  # fmt: skip
    quoted = quote_identifier(name)
    if type_ == "TIMESTAMP_NS":
        raise unfit_type(name, type_, "PostgreSQL has microseconds", f"CAST({quoted} AS TIMESTAMP)")
    raise unfit_type(name, type_, "PostgreSQL has no such type", f"to_json({quoted})")


def expression(name: str, carrier: Carrier) -> str:
    """DuckDB's expression for the column as it travels."""
    column = quote_identifier(name)
    if carrier.finite:
        complaint = quote_literal(
            f"the column {name} holds infinity; write CAST({column} AS VARCHAR) in a query before"
        )
        column = f"CASE WHEN isinf({column}) THEN error({complaint}) ELSE {column} END"
    return f"CAST({column} AS {carrier.cast})" if carrier.cast else column


def refusal(target: TableColumn, type_: str, carrier: Carrier) -> OsirisError | None:
    """Why rows of DuckDB's ``type_`` may not go into the column ``target``, or None if they may."""
    fits = not carrier.becomes or target.builtin in carrier.becomes
    if carrier.is_list and not carrier.becomes:
        fits = target.base.endswith("[]")
    reason = f"the table has {target.full}, which would alter or refuse it"
    wanted = _WANTED.get(target.builtin, "VARCHAR")
    if fits and target.builtin == "numeric" and target.typmod >= 4 and carrier.scale > _scale(target.typmod):
        fits, reason = False, f"the table has {target.full}, which would round it"
    if target.builtin == "numeric":
        wanted = target.full.replace("numeric", "DECIMAL") if target.typmod >= 4 else "DECIMAL(38, 10)"
    return (
        None if fits else unfit_type(target.name, type_, reason, f"CAST({quote_identifier(target.name)} AS {wanted})")
    )


def goes_straight(target: TableColumn, carrier: Carrier) -> bool:
    """Whether the driver's COPY puts it into the column as it is."""
    if target.is_domain or carrier.is_list:
        return False
    if target.builtin == "numeric" == carrier.travels:
        return True  # its scale has been looked at
    same = target.builtin == carrier.travels or (carrier == Carrier() and target.builtin == "varchar")
    return same and target.typmod == -1


def rounds(target: TableColumn, carrier: Carrier) -> bool:
    """Whether the column's declared precision may alter a value, so that each has to be looked at."""
    return target.typmod >= 0 and target.builtin in _ROUNDED and carrier.travels != "numeric"


def _scale(typmod: int) -> int:
    scale = (typmod - 4) & 0x7FF
    return scale - 0x800 if scale >= 0x400 else scale
