"""A table that rows are written to, and for each of their columns whether MySQL could alter a value of it in silence.

Its strict mode refuses what is out of range, but rounds fractions, shortens times, cuts and pads blanks and takes
``RED`` for ``red``. A column where that could happen is staged twice: as it is, and as the table has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from osiris.components.table_target import missing_columns, missing_table, unfit_type
from osiris.errors import ExitCode, OsirisError
from osiris.families.mysql_session import execute, quote

if TYPE_CHECKING:
    from pymysql.connections import Connection

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TEXTS = ("varchar", "tinytext", "text", "mediumtext", "longtext", "json")
_BYTES = ("varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_GEOMETRIES = (
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
)
_MICROSECONDS = 6

# What holds every value of a DuckDB type whole: for the staging table, and for a table that is made.
_MYSQL_TYPES = {
    "BOOLEAN": "TINYINT(1)",
    "TINYINT": "TINYINT",
    "SMALLINT": "SMALLINT",
    "INTEGER": "INT",
    "BIGINT": "BIGINT",
    "HUGEINT": "DECIMAL(38,0)",
    "UTINYINT": "TINYINT UNSIGNED",
    "USMALLINT": "SMALLINT UNSIGNED",
    "UINTEGER": "INT UNSIGNED",
    "UBIGINT": "BIGINT UNSIGNED",
    "UHUGEINT": "DECIMAL(38,0)",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "LONGTEXT",
    "JSON": "LONGTEXT",
    "UUID": "LONGTEXT",
    '"NULL"': "LONGTEXT",
    "BLOB": "LONGBLOB",
    "DATE": "DATE",
    "TIME": "TIME(6)",
    "TIMESTAMP": "DATETIME(6)",
    "TIMESTAMP_S": "DATETIME(6)",
    "TIMESTAMP_MS": "DATETIME(6)",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP(6) NULL",
}
_KEY_TYPES = {"LONGTEXT": "VARCHAR(255)", "LONGBLOB": "VARBINARY(255)", "TIMESTAMP(6) NULL": "TIMESTAMP(6)"}
_CASTS = {"TIMESTAMP_NS": "CAST({0} AS TIMESTAMP)", "INTERVAL": "CAST({0} AS VARCHAR)", "BIT": "CAST({0} AS VARCHAR)"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_TABLE = "SELECT TABLE_NAME, ENGINE, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
_COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE, COALESCE(NUMERIC_SCALE, DATETIME_PRECISION, 0), IS_NULLABLE
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION
"""


class TableColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column as the table has it; ``scale`` is a decimal's, or the digits of a second's fraction."""

    name: str
    type: str
    scale: int = 0
    nullable: bool = True


class RowColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the rows: its type in DuckDB and in MySQL, and the table's column that it goes to, if any."""

    name: str
    duckdb_type: str
    mysql_type: str
    target: TableColumn | None = None

    @property
    def kind(self) -> str:
        """What it is to MySQL, such as ``int`` or ``datetime``."""
        return re.split(r"[ (]", self.mysql_type.lower())[0]


def find_table(connection: Connection, schema: str, table: str) -> tuple[TableColumn, ...] | None:
    """The columns of the table, None where there is none. Raises where it is not one that takes a transaction."""
    found = {name: (engine, kind) for name, engine, kind in execute(connection, _TABLE, schema)}
    if table not in found:
        return None
    engine, kind = found[table]
    transactional = "SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = %s AND TRANSACTIONS = 'YES'"
    if "VIEW" in kind or not execute(connection, transactional, engine):
        what = "a view" if "VIEW" in kind else f"a table of the engine {engine}, which has no transactions"
        raise OsirisError(
            f"{table} is {what}",
            "Write to a table of InnoDB (ALTER TABLE … ENGINE = InnoDB): only there is a failed run undone.",
            code="write.not_transactional",
            exit_code=ExitCode.PIPELINE_FAILED,
        )
    return tuple(
        TableColumn(name=name, type=type_.lower(), scale=int(scale), nullable=nullable == "YES")
        for name, type_, scale, nullable in execute(connection, _COLUMNS, schema, table)
    )


def no_such_table(connection: Connection, schema: str, table: str) -> OsirisError:
    """The error for a table that is not there; it names one that sounds alike."""
    return missing_table(table, [name for name, _, _ in execute(connection, _TABLE, schema)])


