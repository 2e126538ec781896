"""What changed since the last successful run, as the page tells it: a pure function of the pack and the runs between.

Values under a secret's name are masked here once more, for a pack may be older than the masking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from osiris.cli.report.unnamed import ChangeTable, further
from osiris.projections.runs import RunRecord
from osiris.redaction import mask_by_key
from osiris.runner.comparison import ManifestChanges, StepComparison
from osiris.runner.summary import Delta, PreviousAttempt, RunSummary

NEAR_MS = 100
NEAR_SHARE = 0.1
"""Two durations are about the same up to so many milliseconds, or such a share of the first, apart."""

_MEASURES = {"rows_in": "rows read", "rows_out": "rows written", "duration_ms": "duration"}
_STEP_MEASURES = {"rows_in": "rows in", "rows_out": "rows out", "duration_ms": "duration"}
_TOLD = frozenset(
    {"previous_run_id", "manifest_changed", *_MEASURES, "manifest", "environment", "steps", "last_attempt"}
    | {"unsuccessful_since"}
    | {"params", "steps_added", "steps_removed", "steps_changed", "components", "requires", "other"}
)
"""What this page has words for; see :mod:`~osiris.cli.report.unnamed` for the rest."""
_ENGINES = {"duckdb": "DuckDB", "python": "Python", "osiris": "Osiris"}
_OTHER = {"source": "the pipeline's file", "step order": "the order of the steps", "compiler": "the compiler"}
_LONGEST_VALUE = 500


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A number of this run beside that of the run before; None where it was not counted."""

    name: str
    in_ms: bool
    before: int | None
    now: int | None
    difference: int | None


