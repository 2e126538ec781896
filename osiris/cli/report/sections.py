"""The sections of the page below its head: failure, steps, changes, warnings, files, where it came from, commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from osiris.cli.output import count
from osiris.cli.report.changes import Changes, ChangeTable, Measure
from osiris.cli.report.markup import NOTHING, Markup, element, joined, text
from osiris.cli.report.model import CodeLine, Page, PageFile
from osiris.cli.report.signs import badge, rows, section
from osiris.cli.report.steps import Retry, Step
from osiris.cli.report.wording import length, plural, share, signed, size

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
    if error.line:
        place.append(text(f"line {error.line} of its query"))
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
    return section("Steps", _scrolling(table, "Steps"), anchor="steps")


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


def changes(page: Page) -> Markup:
    """What is different from the last successful run."""
    title = "What changed since the last successful run"
    if page.changes is None:
        return section(title, element("p", text(_no_changes(page))), anchor="changes")
    found: Changes = page.changes
    build = "another build" if found.manifest_changed else "the same build"
    against = element(
        "p", text("Against "), element("code", text(found.previous_run_id)), text(": "), element("strong", text(build))
    )
    head = [element("th", text(name), scope="col") for name in ("", "before", "now", "change")]
    body = [_measure_row(measure) for measure in found.measures]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body), class_="changes")
    return section(
        title,
        against,
        _scrolling(table, "Measures"),
        _facts((name, text(value)) for name, value in found.facts),
        *(_further(more) for more in found.tables),
        anchor="changes",
    )


def _no_changes(page: Page) -> str:
    if page.has_pack:
        return "There is none to compare with: this is the first, or none before it succeeded."
    if page.record.status == "running":
        return "Not known yet: a run is compared when it ends."
    return "Not known: the comparison is kept in the run's pack, which is not there."


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
    return joined(element("h3", text(more.title)), _scrolling(table, more.title))


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
            groups.append(element("div", heading, element("ul", *found, class_="files"), class_=group))
    empty = element("p", text("None of its files is there any more."))
    return section("Files", element("div", *groups, class_="groups") if groups else empty, anchor="files")


def _file(shown: PageFile) -> Markup:
    file, artifact = shown.file, shown.artifact
    name = file.path if file.group == "outputs" else file.path.rsplit("/", 1)[-1]
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
    head, *rest = parts
    return element("li", head, *(joined(text(" "), element("span", part, class_="faint")) for part in rest))


def origin(page: Page) -> Markup:
    """Where the run came from: build, parameters, checkout, user, versions."""
    record = page.record
    facts: list[tuple[str, Markup]] = [("manifest", element("code", text(record.manifest_hash)))]
    facts += [(f"parameter {name}", element("code", text(value))) for name, value in page.params]
    plain = (("git branch", record.branch), ("git commit", record.git_commit), ("user", record.user))
    facts += [(name, text(value)) for name, value in plain if value]
    facts += [(name, text(value)) for name, value in record.runtime_env.items()]
    return section("Where it came from", _facts(facts), anchor="origin")


def commands(page: Page) -> Markup:
    """What to type to see more."""
    items = [
        element("li", element("code", text(command)), element("span", text(shows), class_="faint"))
        for command, shows in page.commands
    ]
    return section("Look further", element("ul", *items, class_="commands"), anchor="further")


def _facts(facts: Iterable[tuple[str, Markup]]) -> Markup:
    pairs = [element("div", element("dt", text(name)), element("dd", value)) for name, value in facts]
    return element("dl", *pairs, class_="facts") if pairs else NOTHING


def _scrolling(table: Markup, name: str) -> Markup:
    """A table that is scrolled in its own place on a narrow screen, with the keyboard as well."""
    return element("div", table, class_="scrolling", role="region", aria_label=name, tabindex="0")
