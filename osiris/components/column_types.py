"""Which type a column of text may have without any of its values changing.

The rule: a column gets a type only where the type gives each value back as it was written (a decimal: the same
number); otherwise it stays text. ``LADDER`` lists the types from the narrowest, and a column has the first that holds
for all its values, so the order of the rows never matters. A sample only guesses; a guessed column is read through
``guarded_projection``, which stops at the first value that does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from osiris.components.base import quote_identifier, quote_literal

if TYPE_CHECKING:
    import duckdb

LADDER = ("BOOLEAN", "BIGINT", "DECIMAL", "DOUBLE", "DATE", "TIMESTAMP", "TIME")
TEXT = "VARCHAR"
UNSEEN = "UNSEEN"
"""The type of a column that has shown no value yet; it is read as text."""

_NARROW_DIGITS, _WIDE_DIGITS = 18, 38
_PLAIN_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"
_NEGATIVE_ZERO = r"-0(\.0+)?"

# What the text of a value of that type always looks like; much that looks so is not of that type.
_SHAPES: dict[str, re.Pattern[str]] = {
    "BOOLEAN": re.compile(r"true|false"),
    "BIGINT": re.compile(r"-?[0-9]+"),
    "DECIMAL": re.compile(_PLAIN_NUMBER),
    "DOUBLE": re.compile(r"-?[0-9]+[.e][0-9.e+-]+"),
    "DATE": re.compile(r"-?infinity|[^:]+-[^:]+"),
    "TIMESTAMP": re.compile(r"-?infinity|.+ .*:.+"),
    "TIME": re.compile(r"[^ ]+:[^ ]+"),
}


def possible_types(values: Sequence[str]) -> tuple[str, ...]:
    """The part of the ladder that a look at a few ``values`` leaves open; it never closes out what holds for them."""
    return tuple(rung for rung in LADDER if all(_SHAPES[rung].fullmatch(value) for value in values))


def first_fit(
    con: duckdb.DuckDBPyConnection, source: str, ladders: Mapping[str, Sequence[str]]
) -> dict[str, str | None]:
    """For each column of ``ladders`` the first type of its ladder that holds for every value in ``source``.

    ``source`` is what follows FROM and has the columns as text; it is read once. A column without values is
    ``UNSEEN``, one that fits no type of its ladder is None, and a decimal comes with its digits.
    """
    if not ladders:
        return {}
    terms = [term for name, ladder in ladders.items() for term in _terms(quote_identifier(name), ladder)]
    # fetchall, not fetchone: DuckDB 2.0 refuses other work on a connection with an unfinished result.
    [row] = con.execute(f"SELECT {', '.join(terms)} FROM {source}").fetchall()  # noqa: S608 - quoted by the caller
    answers = iter(row)
    return {name: _verdict(ladder, answers) for name, ladder in ladders.items()}


def climb(con: duckdb.DuckDBPyConnection, source: str, candidates: Mapping[str, str]) -> dict[str, str]:
    """The type of every column over all of ``source``, where ``candidates`` are their types over a part of it.

    A type that the part refutes is never tried again, so mostly this reads ``source`` once, and at most twice.
    """
    confirming = {name: _at_or_after(type_)[:1] for name, type_ in candidates.items() if type_ not in (TEXT, UNSEEN)}
    confirming |= {name: LADDER for name, type_ in candidates.items() if type_ == UNSEEN}
    first = first_fit(con, source, confirming)
    climbing = {
        name: _at_or_after(candidates[name])[1:]
        for name, type_ in first.items()
        if type_ is None and candidates[name] != UNSEEN
    }
    second = first_fit(con, source, climbing)
    return {name: second.get(name) or first.get(name) or TEXT for name in candidates}


def guarded_projection(source: str, types: Mapping[str, str]) -> str:
    """A SELECT that gives the text columns of ``source`` their types, and an error at a value that has not its type.

    ``error()`` is volatile, so DuckDB moves no filter below the check: each row that is read is checked.
    """
    aliases = _free_names(types)
    inner, outer = [], []
    for name, type_ in types.items():
        column = quote_identifier(name)
        inner.append(column)
        if type_ == TEXT:
            outer.append(column)
            continue
        complaint = f"error({quote_literal(f'a value of the column {name} is not {type_}')})"
        if type_ == UNSEEN:
            outer.append(f"CASE WHEN {column} IS NULL THEN {column} ELSE {complaint} END AS {column}")
            continue
        typed = quote_identifier(next(aliases))
        inner.append(f"TRY_CAST({column} AS {type_}) AS {typed}")
        outer.append(f"CASE {_guards(column, typed, type_)} ELSE {complaint} END AS {column}")
    return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {source})"  # noqa: S608 - quoted above


def plain_projection(source: str, types: Mapping[str, str]) -> str:
    """The same SELECT without the checks, for types that were found by reading everything."""
    terms = []
    for name, type_ in types.items():
        column = quote_identifier(name)
        terms.append(column if type_ in (TEXT, UNSEEN) else f"CAST({column} AS {type_}) AS {column}")
    return f"SELECT {', '.join(terms)} FROM {source}"  # noqa: S608 - quoted above


def _at_or_after(type_: str) -> tuple[str, ...]:
    return LADDER[LADDER.index(type_.partition("(")[0]) :]


def _free_names(taken: Mapping[str, str]) -> Iterator[str]:
    prefix = "typed"
    while any(name.lower().startswith(prefix) for name in taken):
        prefix += "_"
    return (f"{prefix}{number}" for number in range(len(taken)))


def _guards(column: str, typed: str, type_: str) -> str:
    """The comparison with the text as it stands comes first: it settles nearly every value at the least cost."""
    same = f"WHEN {typed}::VARCHAR IS NOT DISTINCT FROM {column} THEN {typed}"
    if type_ == "DOUBLE":
        return f"WHEN {typed}::VARCHAR IS NOT DISTINCT FROM {column} AND coalesce(isfinite({typed}), true) THEN {typed}"
    if not type_.startswith("DECIMAL"):
        return same
    # 2.5 with two decimals comes back as 2.50: what was written is the beginning of that, and the rest is zeros.
    return f"{same} WHEN starts_with({typed}::VARCHAR, {column}) AND NOT suffix({column}, '.') THEN {typed}"


def _terms(column: str, ladder: Sequence[str]) -> Iterator[str]:
    yield f"count({column})"
    for rung in ladder:
        typed = f"TRY_CAST({column} AS {rung})"
        if rung == "DECIMAL":
            number = f"regexp_full_match({column}, '{_PLAIN_NUMBER}')"
            yield f"bool_and({number} AND NOT regexp_full_match({column}, '{_NEGATIVE_ZERO}'))"
            yield f"max(strlen(split_part(ltrim({column}, '-'), '.', 1)))"
            yield f"max(strlen(split_part({column}, '.', 2)))"
        elif rung == "DOUBLE":
            yield f"bool_and({typed}::VARCHAR IS NOT DISTINCT FROM {column} AND coalesce(isfinite({typed}), true))"
        else:
            yield f"bool_and({typed}::VARCHAR IS NOT DISTINCT FROM {column})"


def _verdict(ladder: Sequence[str], answers: Iterator[object]) -> str | None:
    values = next(answers)
    fits: list[str] = []
    for rung in ladder:
        holds = next(answers)
        if rung == "DECIMAL":
            decimal = _decimal(next(answers), next(answers))
            if holds and decimal:
                fits.append(decimal)
        elif holds:
            fits.append(rung)
    if not values:
        return UNSEEN
    return fits[0] if fits else None


def _decimal(whole_digits: object, decimals: object) -> str | None:
    if not (isinstance(whole_digits, int) and isinstance(decimals, int)):
        return None
    for width in (_NARROW_DIGITS, _WIDE_DIGITS):
        if whole_digits + decimals <= width:
            return f"DECIMAL({width},{decimals})"
    return None