class ValueChange(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter or a version; None on a side where there is none."""

    name: str
    before: str | None
    now: str | None


class StepEdit(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is new, gone or changed in the build; ``keys`` are what changed in it."""

    id: str
    kind: Literal["new", "gone", "changed"]
    keys: tuple[str, ...] = ()


class StepDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A step that did something else than before; ``measures`` are those that differ, and the duration.

    A status is None where the step is not in that run.
    """

    id: str
    before: str | None
    now: str | None
    measures: tuple[Measure, ...]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A run between the last success and this one."""

    run_id: str
    status: str
    error_code: str = ""
    error_step: str = ""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a delta. ``previous_run_id`` is "" where no run had succeeded, and then only attempts are told.

    ``build_told`` and ``steps_told`` are false where the other run's manifest or pack was gone. ``attempts`` are the
    newest, newest first; ``more_attempts`` how many there were before them, None where nobody counted.
    """

    previous_run_id: str
    previous_started_at: str
    same_build: bool
    build_told: bool
    params: tuple[ValueChange, ...]
    edits: tuple[StepEdit, ...]
    versions: tuple[ValueChange, ...]
    other: tuple[str, ...]
    measures: tuple[Measure, ...]
    steps: tuple[StepDifference, ...]
    alike: tuple[str, ...]
    steps_told: bool
    attempts: tuple[Attempt, ...]
    more_attempts: int | None
    facts: tuple[tuple[str, str], ...]
    tables: tuple[ChangeTable, ...]


def changes_of(summary: RunSummary, between: Sequence[RunRecord] = ()) -> Changes | None:
    """The delta of a pack, with the runs ``between``; None where no run of the pipeline and profile ended before."""
    delta = summary.delta
    if delta is None:
        return None
    built = delta.manifest or ManifestChanges()
    attempts = _attempts(delta, between)
    differences = tuple(found for step in delta.steps or () if (found := _difference(step)))
    shown = {step.id for step in differences}
    facts, tables = further({**_unnamed(delta), **_unnamed(built)})
    return Changes(
        previous_run_id=delta.previous_run_id or "",
        previous_started_at=str(summary.evidence.get("previous.started_at", "")),
        same_build=not delta.manifest_changed,
        build_told=not delta.manifest_changed or delta.manifest is not None,
        params=tuple(_param(name, pair) for name, pair in built.params.items()),
        edits=tuple(_edits(built)),
        versions=tuple(_versions(built, delta.environment or {})),
        other=_other(built),
        measures=tuple(_total(name, field, summary, delta) for field, name in _MEASURES.items()),
        steps=differences,
        alike=tuple(step.id for step in delta.steps or () if step.id not in shown),
        steps_told=delta.steps is not None,
        attempts=attempts,
        more_attempts=None if delta.unsuccessful_since is None else max(0, delta.unsuccessful_since - len(attempts)),
        facts=facts,
        tables=tables,
    )


def value_text(name: str, value: Any) -> str:
    """A parameter's value on the page: texts as they are, all else as JSON; masked where ``name`` is a secret's."""
    masked = mask_by_key({name: value})[name]
    text = masked if isinstance(masked, str) else msgspec.json.encode(masked).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}\N{HORIZONTAL ELLIPSIS}"


def _param(name: str, pair: tuple[Any, Any]) -> ValueChange:
    before, now = (None if side is None else value_text(name, side) for side in pair)
    if before is not None and before == now and type(pair[0]) is not type(pair[1]):  # the text "1" and the number 1
        before, now = (
            f'"{text}"' if isinstance(side, str) else text for text, side in zip((before, now), pair, strict=True)
        )
    return ValueChange(name=name, before=before, now=now)


def _edits(built: ManifestChanges) -> Iterator[StepEdit]:
    yield from (StepEdit(id=step_id, kind="new") for step_id in built.steps_added)
    yield from (StepEdit(id=step_id, kind="gone") for step_id in built.steps_removed)
    for step in built.steps_changed:
        yield StepEdit(id=step.id, kind="changed", keys=tuple(key.removeprefix("config.") for key in step.keys))


def _versions(
    built: ManifestChanges, environment: Mapping[str, tuple[str | None, str | None]]
) -> Iterator[ValueChange]:
    for what, pairs in (("component ", built.components), ("required ", built.requires), ("", environment)):
        for name, (before, now) in pairs.items():
            yield ValueChange(name=what + (name if what else _ENGINES.get(name, name)), before=before, now=now)


def _other(built: ManifestChanges) -> tuple[str, ...]:
    """The source changes whenever anything in it does: that is said only where nothing else was."""
    if built.other == ("source",) and built != ManifestChanges(other=("source",)):
        return ()
    return tuple(_OTHER.get(name, name) for name in built.other)


def _total(name: str, field: str, summary: RunSummary, delta: Delta) -> Measure:
    """What the other run had is noted in the pack also where this one cannot be compared with it."""
    now, difference = getattr(summary, field), getattr(delta, field)
    noted = summary.evidence.get(f"previous.{field}")
    before = now - difference if now is not None and difference is not None else noted
    before = before if isinstance(before, int) else None
    return Measure(name=name, in_ms=field.endswith("_ms"), before=before, now=now, difference=difference)


def _difference(step: StepComparison) -> StepDifference | None:
    """What is worth telling of a step; None where it did about the same."""
    same = all(pair[0] == pair[1] for pair in (step.status, step.rows_in, step.rows_out))
    if same and _is_near(*step.duration_ms):
        return None
    measures = []
    for field, name in _STEP_MEASURES.items():
        before, now = getattr(step, field)
        if before is None or now is None or step.status[0] != step.status[1]:
            continue  # how long a step took that failed says nothing beside one that did not
        if before == now and field != "duration_ms":
            continue
        measures.append(
            Measure(name=name, in_ms=field == "duration_ms", before=before, now=now, difference=now - before)
        )
    return StepDifference(id=step.id, before=step.status[0], now=step.status[1], measures=tuple(measures))


def _is_near(before: int | None, now: int | None) -> bool:
    if before is None or now is None:
        return before is now
    return abs(now - before) <= max(NEAR_MS, before * NEAR_SHARE)


def _attempts(delta: Delta, between: Sequence[RunRecord]) -> tuple[Attempt, ...]:
    """The runs between, else, where the ledger did not tell them, the one that the delta knows."""
    if between:
        return tuple(_recorded(record) for record in between)
    last: PreviousAttempt | None = delta.last_attempt
    if last is None or last.run_id == delta.previous_run_id or last.status == "success":
        return ()
    return (Attempt(run_id=last.run_id, status=last.status, error_code=last.error_code, error_step=last.error_step),)


def _recorded(record: RunRecord) -> Attempt:
    code, step = (record.error.code, record.error.step) if record.error else ("", "")
    return Attempt(run_id=record.run_id, status=record.status, error_code=code, error_step=step)


def _unnamed(found: msgspec.Struct) -> dict[str, Any]:
    fields: dict[str, Any] = mask_by_key(msgspec.to_builtins(found))
    return {name: value for name, value in fields.items() if name not in _TOLD}
