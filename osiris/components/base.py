"""What a component is: one file with a ``Config`` Struct, a ``SPEC`` and a ``run`` function.

A step takes its inputs as DuckDB relations and gives a relation (or anything with ``__arrow_c_stream__``) back, or,
for a writer, says what it wrote. Rows never pass through Python objects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from osiris.errors import OsirisError

if TYPE_CHECKING:
    import duckdb

Mode = Literal["read", "transform", "write"]

CONNECTION_KEY = "connection"
"""The field of a ``Config`` that names a connection: ``connection: str = ""``."""

ADDED_LATER: dict[str, Any] = {"x-added-later": True}
"""``Meta(extra_json_schema=ADDED_LATER)`` marks a field of a ``Config`` that came after its component's first release.

While it has its default it stands in no build, and it enters no fingerprint of the component: pipelines that do not use
it keep their manifest hashes.
"""


class AnyConnection(msgspec.Struct, frozen=True, kw_only=True):
    """What a component's connection holds where its module has no ``Connection`` of its own: nothing is checked."""


class ComponentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The face of a component: what the validator, the manifest and ``components show`` know of it.

    ``version`` is part of every manifest hash: raise it when the same config gives other rows or bytes.
    ``rows`` says how a producer hands its rows on: a lazy DuckDB relation, or an Arrow stream that is read once.
    A component that uses connections of a family (``postgres``) names it in ``connection_family``, and its ``Config``
    has a field ``connection: str = ""``; ``secret_fields`` are then fields of its connection as well. A ``Connection``
    Struct in its module says what such a connection holds, which is checked before a run begins. A step that
    gives the field ``connection_unless`` (``url``) uses none. One whose ``path`` may be a URL says in ``path_schemes``
    which: there a step may give a connection of the family of that name.
    """

    name: str
    version: str
    summary: str
    modes: tuple[Mode, ...]
    secret_fields: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    rows: Literal["relation", "stream", "none"] = "relation"
    connection_family: str = ""
    connection_unless: str = ""
    path_schemes: tuple[str, ...] = ()

    def family_for(self, config: msgspec.Struct | None) -> str:
        """The family of the connection that a step with ``config`` uses, "" where it uses none."""
        if self.connection_unless and getattr(config, self.connection_unless, ""):
            return ""
        if self.connection_family or not getattr(config, CONNECTION_KEY, ""):
            return self.connection_family
        scheme = str(getattr(config, "path", "")).partition("://")[0]
        return scheme if scheme in self.path_schemes else ""


class Produced(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``read`` or ``transform`` step gives: its rows, not read yet.

    ``rows`` is a relation on ``ctx.con`` or an object with ``__arrow_c_stream__``. ``row_count`` is the exact number of
    rows where the source itself says it (a Parquet footer). ``files`` are the files that the relation scans, in order
    and named as DuckDB was told: by them the runner finds the scan, and its rows, in DuckDB's profile. ``refine``
    belongs to a guess that reading may refute: it gives a corrected relation, or None when the guess was right and the
    failure has another cause.

    Two fields are for a stream: ``select`` is what to take of it, as SQL, and ``failure`` is asked when the statement
    that read it has failed with that exception: it gives the step's own error, or None when the source is not to blame.
    """

    rows: Any
    row_count: int | None = None
    files: tuple[str, ...] = ()
    refine: Callable[[], duckdb.DuckDBPyRelation | None] | None = None
    select: str = "*"
    failure: Callable[[BaseException], OsirisError | None] | None = None


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that a writer put in place: path relative to the project's root where it lies inside it."""

    path: str
    bytes: int
    sha256: str


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``write`` step did: the exact number of rows written, and the files that now stand."""

    rows: int
    files: tuple[WrittenFile, ...] = ()


class CancelToken(Protocol):
    """Asked by long loops of a component; DuckDB statements are interrupted without it."""

    @property
    def cancelled(self) -> bool:
        """Whether the run is being stopped."""
        ...


class ArrowStream(Protocol):
    """Rows that can be taken once; ``rows`` is how many have been."""

    rows: int

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The capsule of the C stream interface."""
        ...


class StepContext(Protocol):
    """What the runner gives a step.

    ``con`` is the stage's own cursor; every relation in ``inputs`` is a view on it, whose name in SQL is its ``alias``.
    ``held`` takes what has to stay open until the step's rows have been read: it is closed when this try ends.
    """

    step_id: str
    run_id: str
    project_root: Path
    con: duckdb.DuckDBPyConnection
    connection: Mapping[str, Any] | None
    log: logging.Logger
    cancel: CancelToken
    held: ExitStack

    @property
    def output_dir(self) -> Path:
        """A folder of the step's own among the run's artifacts, made when it is first asked for; empty for each try."""
        ...

    @property
    def work_dir(self) -> Path:
        """A folder of the step's own for what it spills, made and emptied like ``output_dir``; gone after the run."""
        ...

    def consume(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute the one statement that reads this step's inputs, and give its result rows.

        Every writer reads its inputs through this call or through ``stream``, and once: the row counts of the steps
        before it come from there.
        """
        ...

    def stream(self, sql: str) -> AbstractContextManager[ArrowStream]:
        """The rows of the one statement that reads this step's inputs, for a library that takes Arrow.

        They have to be read to their end within the block. What the statement itself fails with takes the place of
        what the library makes of it.
        """
        ...

    def metric(self, name: str, value: float, unit: str = "") -> None:
        """Record one measurement of this step in the run's ``metrics.jsonl``."""
        ...

    def progress(self, rows: int) -> None:
        """Report how many rows have been handled so far."""
        ...


class Component(msgspec.Struct, frozen=True):
    """One registered component."""

    spec: ComponentSpec
    config_type: type[msgspec.Struct]
    run: Callable[[StepContext, Any, Mapping[str, duckdb.DuckDBPyRelation]], Produced | Written]
    connection_type: type[msgspec.Struct] = AnyConnection


def quote_identifier(name: str) -> str:
    """``name`` as a SQL identifier, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """``text`` as a SQL string literal, whatever stands in it."""
    return "'" + text.replace("'", "''") + "'"
