"""What a family of connections is: one module with a ``SPEC``, a function that checks a connection, one that lists it.

A family's module imports its library only where it is used, so that naming the family costs nothing. Reading and
writing rows is the business of the components that use such a connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from osiris.errors import OsirisError

Values = Mapping[str, Any]
"""The resolved values of one connection, secrets among them: in memory only."""


class ConnectionField(msgspec.Struct, frozen=True, kw_only=True):
    """One key below ``connections.<family>.<alias>``; ``default`` is what stands for it where it is left out."""

    name: str
    description: str
    required: bool = False
    secret: bool = False
    default: str = ""


class FamilySpec(msgspec.Struct, frozen=True, kw_only=True):
    """The face of a family. ``extra`` is the extra of this package that installs what it needs, "" for none."""

    name: str
    title: str
    fields: tuple[ConnectionField, ...]
    extra: str = ""

    @property
    def secret_fields(self) -> tuple[str, ...]:
        """The names of the fields that are secret."""
        return tuple(field.name for field in self.fields if field.secret)


CheckName = Literal["reach", "sign in", "version", "permission"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was tried with a connection: ``detail`` is what was found, or ``problem`` why it failed."""

    name: CheckName
    duration_ms: float
    detail: str = ""
    code: str = ""
    problem: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return not self.problem


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a table: ``type`` is the database's own name for it."""

    name: str
    type: str
    nullable: bool = True


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table or view. ``rows`` is the database's own estimate, null where it has none; never counted."""

    name: str
    schema: str = ""
    kind: Literal["table", "view"] = "table"
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    rows: int | None = None


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One registered family. Both functions are given the project's root, from which paths of files count.

    ``check`` tries one thing after the other, all within the seconds it is given, and ends after the first that fails.
    ``tables`` lists what a connection leads to; None where there is nothing to list (an HTTP API).
    """

    spec: FamilySpec
    check: Callable[[Values, Path, float], Iterator[Check]]
    tables: Callable[[Values, Path], Sequence[Table]] | None = None


def checked(name: CheckName, trial: Callable[[], str]) -> Check:
    """``trial`` as a check: ``trial`` gives a detail, or raises OsirisError."""
    start_ns = time.perf_counter_ns()
    try:
        detail = trial()
    except OsirisError as error:
        return Check(name=name, duration_ms=_since(start_ns), code=error.code, problem=error.problem, hint=error.hint)
    return Check(name=name, duration_ms=_since(start_ns), detail=detail)


def missing_extra(spec: FamilySpec, cause: ImportError) -> OsirisError:
    """The error for a library that is not installed: it names the extra."""
    return OsirisError(
        f"{spec.title} needs the package {cause.name}, which is not installed here",
        f"Install it: pip install 'osiris[{spec.extra}]'.",
        code="connection.extra_missing",
    )


def _since(start_ns: int) -> float:
    return round((time.perf_counter_ns() - start_ns) / 1e6, 1)
