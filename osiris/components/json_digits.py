"""Numbers of JSON files with all their digits. DuckDB's reader makes a double of each that has a point or an exponent.

A double gives back any number of up to 15 digits. Where one is longer and would change, the objects are written anew
with the numbers of the columns in question beside them as text: a pass that only such files need. A number with an
exponent is meant as a double, and stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osiris.components.base import StepContext, quote_identifier, quote_literal

# What a number that a double may change looks like somewhere, and what any number with a point looks like.
_MAY_BE_LONG = "[0-9][0-9.]{15}"
_FRACTION = r"[0-9]+\.[0-9]+"
# A JSON document in pieces that, put together, are the document: strings, numbers, and what is between them.
_PIECE = r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+'
_NO_COLUMN = "\x01"
"""Stands in no JSON document: as the delimiter of a CSV file with one column it keeps a line as it is."""


def keep_digits(
    ctx: StepContext, arguments: str, place: str, columns: Sequence[str], partitions: Sequence[str]
) -> Path | None:
    """A file with the objects that ``read_json(arguments)`` would read, if a double would change one of their numbers.

    It has an object a line, each with a further key ``place``: there ``c0``, ``c1`` and so on are, as text, the numbers
    of ``columns`` that have a point, and behind them the ``partitions``. None where the plain way is good enough.
    """
    objects = f"read_json_objects({arguments})"
    if not columns or not _would_change(ctx, objects):
        return None
    beside = [_number_at(quote_literal("/" + name.replace("~", "~0").replace("/", "~1"))) for name in columns]
    beside += [f"CAST({quote_identifier(key)} AS VARCHAR)" for key in partitions]
    fields = ", ".join(f"'c{number}', {value}" for number, value in enumerate(beside))
    beginning = quote_literal(f'{{"{place}":')
    rest = "if(regexp_full_match(line, '\\s*\\{\\s*\\}\\s*'), '}', ',' || substr(ltrim(line), 2))"
    pieces = f"regexp_extract_all(line, {quote_literal(_PIECE)})"
    in_quotes = """if(regexp_matches(piece, '^[0-9-]'), '"' || piece || '"', piece)"""
    as_text = f"array_to_string(list_transform({pieces}, lambda piece: {in_quotes}), '')"
    select = f"""
        SELECT {beginning} || json_object({fields}) || {rest}
        FROM (SELECT *, {as_text} AS texts
              FROM (SELECT *, translate(json, chr(10) || chr(13), '  ') AS line FROM {objects}))"""  # noqa: S608 - quoted
    file = ctx.work_dir / "digits.jsonl"
    form = f"FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER {quote_literal(_NO_COLUMN)}"
    ctx.con.execute(f"COPY ({select}) TO {quote_literal(str(file))} ({form})")
    return file


def _number_at(pointer: str) -> str:
    text = f"(texts ->> {pointer})"
    return f"CASE WHEN json_type(line, {pointer}) = 'DOUBLE' AND NOT regexp_matches({text}, '[eE]') THEN {text} END"


def _would_change(ctx: StepContext, objects: str) -> bool:
    """Whether one number, be it in a string, has other digits once it has been a double."""
    changed = f"{_significant('number')} <> {_significant('TRY_CAST(number AS DOUBLE)::VARCHAR')}"
    numbers = f"regexp_extract_all(json, {quote_literal(_FRACTION)})"
    any_changed = f"len(list_filter({numbers}, lambda number: coalesce({changed}, false))) > 0"
    rows = f"{objects} WHERE regexp_matches(json, {quote_literal(_MAY_BE_LONG)}) AND {any_changed} LIMIT 1"
    return bool(ctx.con.execute(f"SELECT 1 FROM {rows}").fetchall())  # noqa: S608 - quoted


def _significant(number: str) -> str:
    return f"trim(replace(split_part(lower({number}), 'e', 1), '.', ''), '0')"
