"""``run-card.md``: what a person or a language model should read first about a run.

Each number is followed by the id of its evidence in ``summary.json``. Every part has a bound of its own, and says where
the rest is; together they stay under the card's limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from osiris.compiler.manifest import Manifest, ManifestStep
from osiris.events.runs import RunStarted
from osiris.redaction import MASK, is_secret_key
from osiris.runner.annex import ANNEX_NAME, Annex
from osiris.runner.card_changes import what_changed
from osiris.runner.card_text import Citations, bounded, code, listed, plain, quoted
from osiris.runner.causes import likely_causes
from osiris.runner.summary import COMPLETED, RunSummary, StepSummary

CARD_LIMIT_BYTES = 300 * 1024
_PARAMS_BYTES = 20 * 1024
_STEPS_BYTES = 100 * 1024
_OUTPUTS_BYTES = 40 * 1024
_CHANGES_BYTES = 60 * 1024
_CAUSES_BYTES = 20 * 1024
_REASONS = {"failed": "Why it failed", "cancelled": "Why it was stopped", "interrupted": "Why it has no end"}
_MANY_STEPS = 200
_REST = "- (and more, all of them in `summary.json`)"


def render_card(summary: RunSummary, annex: Annex, manifest: Manifest | None, started: RunStarted) -> str:
    """The card, at most ``CARD_LIMIT_BYTES``; ``manifest`` is None where it is gone."""
    cite = Citations(summary.evidence)
    steps = {step.id: step for step in manifest.steps} if manifest else {}
    parts: list[Iterator[str]] = [
        _head(summary, manifest, cite),
        bounded(_what_ran(summary, steps, cite), _STEPS_BYTES, _REST),
        bounded(_outputs(summary, steps, cite), _OUTPUTS_BYTES, _REST),
        bounded(what_changed(summary, cite), _CHANGES_BYTES, _REST),
        _failure(summary, manifest, cite),
        _warnings(annex, cite),
        _look_further(summary, started, annex, cite),
    ]
    sections = ["\n".join(lines) for part in parts if (lines := list(part))]
    return "\n\n".join(sections) + "\n"


def _head(summary: RunSummary, manifest: Manifest | None, cite: Citations) -> Iterator[str]:
    yield f"# {plain(manifest.pipeline.name if manifest else summary.pipeline_slug)}: {summary.status}"
    yield ""
    intent = manifest.pipeline.intent or manifest.pipeline.description if manifest else ""
    if intent:
        yield f"**Intent:** {plain(intent)}"
        yield ""
    profile = f", profile {code(summary.profile)}" if summary.profile else ""
    yield (
        f"Run {code(summary.run_id)} of pipeline {code(summary.pipeline_slug)}{profile}, "
        f"build {code(summary.manifest_short)}."
    )
    yield _course(summary, cite)
    if summary.resumed_from:
        yield f"It went on with run {code(summary.resumed_from)}, whose steps were reused as far as they had been kept."
    if manifest is None:
        yield "Its manifest is gone, so that its intent and the steps that it never came to are not known."
    elif manifest.params:
        shown = ((name, MASK if is_secret_key(name) else value) for name, value in manifest.params.items())
        yield ""
        yield "Parameters:"
        yield ""
        yield from bounded(
            (f"- {code(name)}: {code(value)}" for name, value in shown), _PARAMS_BYTES, "- (and more, in the manifest)"
        )
    if summary.tags:
        yield ""
        yield f"Tags: {listed([code(tag) for tag in summary.tags], most=50)}."


def _course(summary: RunSummary, cite: Citations) -> str:
    """When, how long, how many rows."""
    began = f"Started {summary.started_at} [run.started_at]"
    if summary.status == "interrupted":
        sign = cite.number("run.last_event_ms", "ms")
        last = f", gave its last sign of life after {sign}" if sign else ", left no log"
        return f"{began}{last}, and was found dead {summary.completed_at} [run.completed_at]."
    read = cite.number("run.rows_in", "rows") or "an uncounted number of rows"
    wrote = cite.number("run.rows_out", "rows") or "an uncounted number"
    return f"{began}, took {cite.number('run.duration_ms', 'ms')}, read {read}, wrote {wrote}."


def _what_ran(summary: RunSummary, manifest: dict[str, ManifestStep], cite: Citations) -> Iterator[str]:
    yield "## What ran"
    yield ""
    ran = [step for step in summary.steps if step.status != "skipped"]
    if not ran:
        yield f"None of its {cite.number('run.steps', 'steps')} began."
        return
    if len(ran) > 1 and summary.status == "success":
        yield f"All of its {cite.number('run.steps', 'steps')}, in this order:"
        yield ""
    if len(ran) > _MANY_STEPS:
        ran.sort(key=lambda step: step.status in COMPLETED)  # what a reader looks for must not be beyond the bound
    for step in ran:
        yield _step_line(step, manifest.get(step.id), cite)
    if len(ran) < len(summary.steps):
        yield ""
        yield f"The others of its {cite.number('run.steps', 'steps')} did not begin."


def _step_line(step: StepSummary, planned: ManifestStep | None, cite: Citations) -> str:
    taken, given, took = (
        cite.number(f"step.{step.id}.{key}", unit)
        for key, unit in (("rows_in", "rows"), ("rows_out", "rows"), ("duration_ms", "ms"))
    )
    mode = planned.mode if planned else "transform"
    if mode == "read":
        rows = f"read {given}" if given else ""
    elif mode == "write":
        rows = f"wrote {given}" if given else ""
    else:
        rows = ", ".join(part for part in (f"took {taken}" if taken else "", f"gave {given}" if given else "") if part)
    if step.status == "reused":
        rows = given
    elif not rows and step.status == "success":
        rows = "rows not counted"
    retries = cite.number(f"step.{step.id}.retries", "retries")
    facts = [step.status, rows, f"after {retries}" if retries else "", took]
    what = f" ({step.component})" if step.component else ""
    return f"- {code(step.id)}{what}: {', '.join(fact for fact in facts if fact)}"


def _outputs(summary: RunSummary, manifest: dict[str, ManifestStep], cite: Citations) -> Iterator[str]:
    wrote = [
        step.id
        for step in summary.steps
        if step.status in COMPLETED and step.id in manifest and manifest[step.id].mode == "write"
    ]
    if summary.artifacts:
        yield "## What it wrote"
        yield ""
        for number, artifact in enumerate(summary.artifacts, start=1):
            size = cite.number(f"artifact.{number}.bytes", "bytes")
            yield f"- {code(artifact.path)}: {size}, SHA-256 `{artifact.sha256}`, by step {code(artifact.step)}"
    elif summary.status != "success" and wrote:
        yield "## What it wrote"
        yield ""
        yield f"The output of {listed([code(step) for step in wrote])} was put in place before the run ended."
    elif summary.status in ("failed", "cancelled"):
        yield "No step came to the end of writing an output."


def _failure(summary: RunSummary, manifest: Manifest | None, cite: Citations) -> Iterator[str]:
    error = summary.error
    if error is None:
        if summary.status == "cancelled":
            yield f"## {_REASONS['cancelled']}"
            yield ""
            yield "It was stopped from outside, as by Ctrl-C or SIGTERM. Nothing says that it would have failed."
        return
    yield f"## {_REASONS.get(summary.status, 'What went wrong')}"
    yield ""
    where = f" in step {code(error.step)}" if error.step else ""
    line = f", line {cite.number('run.error_line')}" if error.line else ""
    column = f", column {cite.number('run.error_column')}" if error.column else ""
    of_query = " of its query" if line else ""
    yield f"{code(error.code)} [run.error]{where}{line}{column}{of_query}:"
    yield ""
    yield from quoted(error.message)
    if summary.status == "interrupted":
        running = [step.id for step in summary.steps if step.status == "interrupted"]
        if running:
            yield ""
            yield f"Running when it ended: {listed([code(step) for step in running])}."
    causes = list(bounded((f"- {cause}" for cause in likely_causes(summary, manifest, cite)), _CAUSES_BYTES, _REST))
    if causes:
        yield ""
        yield "Likely cause, judging by what changed:"
        yield ""
        yield from causes
    if error.hint:
        yield ""
        yield f"What to do: {plain(error.hint)}"


def _warnings(annex: Annex, cite: Citations) -> Iterator[str]:
    if annex.warnings:
        yield "## Warnings"
        yield ""
        yield f"{cite.number('run.warnings', 'warnings')}:"
        yield ""
        yield from (f"- {code(step)}: {plain(message)}" for step, message in annex.first_warnings)
        if annex.warnings > len(annex.first_warnings):
            yield "- (and more, in `annex/errors.ndjson`)"


def _look_further(summary: RunSummary, started: RunStarted, annex: Annex, cite: Citations) -> Iterator[str]:
    name = f"{summary.pipeline_slug}/{summary.run_id}"
    yield "## Look further"
    yield ""
    yield f"- `osiris runs show {name}`: the run as the ledger has it"
    yield f"- `osiris aiop show {name} --json`: `summary.json`, with all evidence"
    if summary.delta and summary.delta.previous_run_id:
        before = f"{summary.pipeline_slug}/{summary.delta.previous_run_id}"
        yield f"- `osiris runs diff {before} {name}`: the last successful run and this one, side by side"
    yield f"- `osiris logs show {name}`: its log"
    yield f"- `osiris events --run {name}`: its entries in the journal"
    if summary.status != "success":
        yield f"- `osiris run {started.manifest_path}`: the same build once more"
    yield f"- `{started.run_logs_path}`: its own files"
    yield f"- `{started.manifest_path}`: its manifest"
    for file in annex.files:
        stem = file.name.partition(".")[0]
        lines = cite.number(f"annex.{stem}.lines", "lines")
        cut = f"; {cite.number(f'annex.{stem}.cut', 'lines')} from the middle of the log left out" if file.cut else ""
        if file.lines:
            yield f"- {code(f'{ANNEX_NAME}/{file.name}')}: {lines}{cut}"
