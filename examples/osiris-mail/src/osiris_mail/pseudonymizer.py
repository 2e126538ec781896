"""``mail.pseudonymizer``: the same text gets the same pseudonym, and only who has the key can tell whose it is.

A pseudonym is the beginning of HMAC-SHA256 (RFC 2104) in hex, computed by DuckDB. The key comes from a connection, so
that it stands in no pipeline, build or log.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext, quote_identifier, quote_literal
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    import duckdb

_BLOCK_BYTES = 64
_DIGITS = 32
_SHORTEST_KEY = 16


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to replace, and by whose key."""

    columns: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Columns of text or lists of text to replace", examples=[["sender"]]),
    ]
    connection: Annotated[str, Meta(description="Which key to use; left out: the default one")] = ""


class Connection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key for pseudonyms."""

    key: Annotated[str, Meta(min_length=_SHORTEST_KEY, description="The secret that pseudonyms are made with")]


SPEC = ComponentSpec(
    name="mail.pseudonymizer",
    version="1.0.0",
    summary="Replaces texts by pseudonyms that only the owner of a key can assign.",
    modes=("transform",),
    secret_fields=("key",),
    connection_family="pseudonyms",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:
    """The rows of the one input with other values in ``columns``; NULL stays NULL. Nothing is computed yet."""
    relation = _sole(inputs)
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    _remember_key(ctx)
    replaced = [
        f"{_pseudonym(ctx, name, _type_of(name, types))} AS {quote_identifier(name)}" for name in config.columns
    ]
    view = quote_identifier(relation.alias)
    return Produced(rows=ctx.con.sql(f"SELECT * REPLACE ({', '.join(replaced)}) FROM {view}"))  # noqa: S608 - quoted


def _sole(inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> duckdb.DuckDBPyRelation:
    """The one relation, which has several names where its step has."""
    relations = {relation.alias: relation for relation in inputs.values()}
    if len(relations) != 1:
        raise _refused(f"it takes the rows of one step, not of {len(relations)}", "Join them in a query before.")
    return next(iter(relations.values()))


def _type_of(name: str, types: Mapping[str, str]) -> str:
    type_ = types.get(name)
    if type_ is None:
        raise _refused(f"there is no column {name}", f"The columns are {', '.join(types)}.")
    if type_ not in ("VARCHAR", "VARCHAR[]"):
        raise _refused(f"the column {name} is {type_}, not text", "Cast it to VARCHAR in a query before.")
    return type_


def _remember_key(ctx: StepContext) -> None:
    """Put the two halves of the key into variables of the step's cursor: a key in a statement could be seen."""
    key = str((ctx.connection or {})["key"]).encode()
    block = (key if len(key) <= _BLOCK_BYTES else sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
    for half, pad in (("inner", 0x36), ("outer", 0x5C)):
        name = quote_identifier(f"{half} key of {ctx.step_id}")
        ctx.con.execute(f"SET VARIABLE {name} = ?::BLOB", [bytes(byte ^ pad for byte in block)])


def _pseudonym(ctx: StepContext, name: str, type_: str) -> str:
    """The SQL expression for a column's new value."""
    inner, outer = (f"getvariable({quote_literal(f'{half} key of {ctx.step_id}')})" for half in ("inner", "outer"))
    column = quote_identifier(name)
    text = "value" if type_ == "VARCHAR[]" else column
    digest = f"left(sha256({outer} || unhex(sha256({inner} || encode({text})))), {_DIGITS})"
    return f"list_transform({column}, lambda value: {digest})" if type_ == "VARCHAR[]" else digest


def _refused(problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code="transform.pseudonyms", exit_code=ExitCode.PIPELINE_FAILED)
