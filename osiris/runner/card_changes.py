"""The part of a card that says what changed since the last successful run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from osiris.runner.card_text import Citations, code, listed, plain
from osiris.runner.comparison import ManifestChanges
from osiris.runner.summary import Delta, RunSummary

_SLOWER_BY = 2
_WORTH_TELLING_MS = 1_000
_ENDED = {"success": "succeeded", "failed": "failed", "cancelled": "was cancelled", "interrupted": "was interrupted"}


def what_changed(summary: RunSummary, cite: Citations) -> Iterator[str]:
    """Lines for every status; also where there is nothing to compare with."""
    yield "## What changed since the last successful run"
    yield ""
    delta = summary.delta
    if delta is None:
        yield "Nothing to compare with: this is the first run of the pipeline in this profile that came to an end."
        return
    if delta.previous_run_id is None:
        yield f"Nothing to compare with: no run before it succeeded.{_last_attempt(delta)}"
        return
    began = f", started {summary.evidence['previous.started_at']} [previous.started_at]"
    yield f"Compared with {code(delta.previous_run_id)}{began}.{_last_attempt(delta)}"
    if delta.unsuccessful_since:
        runs = cite.number("delta.unsuccessful_since", "runs")
        yield f"Between the two, {runs} did not succeed."
    yield ""
    yield from _of_manifest(delta)
    yield from _pairs("version of ", delta.environment or {})
    yield from _of_numbers(summary, delta, cite)


def _last_attempt(delta: Delta) -> str:
    last = delta.last_attempt
    if last is None or last.run_id == delta.previous_run_id:
        return ""
    where = f" in step {code(last.error_step)}" if last.error_step else ""
    why = f" with {code(last.error_code)}{where}" if last.error_code and last.status == "failed" else ""
    return f" The run before this one, {code(last.run_id)}, {_ENDED.get(last.status, last.status)}{why}."


def _of_manifest(delta: Delta) -> Iterator[str]:
    changes = delta.manifest
    if not delta.manifest_changed:
        yield "- The build is the same."
        return
    if changes is None:
        yield "- The build is another; what changed in it cannot be told, for a manifest is gone."
        return
    yield "- The build is another."
    yield from _pairs("parameter ", changes.params)
    for step_id in changes.steps_added:
        yield f"- step {code(step_id)}: new"
    for step_id in changes.steps_removed:
        yield f"- step {code(step_id)}: gone"
    for step in changes.steps_changed:
        yield f"- step {code(step.id)}: {listed([code(key) for key in step.keys])} changed"
    yield from _pairs("component ", changes.components)
    yield from _pairs("required ", changes.requires)
    if changes.other and _tells_more(changes):
        yield f"- also changed: {listed([plain(name) for name in changes.other])}"


def _tells_more(changes: ManifestChanges) -> bool:
    """The source changes whenever anything in it does; that needs to be said only where nothing else was."""
    return changes.other != ("source",) or changes == ManifestChanges(other=("source",))


def _pairs(what: str, pairs: Mapping[str, tuple[object, object]]) -> Iterator[str]:
    for name, (before, after) in pairs.items():
        yield f"- {what}{code(name)}: from {_value(before)} to {_value(after)}"


def _value(value: object) -> str:
    return "nothing" if value is None else code(value)


def _of_numbers(summary: RunSummary, delta: Delta, cite: Citations) -> Iterator[str]:
    for what, key, unit in (("rows read", "rows_in", "rows"), ("rows written", "rows_out", "rows")):
        if change := cite.change(f"previous.{key}", f"run.{key}", unit):
            yield f"- {what}: {change}"
        elif summary.evidence.get(f"previous.{key}") is not None and f"run.{key}" in summary.evidence:
            yield f"- {what}: as many"
        else:
            yield f"- {what}: not comparable"
    if change := cite.change("previous.duration_ms", "run.duration_ms", "ms"):
        yield f"- duration: {change}"
    if delta.steps is None:
        yield "- steps: not comparable, for the pack of that run is gone"
    for step in delta.steps or ():
        if change := cite.change(f"previous.step.{step.id}.rows_out", f"step.{step.id}.rows_out", "rows"):
            yield f"- step {code(step.id)}: {change}"
        before, after = step.duration_ms
        if before is not None and after is not None and after - before >= _WORTH_TELLING_MS:
            took = cite.change(f"previous.step.{step.id}.duration_ms", f"step.{step.id}.duration_ms", "ms")
            if after >= before * _SLOWER_BY:
                yield f"- step {code(step.id)}: slower, {took}"
