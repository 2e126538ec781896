"""The section on what changed since the last successful run: in the build, in the numbers, and the runs between."""

from __future__ import annotations

from collections.abc import Sequence

from osiris.cli.report.changes import (
    NEAR_MS,
    NEAR_SHARE,
    Attempt,
    Changes,
    Measure,
    StepDifference,
    StepEdit,
    ValueChange,
)
from osiris.cli.report.markup import NOTHING, Markup, element, joined, text
from osiris.cli.report.model import Page
from osiris.cli.report.signs import badge, css_class, facts_list, rows, scrolling, section, time
from osiris.cli.report.unnamed import ChangeTable
from osiris.cli.report.wording import length, moment, plural, share, signed

_MOST_NAMES = 12
_MOST_STEPS = 40
_SIGNS = {"new": "+", "gone": "\N{MINUS SIGN}", "changed": "~"}
_STATES = {"skipped": "not run"}


def changes_section(page: Page) -> Markup:
    """What is different from the last successful run, or why that cannot be said."""
    found = page.changes
    parts: Sequence[Markup]
    if found is None:
        parts = [element("p", text(_no_changes(page)))]
    elif not found.previous_run_id:
        parts = [element("p", text("There is none to compare with: no run before this one succeeded.")), _runs(found)]
    else:
        parts = [_against(found), _runs(found), *_build(found), *_numbers(found)]
    return section("What changed since the last successful run", *parts, anchor="changes")


def _no_changes(page: Page) -> str:
    if page.has_pack:
        where = f" in profile {page.record.profile}" if page.record.profile else ""
        return f"There is none to compare with: this is the first run of the pipeline{where} that came to an end."
    if page.record.status == "running":
        return "Not known yet: a run is compared when it ends."
    return "Not known: the comparison is kept in the run's pack, which is not there."


def _against(found: Changes) -> Markup:
    began = moment(found.previous_started_at)
    since = joined(text(", started "), time(began)) if began else NOTHING
    build = "the same build" if found.same_build else "another build"
    return element(
        "p",
        text("Against "),
        element("code", text(found.previous_run_id)),
        since,
        text(": "),
        element("strong", text(build)),
        text("" if found.build_told else "; what changed in it cannot be told, for a manifest is gone"),
        text("."),
    )


def _runs(found: Changes) -> Markup:
    """The runs in between, none of which succeeded."""
    if not found.attempts:
        return NOTHING
    items = [_attempt(attempt) for attempt in found.attempts]
    if found.more_attempts:
        items.append(element("li", text(f"and {plural(found.more_attempts, 'run')} before"), class_="faint"))
    title = "Runs since then that did not succeed" if found.previous_run_id else "The runs just before"
    return joined(element("h3", text(title)), element("ul", *items, class_="attempts"))


def _attempt(attempt: Attempt) -> Markup:
    parts = [badge(attempt.status), element("code", text(attempt.run_id))]
    if attempt.error_code:
        where = joined(text(" in step "), element("bdi", text(attempt.error_step))) if attempt.error_step else NOTHING
        parts.append(element("span", element("code", text(attempt.error_code)), where))
    return element("li", *parts)


def _build(found: Changes) -> list[Markup]:
    parts = [_values("Parameters", found.params)]
    if found.edits:
        edits = element("ul", *(_edit(edit) for edit in found.edits), class_="edits")
        parts.append(joined(element("h3", text("Steps of the build")), edits))
    parts.append(_values("Versions", found.versions))
    if found.other:
        parts.append(element("p", text(f"Also changed: {', '.join(found.other)}.")))
    parts.append(facts_list((name, text(value)) for name, value in found.facts))
    return [*parts, *(_further(more) for more in found.tables)]


def _values(title: str, values: Sequence[ValueChange]) -> Markup:
    if not values:
        return NOTHING
    head = [element("th", text(name), scope="col") for name in ("", "before", "now")]
    body = [
        element(
            "tr",
            element("th", element("bdi", text(value.name)), scope="row"),
            element("td", _value(value.before)),
            element("td", _value(value.now)),
        )
        for value in values
    ]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body), class_="values")
    return joined(element("h3", text(title)), scrolling(table, title))


