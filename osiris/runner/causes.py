"""What may have made a run fail: only what is certain, from the error and from what changed since the last success.

No line here guesses. Each says something that is true of this run and the one it is compared with; that it bears on the
failure is likely, because it concerns the step that failed, what that step reads, or all steps.
"""

from __future__ import annotations

from collections.abc import Iterator

from osiris.compiler.manifest import Manifest
from osiris.events.runs import RunError
from osiris.runner.card_text import Citations, code, listed
from osiris.runner.comparison import ManifestChanges
from osiris.runner.summary import Delta, RunSummary

_VERSION_NAMES = {"duckdb": "DuckDB", "python": "Python", "osiris": "Osiris", "platform": "The platform"}
_FAR_FEWER = 10
_FAR_MORE = 10


def likely_causes(summary: RunSummary, manifest: Manifest | None, cite: Citations) -> Iterator[str]:
    """Sentences, the most telling first; none where nothing is known."""
    error, delta = summary.error, summary.delta
    if error is None or summary.status == "cancelled":
        return
    if delta is not None and delta.last_attempt is not None:
        yield from _same_as_before(error, delta)
    if summary.status == "interrupted":
        return  # what kills a process does not look at the pipeline
    if delta is None or delta.previous_run_id is None:
        yield "No run of this pipeline has succeeded in this profile yet, so there is nothing to compare it with."
        return
    concerned = _upstream(manifest, error.step) if manifest else ()
    found = [*_of_manifest(delta, error.step, concerned), *_of_sources(delta, concerned, cite), *_of_versions(delta)]
    yield from found
    if not found and delta.manifest is not None:
        unchanged = "the failed step, nor a step that it depends on," if error.step else "a step"
        yield (
            f"Neither {unchanged} nor a version changed since the last successful run: look at the data that was "
            "read, at the target and at the machine."
        )


def _same_as_before(error: RunError, delta: Delta) -> Iterator[str]:
    last = delta.last_attempt
    if last and last.error_code == error.code and last.error_step == error.step:
        where = f" in step {code(error.step)}" if error.step else ""
        yield f"The run before this one, {code(last.run_id)}, ended with the same {code(error.code)}{where}."


def _upstream(manifest: Manifest, step_id: str) -> tuple[str, ...]:
    """The step and all that it waits for, nearest first; every step where the error belongs to none."""
    steps = {step.id: step for step in manifest.steps}
    if step_id not in steps:
        return tuple(steps)
    found = [step_id]
    for known in found:  # it grows while it is walked through
        needed = (*steps[known].inputs.values(), *steps[known].needs)
        found += [need for need in dict.fromkeys(needed) if need in steps and need not in found]
    return tuple(found)


def _of_manifest(delta: Delta, failed: str, concerned: tuple[str, ...]) -> Iterator[str]:
    changes = delta.manifest
    if changes is None or changes == ManifestChanges():
        return
    changed = {step.id: step.keys for step in changes.steps_changed}
    for step_id in concerned:
        which = f"Step {code(step_id)}" + ("" if failed in ("", step_id) else ", which it depends on,")
        if step_id in changes.steps_added:
            yield f"{which} is new since the last successful run."
        elif step_id in changed:
            yield f"{which} changed since the last successful run: {_keys(changed[step_id])}."
    # Parameters are written into configs and reach a step no other way.
    configs = [key for step_id in concerned for key in changed.get(step_id, ()) if key.startswith("config")]
    if changes.params and configs:
        names = listed([code(name) for name in changes.params])
        yield f"Parameters have other values than in the last successful run: {names}."


def _keys(keys: tuple[str, ...]) -> str:
    return "its query" if keys == ("config.query",) else listed([code(key) for key in keys])


def _of_sources(delta: Delta, concerned: tuple[str, ...], cite: Citations) -> Iterator[str]:
    """Rows of the steps before it that came to nothing, from nothing, or changed tenfold."""
    for step in delta.steps or ():
        before, after = step.rows_out
        if step.id not in concerned or before is None or after is None or before == after:
            continue
        if after == 0 or before == 0 or after * _FAR_FEWER <= before or before * _FAR_MORE <= after:
            change = cite.change(f"previous.step.{step.id}.rows_out", f"step.{step.id}.rows_out", "rows")
            yield f"What step {code(step.id)} gave went {change}."


def _of_versions(delta: Delta) -> Iterator[str]:
    for name, (before, after) in (delta.environment or {}).items():
        if before and after:
            what = _VERSION_NAMES.get(name, code(name))
            yield f"{what} is {code(after)}; the last successful run had {code(before)}."