def match_columns(table: str, types: Mapping[str, str], columns: Sequence[TableColumn] | None) -> tuple[RowColumn, ...]:
    """The rows' columns with those of the table (None: it will be made); raises where one is missing or has no type."""
    by_name = {column.name: column for column in columns or ()}
    missing = [name for name in types if name not in by_name] if columns is not None else []
    if missing:
        raise missing_columns(table, missing, list(by_name))
    return tuple(
        RowColumn(name=name, duckdb_type=type_, mysql_type=_mysql_type(name, type_), target=by_name.get(name))
        for name, type_ in types.items()
    )


def making_sql(table: str, columns: Sequence[RowColumn], primary_key: Sequence[str]) -> str:
    """CREATE TABLE for rows of these columns; text is compared letter by letter."""
    terms = []
    for column in columns:
        key = column.name in primary_key
        type_ = _KEY_TYPES.get(column.mysql_type, column.mysql_type) if key else column.mysql_type
        terms.append(f"{quote(column.name)} {type_}{' NOT NULL' if key else ''}")
    if primary_key:
        terms.append(f"PRIMARY KEY ({', '.join(map(quote, primary_key))})")
    return f"CREATE TABLE {table} ({', '.join(terms)}) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


def fits_always(column: RowColumn) -> bool:
    """Whether MySQL keeps each value of the rows' column in that of the table, or refuses it."""
    target = column.target
    if target is None or (target.type == "timestamp" and not target.nullable):
        # An old setting of servers makes NULL the present time in such a column.
        return target is None
    kind, to = column.kind, target.type
    if kind in _INTEGERS:
        narrow = kind in ("tinyint", "smallint")
        floating = (to == "double" and kind != "bigint") or (to == "float" and narrow)
        return to in (*_INTEGERS, "decimal", *_TEXTS) or floating
    if kind == "decimal":
        digits = _DECIMAL.fullmatch(column.mysql_type)
        return to in _TEXTS or (to == "decimal" and digits is not None and int(digits[2]) <= target.scale)
    if kind in ("datetime", "timestamp"):
        return to in ("datetime", "timestamp") and target.scale == _MICROSECONDS
    return (
        to
        in {
            "float": ("float", "double"),
            "double": ("double",),
            "longtext": (*_TEXTS, *_BYTES),
            "longblob": (*_BYTES, *_GEOMETRIES),
            "date": ("date", "datetime"),
            "time": ("time",) if target.scale == _MICROSECONDS else (),
        }[kind]
    )


def same_sql(column: RowColumn, raw: str) -> str:
    """A condition for the staging table: the value that the table would have is the one that the rows have."""
    fitted = quote(column.name)
    kind, to = column.kind, column.target.type if column.target else ""
    if kind in (*_INTEGERS, "decimal") and to in (*_INTEGERS, "decimal", "year", "bit"):
        return f"{fitted} + 0 <=> {raw}"
    if kind in (*_INTEGERS, "decimal") and to in ("float", "double"):
        return f"CAST({fitted} + 0e0 AS DECIMAL(65,20)) <=> {raw}"
    if kind in ("float", "double") and to in (*_INTEGERS, "decimal", "float", "double"):
        return f"{fitted} + 0e0 <=> {raw}"
    if kind in ("date", "datetime", "timestamp") and to in ("date", "datetime", "timestamp"):
        return f"CAST({fitted} AS DATETIME(6)) <=> CAST({raw} AS DATETIME(6))"
    if kind == "time" and to == "time":
        return f"{fitted} <=> {raw}"
    if kind == "longblob":
        return f"CAST({fitted} AS BINARY) <=> {raw}"
    return f"CAST(CONVERT({fitted} USING utf8mb4) AS BINARY) <=> CAST(CONVERT({raw} USING utf8mb4) AS BINARY)"


def _mysql_type(name: str, type_: str) -> str:
    if _DECIMAL.fullmatch(type_):
        return type_
    found = _MYSQL_TYPES.get("VARCHAR" if type_.startswith("ENUM(") else type_)
    if found is None:
        cast = _CASTS.get(type_, "CAST({0} AS VARCHAR), or to_json({0}),").format(f'"{name}"')
        raise unfit_type(name, type_, "MySQL has no type that holds it whole", cast)
    return found