def _value(value: str | None) -> Markup:
    if value is None:
        return element("span", text("not set"), class_="faint")
    return element("code", text(value)) if value else element("span", text("empty"), class_="faint")


def _edit(edit: StepEdit) -> Markup:
    mark = element("span", text(_SIGNS[edit.kind]), class_=f"edit {edit.kind}", aria_hidden="true")
    keys = [element("code", text(key), class_="chip") for key in edit.keys]
    return element("li", mark, element("strong", element("bdi", text(edit.id))), text(f" {edit.kind} "), *keys)


def _numbers(found: Changes) -> list[Markup]:
    """One table: the whole run, then the steps that differ, then a line on the rest."""
    head = [element("th", text(name), scope="col") for name in ("", "before", "now", "change")]
    whole = element("tbody", *(_measure_row(measure) for measure in found.measures))
    steps = [_step(step) for step in found.steps[:_MOST_STEPS]]
    table = element("table", element("thead", element("tr", *head)), whole, *steps, class_="changes")
    return [
        element("h3", text("Rows and durations")),
        scrolling(table, "Rows and durations"),
        element("p", text(" ".join((*_left_out(found), _rest(found)))), class_="lead"),
    ]


def _left_out(found: Changes) -> list[str]:
    more = len(found.steps) - _MOST_STEPS
    return [f"{plural(more, 'step')} more did not do as before: osiris runs diff shows them."] if more > 0 else []


def _rest(found: Changes) -> str:
    if not found.steps_told:
        return "The steps are not comparable: the pack of that run is gone."
    if not found.alike:
        return "No step was as before." if found.steps else "Neither run has steps."
    near = f"as many rows and about as long (within {NEAR_SHARE:.0%} or {NEAR_MS} ms)".replace("%", " %")
    if not found.steps:
        return f"Every step did as before: {near}."
    names = ", ".join(found.alike[:_MOST_NAMES])
    more = f" and {len(found.alike) - _MOST_NAMES} more" if len(found.alike) > _MOST_NAMES else ""
    return f"{plural(len(found.alike), 'step')} did as before, {near}: {names}{more}."


def _step(step: StepDifference) -> Markup:
    parts = [element("bdi", text(step.id))]
    if step.before != step.now:
        words = [badge(_STATES.get(state, state)) if state else _absent() for state in (step.before, step.now)]
        parts.append(element("span", joined(*words, by=" \N{RIGHTWARDS ARROW} "), class_="turn"))
    head = element("tr", element("th", *parts, colspan="4", scope="rowgroup"))
    return element("tbody", head, *(_measure_row(measure) for measure in step.measures), class_="of-step")


def _absent() -> Markup:
    return element("span", text("no such step"), class_=f"badge {css_class('not run')}")


def _measure_row(measure: Measure) -> Markup:
    def shown(value: int | None) -> Markup:
        return text(length(value)) if measure.in_ms else rows(value)

    return element(
        "tr",
        element("th", text(measure.name), scope="row"),
        element("td", shown(measure.before), class_="number"),
        element("td", shown(measure.now), class_="number"),
        element("td", _difference(measure), class_="number"),
    )


def _difference(measure: Measure) -> Markup:
    if measure.difference is None:
        return text("not comparable")
    if measure.difference == 0:
        return text("no change")
    sign = "+" if measure.difference > 0 else "\N{MINUS SIGN}"
    amount = f"{sign}{length(abs(measure.difference))}" if measure.in_ms else signed(measure.difference)
    arrow = element("span", class_="arrow up" if measure.difference > 0 else "arrow down", aria_hidden="true")
    percent = share(measure.difference, measure.before or 0)
    return joined(arrow, text(amount), element("span", text(f" ({percent})"), class_="faint") if percent else NOTHING)


def _further(more: ChangeTable) -> Markup:
    head = [element("th", text(name), scope="col") for name in more.header]
    body = [element("tr", *(element("td", text(cell)) for cell in row)) for row in more.rows]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return joined(element("h3", text(more.title)), scrolling(table, more.title))
