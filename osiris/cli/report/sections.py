"""Sections of the page below its head: failure, steps, warnings, files, where it came from, commands."""

from __future__ import annotations

from collections.abc import Sequence

from osiris.cli.output import count
from osiris.cli.report.markup import NOTHING, Markup, element, joined, text
from osiris.cli.report.model import CodeLine, Page, PageFile, is_in_annex
from osiris.cli.report.signs import badge, facts_list, rows, scrolling, section
from osiris.cli.report.steps import Retry, Step
from osiris.cli.report.wording import length, plural, size

_GROUPS = {"outputs": "Outputs", "pack": "Pack", "log": "Log", "build": "Build"}
_WHY = {"failed": "Why it failed", "cancelled": "Why it was cancelled", "interrupted": "Why it was interrupted"}


def failure(page: Page) -> Markup:
    """The error with the lines of the query around it; nothing where there is none."""
    error = page.record.error
    if error is None:
        return NOTHING
    place = [element("code", text(error.code), class_="code")]
    if error.step:
        place.append(joined(text("in step "), element("bdi", text(error.step))))
    if error.place:
        place.append(text(f"{error.place} of its query"))
    return section(
        _WHY.get(page.record.status, "What went wrong"),
        element("p", joined(*place, by=", ")),
        element("pre", text(error.message), class_="message"),
        element("p", element("strong", text("Try: ")), text(error.hint), class_="hint") if error.hint else NOTHING,
        _code(page.code, error.step),
        anchor="failure",
    )


def _code(lines: Sequence[CodeLine], step: str) -> Markup:
    if not lines:
        return NOTHING
    drawn = [
        element(
            "span",
            element("span", text(str(line.number)), class_="number"),
            element("span", text("error here: "), class_="spoken") if line.wrong else NOTHING,
            element("span", text(line.text + "\n"), class_="line"),
            class_="row wrong" if line.wrong else "row",
        )
        for line in lines
    ]
    block = element(
        "pre", element("code", *drawn), class_="query", tabindex="0", aria_label=f"Query of the step {step}"
    )
    if any(line.wrong for line in lines):
        return block
    return element("details", element("summary", text("The query of that step")), block)


def steps_table(page: Page) -> Markup:
    """Every step in the manifest's order."""
    header = (("step", ""), ("component", "wide"), ("after", "wide"), ("status", ""))
    numbers = ("rows in", "rows out", "duration", "rows/s")
    head = [element("th", text(name), scope="col", class_=class_ or None) for name, class_ in header]
    head += [element("th", text(name), scope="col", class_="number") for name in numbers]
    body = [_step_row(step) for step in page.steps]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return section("Steps", scrolling(table, "Steps"), anchor="steps")


def _step_row(step: Step) -> Markup:
    numbers = (
        rows(step.rows_in),
        rows(step.rows_out, fused=step.fused),
        text(length(step.duration_ms)),
        text(count(step.rows_per_second)),
    )
    return element(
        "tr",
        element("th", element("bdi", text(step.id)), scope="row"),
        element("td", text(step.component or "-"), class_="wide"),
        element("td", text(", ".join(step.needs) or "-"), class_="wide"),
        element("td", badge(step.state)),
        *(element("td", number, class_="number") for number in numbers),
    )


def notes(page: Page) -> Markup:
    """Warnings and tries that failed; nothing where all went well."""
    tries = sorted(((retry.at_ms, step.id, retry) for step in page.steps for retry in step.retries), key=_when)
    items = [
        _event(f"try {retry.attempt} failed", id_, at_ms, f"{retry.code}: {retry.message}")
        for at_ms, id_, retry in tries
    ]
    items += [_event("warning", note.step, note.at_ms, note.message) for note in page.notes]
    if page.notes_left_out:
        items.append(element("li", text(f"and {plural(page.notes_left_out, 'warning')} more in events.jsonl")))
    if not items:
        return NOTHING
    return section("Retries and warnings", element("ul", *items, class_="notes"), anchor="notes")


def _when(found: tuple[float, str, Retry]) -> tuple[float, str]:
    return found[:2]


def _event(kind: str, step: str, at_ms: float | None, message: str) -> Markup:
    where = joined(text(" in "), element("bdi", text(step))) if step else NOTHING
    when = element("span", text(f" after {length(at_ms)}"), class_="faint") if at_ms is not None else NOTHING
    return element("li", element("p", element("strong", text(kind)), where, when), element("pre", text(message)))


def files(page: Page) -> Markup:
    """Links to what exists, by group."""
    groups = []
    for group, title in _GROUPS.items():
        found = [_file(file) for file in page.files if file.file.group == group]
        if found:
            heading = element("h3", text(title))
            note = page.pack_note if group == "pack" else ""
            remark = element("p", text(note), class_="lead") if note else NOTHING
            groups.append(element("div", heading, element("ul", *found, class_="files"), remark, class_=group))
    empty = element("p", text("None of its files is there any more."))
    return section("Files", element("div", *groups, class_="groups") if groups else empty, anchor="files")


def _file(shown: PageFile) -> Markup:
    file, artifact = shown.file, shown.artifact
    below = 2 if is_in_annex(file) else 1
    name = file.path if file.group == "outputs" else "/".join(file.path.split("/")[-below:])
    label = element("bdi", text(name))
    parts = [element("a", label, href=file.href, title=file.path) if file.href else element("span", label)]
    if artifact:
        parts.append(text(f"{size(artifact.bytes)} by "))
        parts[-1] = joined(parts[-1], element("bdi", text(artifact.step)))
        digest = element("code", text(artifact.sha256[:12]), title=f"SHA-256 {artifact.sha256}")
        parts.append(joined(text("SHA-256 "), digest))
        if not file.exists:
            parts.append(text("no longer there"))
        elif file.bytes is not None and file.bytes != artifact.bytes:
            parts.append(text(f"written again since: {size(file.bytes)} now"))
    elif file.bytes is not None:
        parts.append(text(size(file.bytes)))
    if shown.annex and shown.annex.lines:
        cut = f", {count(shown.annex.cut)} left out of the middle" if shown.annex.cut else ""
        parts.append(text(plural(shown.annex.lines, "line") + cut))
    head, *rest = parts
    return element("li", head, *(joined(text(" "), element("span", part, class_="faint")) for part in rest))


def origin(page: Page) -> Markup:
    """Where the run came from: build, parameters, checkout, user, versions."""
    record = page.record
    facts: list[tuple[str, Markup]] = [("manifest", element("code", text(record.manifest_hash)))]
    facts += [(f"parameter {name}", element("code", text(value))) for name, value in page.params]
    plain = (
        ("resumed from", record.resumed_from),
        ("git branch", record.branch),
        ("git commit", record.git_commit),
        ("user", record.user),
    )
    facts += [(name, text(value)) for name, value in plain if value]
    facts += [(name, text(value)) for name, value in record.runtime_env.items()]
    return section("Where it came from", facts_list(facts), anchor="origin")


def commands(page: Page) -> Markup:
    """What to type to see more."""
    items = [
        element("li", element("code", text(command)), element("span", text(shows), class_="faint"))
        for command, shows in page.commands
    ]
    return section("Look further", element("ul", *items, class_="commands"), anchor="further")
