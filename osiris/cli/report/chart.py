"""The steps on a time axis: one row a step, a bar for the time it took. No script; the bars are boxes."""

from __future__ import annotations

from collections.abc import Sequence

from osiris.cli.report.axis import Axis, tick_label
from osiris.cli.report.markup import NOTHING, Markup, element, joined, text
from osiris.cli.report.model import Page
from osiris.cli.report.signs import css_class, sign
from osiris.cli.report.steps import Retry, Step
from osiris.cli.report.wording import length, plural

_TOO_FAR_RIGHT = 94.0
"""A label whose tick stands further along ends at its tick, so that it stays on the page."""
_UNENDED = ("running", "interrupted")
_WITHOUT_BAR = ("waiting", "not run", "reused")


def chart(page: Page) -> Markup:
    """The whole figure; steps stand in the order of the table below it, so that branches stay together."""
    rows = [_row(step, page.axis) for step in page.steps]
    return element(
        "figure",
        element("div", element("div", *_ticks(page.axis), class_="axis"), class_="axis-row", aria_hidden="true"),
        element("ol", *rows, class_="bars"),
        element("figcaption", *_legend(page.steps)),
        class_="chart",
        style=f"--tick: {_percent(100 * page.axis.step_ms / page.axis.span_ms)}",
        aria_label=f"{plural(len(page.steps), 'step')} on a time axis of {length(page.axis.span_ms)}",
    )


def _ticks(axis: Axis) -> list[Markup]:
    return [
        element(
            "span",
            text(tick_label(at_ms, axis)),
            class_="at-start" if at_ms == 0 else "at-end" if axis.percent(at_ms) > _TOO_FAR_RIGHT else None,
            style=f"left: {_percent(axis.percent(at_ms))}",
        )
        for at_ms in axis.ticks
    ]


def _row(step: Step, axis: Axis) -> Markup:
    remarks = [element("span", text(remark), class_="remark") for remark in _remarks(step)]
    label = element("span", sign(step.state), element("bdi", text(step.id), class_="step-id"), class_="label")
    component = element("span", text(step.component), *remarks, class_="component")
    took = element("span", text(_took(step)), class_="took")
    spoken = element("span", text(_spoken(step)), class_="spoken")
    track = element("span", *_bar(step, axis), *(_mark(retry, axis) for retry in step.retries), class_="track")
    return element("li", label, component, track, took, spoken, class_=css_class(step.state))


def _bar(step: Step, axis: Axis) -> list[Markup]:
    if step.at_ms is None:
        return []
    start = axis.percent(step.at_ms)
    end = 100.0 if step.state in _UNENDED else axis.percent(step.at_ms + (step.duration_ms or 0))
    title = f"{step.id}: {_spoken(step)}"
    style = f"left: {_percent(start)}; width: {_percent(end - start)}"
    return [element("span", class_="bar", style=style, title=title)]


def _mark(retry: Retry, axis: Axis) -> Markup:
    title = f"try {retry.attempt} failed with {retry.code}; the next began {length(retry.delay_ms)} later"
    return element("span", class_="retry", style=f"left: {_percent(axis.percent(retry.at_ms))}", title=title)


def _took(step: Step) -> str:
    if step.state in _UNENDED:
        return step.state
    if step.duration_ms is None or step.at_ms is None:
        return step.state if step.state in _WITHOUT_BAR else length(step.duration_ms)
    return length(step.duration_ms)


def _remarks(step: Step) -> list[str]:
    remarks = ["fused"] if step.fused else []
    if step.retries:
        remarks.append(plural(len(step.retries), "retry"))
    if step.state in _UNENDED and step.percent is not None:
        remarks.append(f"{step.percent:.0f} % done")
    return remarks


def _spoken(step: Step) -> str:
    """The row as a sentence, for those who do not see the bar."""
    if step.at_ms is None:
        return step.state
    parts = [step.state, f"began after {length(step.at_ms)}"]
    parts.append(f"took {length(step.duration_ms)}" if step.duration_ms is not None else "has no end")
    return ", ".join(parts + _remarks(step))


def _legend(steps: Sequence[Step]) -> list[Markup]:
    """What the bars look like, as far as it is not plain."""
    states = dict.fromkeys(step.state for step in steps)
    keys = [
        element("span", element("span", class_="key bar"), text(state), class_=f"entry {css_class(state)}")
        for state in states
        if state not in _WITHOUT_BAR
    ]
    if any(step.retries for step in steps):
        keys.append(element("span", element("span", class_="key retry"), text("a try that failed"), class_="entry"))
    if any(step.fused for step in steps):
        keys.append(element("span", text("fused: one statement with the next step; rows not counted"), class_="entry"))
    return [joined(*keys)] if len(keys) > 1 or "success" not in states else [NOTHING]


def _percent(value: float) -> str:
    return f"{value:.3f}%"
