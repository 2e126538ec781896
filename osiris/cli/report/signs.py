"""Small parts that several sections share: states with their signs, times, row counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from osiris.cli.output import count
from osiris.cli.report.markup import NOTHING, Markup, element, text
from osiris.cli.report.wording import in_utc, local

_SIGNS = {
    "success": "M3.2 8.6l3.1 3.1 6.5-7",
    "reused": "M12.6 6.2A5 5 0 1 0 12.9 9M12.9 2.8v3.6H9.3",
    "failed": "M4 4l8 8M12 4l-8 8",
    "cancelled": "M4.5 4.5h7v7h-7z",
    "interrupted": "M9.2 1.8L4.4 9h3.4l-1 5.2L11.6 7H8.2z",
    "running": "M5 3.2l7.4 4.8L5 12.8z",
    "waiting": "M8 4v4.3l2.8 1.9",
    "not run": "M4 8h8",
}
"""Lines on a field of 16 by 16, so that no state is told by its colour alone."""


def sign(state: str) -> Markup:
    """The drawn sign of a state, hidden from readers of the text, which names the state."""
    line = element("path", d=_SIGNS.get(state, _SIGNS["not run"]))
    return element("svg", line, class_="sign", viewBox="0 0 16 16", width="16", height="16", aria_hidden="true")


def badge(state: str) -> Markup:
    """The state as a word with its sign."""
    return element("span", sign(state), text(state), class_=f"badge {css_class(state)}")


def css_class(state: str) -> str:
    """The class of a state in the style sheet."""
    return "is-" + state.replace(" ", "-")


def time(at: datetime | None) -> Markup:
    """Local time, with UTC for programs and when pointed at."""
    if at is None:
        return text("-")
    return element(
        "time", text(local(at)), datetime=in_utc(at).replace(" UTC", "Z").replace(" ", "T"), title=in_utc(at)
    )


def rows(number: int | None, *, fused: bool = False) -> Markup:
    """A row count; a dash with the reason where nothing was counted."""
    if number is not None:
        return text(count(number))
    reason = "not counted: fused into the next step" if fused else "not counted"
    return element("abbr", text("-"), title=reason)


def section(title: str, *children: Markup, anchor: str, note: str = "") -> Markup:
    """A section of the page under its heading."""
    heading = element("h2", text(title), id=anchor)
    lead = element("p", text(note), class_="lead") if note else NOTHING
    return element("section", heading, lead, *children, aria_labelledby=anchor)


def facts_list(facts: Iterable[tuple[str, Markup]]) -> Markup:
    """Names with what they are; nothing where there are none."""
    pairs = [element("div", element("dt", text(name)), element("dd", value)) for name, value in facts]
    return element("dl", *pairs, class_="facts") if pairs else NOTHING


def scrolling(table: Markup, name: str) -> Markup:
    """A table that is scrolled in its own place on a narrow screen, with the keyboard as well."""
    return element("div", table, class_="scrolling", role="region", aria_label=name, tabindex="0")
