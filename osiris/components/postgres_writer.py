"""``postgres.writer``: rows into one table, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, StepContext, Written, quote_identifier
from osiris.components.file_output import sole_input
from osiris.components.interrupting import interrupting
from osiris.components.postgres_carriers import expression, find_carrier, goes_straight, refusal
from osiris.components.postgres_tables import find_table, table_columns, table_names
from osiris.components.postgres_target import STAGING, Target, make_staging, merge, new_table
from osiris.components.table_source import ConnectionName
from osiris.components.table_target import (
    CreateIfMissing,
    PrimaryKey,
    TableName,
    WriteMode,
    check_write_mode,
    missing_columns,
    missing_key_columns,
    missing_table,
)
from osiris.errors import ExitCode, OsirisError
from osiris.families import postgres
from osiris.families.base import FamilySpec
from osiris.families.postgres_session import Session

if TYPE_CHECKING:
    import duckdb

_OUTCOME_WAIT_S = 10.0
_OUTCOME_LOOK_S = 0.1


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which table, and what becomes of the rows that it has."""

    connection: ConnectionName = ""
    table: TableName
    schema: Annotated[str, Meta(description="Of the table; left out: as the search path has it")] = ""
    write_mode: WriteMode = "append"
    primary_key: PrimaryKey = ()
    create_if_missing: CreateIfMissing = False

    def __post_init__(self) -> None:
        """Mode and key have to go together."""
        check_write_mode(self.write_mode, self.primary_key)


SPEC = ComponentSpec(
    name="postgres.writer",
    version="1.0.0",
    summary="Writes rows to a table of PostgreSQL in one transaction.",
    modes=("write",),
    rows="none",
    connection_family="postgres",
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Written:
    """Write the rows."""
    return write(ctx, config, inputs, postgres.SPEC, postgres.conninfo(ctx.connection or {}, ctx.project_root))


def write(
    ctx: StepContext,
    config: Config,
    inputs: Mapping[str, duckdb.DuckDBPyRelation],
    family: FamilySpec,
    conninfo: str,
) -> Written:
    """Write the rows of the one input through the connection that ``conninfo`` leads to."""
    relation = sole_input(inputs)
    session = Session(family, conninfo, ctx.con, "write")
    with session, interrupting(ctx.cancel, session.cancel):
        target = _target(session, config, relation)
        rows = _load(ctx, session, target, relation.alias, config.write_mode)
        _commit(session, family, conninfo, ctx)
    return Written(rows=rows)


def _target(session: Session, config: Config, relation: duckdb.DuckDBPyRelation) -> Target:
    """The table, made if that is wanted; an error where its columns and those of the rows do not go together."""
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    carriers = {name: find_carrier(name, type_) for name, type_ in types.items()}
    absent = [name for name in config.primary_key if name not in types]
    if absent:
        raise missing_key_columns(absent, list(types))
    found = find_table(session, config.table, config.schema)
    if found is None:
        if not config.create_if_missing:
            raise missing_table(config.table, table_names(session, config.schema))
        made = {name: carrier.made for name, carrier in carriers.items()}
        session.execute(new_table(config.table, config.schema, made, config.primary_key))
        found = find_table(session, config.table, config.schema)
        assert found is not None
    there = {column.name: column for column in table_columns(session, found.oid)}
    missing = [name for name in types if name not in there]
    if missing:
        raise missing_columns(config.table, missing, list(there))
    for name, type_ in types.items():
        refused = refusal(there[name], type_, carriers[name])
        if refused is not None:
            raise refused
    columns = {name: (there[name], carrier) for name, carrier in carriers.items()}
    return Target(table=config.table, schema=found.schema, columns=columns, key=config.primary_key)


def _load(ctx: StepContext, session: Session, target: Target, source: str, write_mode: WriteMode) -> int:
    """Rows that fit as they are go straight into the table if they are only added; others through a staging table."""
    straight = write_mode == "append" and all(goes_straight(*column) for column in target.columns.values())
    names = {name: name for name in target.columns} if straight else target.places
    terms = [f"{expression(name, how)} AS {quote_identifier(names[name])}" for name, (_, how) in target.columns.items()]
    if not straight:
        make_staging(session, target)
        session.columns = {place: name for name, place in target.places.items()}
    with ctx.stream(f"SELECT {', '.join(terms)} FROM {quote_identifier(source)}") as rows:  # noqa: S608 - quoted
        if straight:
            return session.ingest(rows, target.table, target.schema)
        staged = session.ingest(rows, STAGING)
    return merge(session, target, write_mode, staged)


def _commit(session: Session, family: FamilySpec, conninfo: str, ctx: StepContext) -> None:
    """Commit; where the answer is lost, ask the server what became of the transaction."""
    [(transaction,)] = session.rows("SELECT txid_current()::int8")
    try:
        session.commit()
    except OsirisError as error:
        session.close()
        outcome = _outcome(family, conninfo, ctx, int(transaction))
        if outcome == "committed":
            ctx.log.warning("the connection was lost at the commit, which the server has done")
            return
        if outcome == "aborted":
            raise
        raise OsirisError(
            f"whether the rows were written is unknown, for the connection was lost at the commit: {error.problem}",
            "Look into the table, and run the step again only if the rows are not there.",
            code="write.outcome_unknown",
            exit_code=ExitCode.PIPELINE_FAILED,
        ) from error


def _outcome(family: FamilySpec, conninfo: str, ctx: StepContext, transaction: int) -> str:
    """``committed`` or ``aborted``; anything else if that cannot be known."""
    deadline_s = time.monotonic() + _OUTCOME_WAIT_S
    outcome = ""
    while time.monotonic() < deadline_s:
        try:
            with Session(family, conninfo, ctx.con, "write") as session:
                [(answer,)] = session.rows("SELECT txid_status($1::int8)", transaction)
        except OsirisError:
            answer = ""
        outcome = str(answer or "")
        if outcome in ("committed", "aborted"):
            break
        time.sleep(_OUTCOME_LOOK_S)  # the server has not noticed yet that nobody listens, or is starting again
    return outcome
