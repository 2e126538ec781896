"""``connection: "@family.alias"`` in a step's config: it names a connection that exists. No variable is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from osiris.compiler.oml import Bindings
from osiris.compiler.steps import StepDraft
from osiris.components.base import CONNECTION_KEY
from osiris.documents import Node, Report
from osiris.errors import OsirisError


def check_connections(drafts: Sequence[StepDraft], bindings: Bindings, report: Report, warnings: Report) -> None:
    """Report references that are none, of another family, or to nothing, and secrets in the clear where they lead.

    The connections are read only where a component uses one. What is wrong with their file is reported as well.
    """
    _check_places(drafts, report)
    using = [
        (draft, draft.component.spec, family)
        for draft in drafts
        if draft.component is not None and (family := draft.component.spec.family_for(draft.config))
    ]
    if not using or bindings.connections is None:
        return
    from osiris.connections.file import check_declared_secrets, load_connections  # noqa: PLC0415 - most pipelines need none

    try:
        connections = load_connections(bindings.connections)
    except OsirisError as error:
        if not error.findings:
            raise
        report.findings.extend(error.findings)
        return
    warnings.findings.extend(connections.warnings)
    for draft, spec, family in using:
        place, reference = _reference(draft)
        if reference is None:
            continue  # not text, which has been reported
        try:
            connection = connections.find(reference, family)
        except OsirisError as error:
            report.add(place, f"{draft.at}.config.{CONNECTION_KEY}", error.problem, error.hint)
            continue
        found = check_declared_secrets(connection, spec.secret_fields)
        report.findings.extend(finding for finding in found if finding not in report.findings)


def _check_places(drafts: Sequence[StepDraft], report: Report) -> None:
    """A connection that nothing would use is a mistake: a path on this machine needs none."""
    for draft in drafts:
        spec = draft.component.spec if draft.component is not None else None
        if spec is None or not spec.path_schemes or spec.family_for(draft.config):
            continue
        if getattr(draft.config, CONNECTION_KEY, ""):
            place, _ = _reference(draft)
            problem = "a connection is given, and the path is not in an object store"
            schemes = ", ".join(f"{scheme}://" for scheme in spec.path_schemes)
            hint = f"Leave it out, or begin the path with one of {schemes}."
            report.add(place, f"{draft.at}.config.{CONNECTION_KEY}", problem, hint)


def _reference(draft: StepDraft) -> tuple[Node, str | None]:
    """Where the reference stands, and the reference, "" where it was left out."""
    config = draft.node.entry("config")
    entry = config.value.entry(CONNECTION_KEY) if config else None
    if entry is not None:
        node = entry.value
        return node, None if node.kind != "scalar" else "" if node.is_null else node.raw
    return config.value if config else draft.node, getattr(draft.config, CONNECTION_KEY, None) or ""
