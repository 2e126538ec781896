"""The whole document: head, style, and the sections in the order in which somebody asks."""

from __future__ import annotations

from importlib.resources import files as package_files

from osiris.cli.output import count
from osiris.cli.report import sections
from osiris.cli.report.changes_section import changes_section
from osiris.cli.report.chart import chart
from osiris.cli.report.markup import NOTHING, Markup, element, joined, text
from osiris.cli.report.model import Page, page_of
from osiris.cli.report.signs import badge, css_class, rows, section, time
from osiris.cli.report.sources import Sources
from osiris.cli.report.wording import length, moment

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Nothing is loaded and nothing is sent, whatever the page says."""
_TITLE_LENGTH = 200


def render(sources: Sources) -> str:
    """The page as HTML, the same text for the same sources."""
    page = page_of(sources)
    body = element("body", element("main", *_sections(page)), class_=css_class(page.record.status))
    document = element("html", _head(page), Markup("\n"), body, lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def style() -> Markup:
    """The style sheet beside this module."""
    return Markup((package_files("osiris.cli.report") / "report.css").read_text(encoding="utf-8"))


def _head(page: Page) -> Markup:
    title = f"{page.record.status}: {page.record.pipeline_slug} {page.record.run_id}"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", text(title[:_TITLE_LENGTH])),
        element("style", style()),
    )


def _sections(page: Page) -> list[Markup]:
    parts = [
        _header(page),
        _missing(page),
        sections.failure(page),
        section("Timeline", chart(page), anchor="timeline") if page.steps else NOTHING,
        changes_section(page),
        sections.steps_table(page) if page.steps else NOTHING,
        sections.notes(page),
        sections.files(page),
        sections.origin(page),
        sections.commands(page),
    ]
    return [joined(Markup("\n"), part) for part in parts if part]


def _header(page: Page) -> Markup:
    record = page.record
    tags = [element("li", element("bdi", text(tag))) for tag in record.tags]
    names = [element("bdi", text(record.pipeline_slug)), element("bdi", text(record.run_id))]
    profile = joined(text(" in profile "), element("bdi", text(record.profile))) if record.profile else NOTHING
    return element(
        "header",
        element("p", joined(*names, by=" / "), profile, class_="names"),
        element("div", element("h1", element("bdi", text(page.name))), badge(record.status), class_="title"),
        element("p", text(page.intent), class_="lead") if page.intent else NOTHING,
        element("ul", *tags, class_="tags", aria_label="Tags") if tags else NOTHING,
        element("dl", *_figures(page), class_="figures"),
    )


def _figures(page: Page) -> list[Markup]:
    record = page.record
    done = sum(step.state in ("success", "reused") for step in page.steps)
    figures = [
        ("started", time(moment(record.started_at))),
        ("duration", _took(page)),
        ("rows read", rows(record.rows_in)),
        ("rows written", rows(record.rows_out)),
        ("steps done", text(f"{count(done)} of {count(len(page.steps))}" if page.steps else "-")),
    ]
    return [element("div", element("dt", text(name)), element("dd", value)) for name, value in figures]


def _took(page: Page) -> Markup:
    """The duration, or how long the run is known to have lived."""
    if page.record.duration_ms is not None:
        return text(length(page.record.duration_ms))
    if page.last_sign_ms is None:
        return text("-")
    return joined(element("span", text("at least "), class_="faint"), text(length(page.last_sign_ms)))


def _missing(page: Page) -> Markup:
    items = [element("p", text(reason)) for reason in page.missing]
    return element("aside", *items, class_="missing", aria_label="What is not on this page") if items else NOTHING
