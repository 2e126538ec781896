"""Trying connections, all at once: what can be reached and used, and where it fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

import msgspec

from osiris.connections.file import Connection
from osiris.connections.resolve import resolve_masked
from osiris.connections.variables import Variables
from osiris.errors import OsirisError
from osiris.families import find_family
from osiris.families.base import Check, CheckName, Family, Values
from osiris.redaction import known_secrets


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one connection; ``unchecked``: nothing is known of its family, so nothing was tried."""

    connection: str
    status: Literal["ok", "failed", "unchecked"]
    duration_ms: float
    checks: tuple[Check, ...]


def examine(connections: Sequence[Connection], variables: Variables, root: Path, timeout_s: float) -> list[Diagnosis]:
    """Try ``connections``, each within ``timeout_s`` seconds in all. No text of the result holds a secret.

    Who has not answered by then is left behind in a thread, which ends with the process.
    """
    pool = ThreadPoolExecutor(max_workers=max(1, len(connections)), thread_name_prefix="osiris-doctor")
    done: list[list[Check]] = [[] for _ in connections]
    trials: list[Future[None]] = []
    # Every variable is looked up before anybody is asked: a message may hold the secret of another connection.
    values = [_values(connection, variables, checks) for connection, checks in zip(connections, done, strict=True)]
    deadline = time.monotonic() + timeout_s
    for connection, its, checks in zip(connections, values, done, strict=True):
        family = find_family(connection.family)
        trials.append(pool.submit(_try, family if its is not None else None, its or {}, root, timeout_s, checks))
    pool.shutdown(wait=False)
    for trial, checks in zip(trials, done, strict=True):
        try:
            trial.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            checks.append(_timeout(checks, timeout_s))
    return [_diagnosis(connection, tuple(checks), root) for connection, checks in zip(connections, done, strict=True)]


def _values(connection: Connection, variables: Variables, checks: list[Check]) -> Values | None:
    """The resolved values; what is missing for that is a failed check."""
    family = find_family(connection.family)
    try:
        return resolve_masked(connection, variables, family.spec.secret_fields if family else ()).values
    except OsirisError as error:
        checks.extend(
            Check(name="reach", duration_ms=0.0, code=error.code, problem=finding.problem, hint=finding.hint)
            for finding in error.findings
        )
        return None


def _try(family: Family | None, values: Values, root: Path, timeout_s: float, checks: list[Check]) -> None:
    try:
        for check in family.check(values, root, timeout_s) if family else ():
            checks.append(check)  # one at a time: what is done counts when the next does not end
    except OsirisError as error:
        name = _next(checks)
        checks.append(Check(name=name, duration_ms=0.0, code=error.code, problem=error.problem, hint=error.hint))


def _timeout(checks: Sequence[Check], timeout_s: float) -> Check:
    waited_ms = round(max(0.0, timeout_s * 1000 - sum(check.duration_ms for check in checks)), 1)
    hint = "Check host, port and firewall, or give it more time: --timeout 10."
    problem = f"no answer within {timeout_s:g} s"
    return Check(name=_next(checks), duration_ms=waited_ms, code="connection.timeout", problem=problem, hint=hint)


def _next(checks: Sequence[Check]) -> CheckName:
    """What comes behind the checks that were done."""
    names: tuple[CheckName, ...] = get_args(CheckName)
    last = names.index(checks[-1].name) if checks else -1
    return names[min(last + 1, len(names) - 1)]


def _diagnosis(connection: Connection, checks: tuple[Check, ...], root: Path) -> Diagnosis:
    status: Literal["ok", "failed", "unchecked"] = "unchecked"
    if checks:
        status = "ok" if all(check.ok for check in checks) else "failed"
    return Diagnosis(
        connection=connection.name,
        status=status,
        duration_ms=round(sum(check.duration_ms for check in checks), 1),
        checks=tuple(_presentable(check, root) for check in checks),
    )


def _presentable(check: Check, root: Path) -> Check:
    """Without secrets, and with files below the project's root named from there."""
    texts = {name: getattr(check, name) for name in ("detail", "problem", "hint")}
    for name, text in texts.items():
        for folder in {str(root.absolute()), str(root.resolve())}:
            text = text.replace(f"{folder.rstrip('/')}/", "")
        texts[name] = known_secrets().scrub(text)
    return msgspec.structs.replace(check, **texts)
