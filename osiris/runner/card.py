"""``run-card.md``: what a person or a language model should read first about a run."""

from __future__ import annotations

from collections.abc import Iterator

from osiris.compiler.manifest import Manifest
from osiris.events.runs import RunError, RunStarted
from osiris.runner.summary import Delta, RunSummary, StepSummary

CARD_LIMIT_BYTES = 300 * 1024
_LONGEST_TEXT = 2_000
_CONTROLS = {ord(text): " " for text in (*map(chr, range(0x20)), "\x7f", "\x85", "\u2028", "\u2029") if text != "\n"}


def render_card(summary: RunSummary, manifest: Manifest, started: RunStarted) -> str:
    """The card, at most 300 KB; a step table that would be longer is cut, and says so."""
    lines = [*_head(summary, manifest), *_what_ran(summary.steps, len(manifest.steps)), *_outputs(summary)]
    lines += [*_changes(summary.delta), *_failure(summary.error), *_look_further(summary, started)]
    card = "\n".join(lines) + "\n"
    if len(card.encode()) <= CARD_LIMIT_BYTES:
        return card
    cut = card.encode()[: CARD_LIMIT_BYTES - 200].decode(errors="ignore").rsplit("\n", 1)[0]
    return f"{cut}\n\n(cut at {CARD_LIMIT_BYTES // 1024} KB; `summary.json` beside this card is whole)\n"


def _head(summary: RunSummary, manifest: Manifest) -> Iterator[str]:
    yield f"# {_text(manifest.pipeline.name)}: {summary.status}"
    yield ""
    intent = manifest.pipeline.intent or manifest.pipeline.description
    if intent:
        yield f"**Intent:** {_text(intent)}"
        yield ""
    profile = f" in profile `{summary.profile}`" if summary.profile else ""
    yield f"Run `{summary.run_id}` of pipeline `{summary.pipeline_slug}`{profile}, manifest `{summary.manifest_short}`."
    yield (
        f"Started {summary.started_at}, took {summary.duration_ms:,} ms, read {_count(summary.rows_in)} rows, "
        f"wrote {_count(summary.rows_out)}."
    )
    if manifest.params:
        yield (
            "Parameters: "
            + ", ".join(f"`{name}` = `{_text(str(value))}`" for name, value in manifest.params.items())
            + "."
        )
    if summary.tags:
        yield "Tags: " + ", ".join(f"`{tag}`" for tag in summary.tags) + "."


def _what_ran(steps: tuple[StepSummary, ...], planned: int) -> Iterator[str]:
    yield ""
    yield "## What ran"
    yield ""
    if not steps:
        yield f"None of its {planned} steps began."
        return
    yield "| step | component | status | rows in | rows out | ms |"
    yield "|---|---|---|---:|---:|---:|"
    for step in steps:
        yield (
            f"| {step.id} | {step.component} | {step.status} | {_cited(step, 'rows_in', step.rows_in)} "
            f"| {_cited(step, 'rows_out', step.rows_out)} | {step.duration_ms:,} |"
        )
    yield ""
    yield "A `-` was not counted: the engine fused that step into the next. Ids in brackets are keys of `evidence`."


def _outputs(summary: RunSummary) -> Iterator[str]:
    if summary.artifacts:
        yield ""
        yield "## What it wrote"
        yield ""
        for artifact in summary.artifacts:
            digest = f"SHA-256 `{artifact.sha256[:16]}…`"
            yield f"- `{artifact.path}`: {artifact.bytes:,} bytes, {digest}, by step {artifact.step}"


def _changes(delta: Delta | None) -> Iterator[str]:
    yield ""
    yield "## What changed since the last successful run"
    yield ""
    if delta is None:
        yield "There is none to compare with."
        return
    build = "another build" if delta.manifest_changed else "the same build"
    yield f"Against `{delta.previous_run_id}`: {build}."
    for name, value in (
        ("rows read", delta.rows_in),
        ("rows written", delta.rows_out),
        ("milliseconds", delta.duration_ms),
    ):
        yield f"- {name}: {'not comparable' if value is None else f'{value:+,}'}"


def _failure(error: RunError | None) -> Iterator[str]:
    if error:
        yield ""
        yield "## Why it did not succeed"
        yield ""
        where = f" in step `{error.step}`" if error.step else ""
        line = f", line {error.line} of its query" if error.line else ""
        yield f"`{error.code}`{where}{line} [run.error]:"
        yield ""
        yield from (f"> {line}" for line in _text(error.message, keep_lines=True).splitlines())
        if error.hint:
            yield ""
            yield f"Likely remedy: {_text(error.hint)}"


def _look_further(summary: RunSummary, started: RunStarted) -> Iterator[str]:
    yield ""
    yield "## Look further"
    yield ""
    yield f"- `osiris runs show {summary.run_id}`"
    yield f"- `osiris events --run {summary.run_id}`"
    yield f"- log: `{started.run_logs_path}/osiris.log`; build: `{started.manifest_path}`"


def _cited(step: StepSummary, name: str, value: int | None) -> str:
    return "-" if value is None else f"{value:,} [step.{step.id}.{name}]"


def _count(value: int | None) -> str:
    return "an uncounted number of" if value is None else f"{value:,}"


def _text(text: str, *, keep_lines: bool = False) -> str:
    """A text that came from outside: bounded, without control characters, and unable to break out of its place."""
    lines = text.translate(_CONTROLS).split("\n") if keep_lines else [text.translate(_CONTROLS)]
    cleaned = "\n".join(" ".join(line.split()) for line in lines)
    cleaned = cleaned.replace("`", "'").replace("|", "\\|").replace("<", "&lt;")
    return cleaned if len(cleaned) <= _LONGEST_TEXT else cleaned[: _LONGEST_TEXT - 1] + "…"
