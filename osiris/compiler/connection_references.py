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
    using = [draft for draft in drafts if draft.component is not None and draft.component.spec.connection_family]
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
    for draft in using:
        assert draft.component is not None  # as chosen above; this tells mypy
        place, reference = _reference(draft)
        if reference is None:
            continue  # not text, which has been reported
        try:
            connection = connections.find(reference, draft.component.spec.connection_family)
        except OsirisError as error:
            report.add(place, f"{draft.at}.config.{CONNECTION_KEY}", error.problem, error.hint)
            continue
        found = check_declared_secrets(connection, draft.component.spec.secret_fields)
        report.findings.extend(finding for finding in found if finding not in report.findings)


def _reference(draft: StepDraft) -> tuple[Node, str | None]:
    """Where the reference stands, and the reference, "" where it was left out."""
    config = draft.node.entry("config")
    entry = config.value.entry(CONNECTION_KEY) if config else None
    if entry is not None:
        node = entry.value
        return node, None if node.kind != "scalar" else "" if node.is_null else node.raw
    return config.value if config else draft.node, getattr(draft.config, CONNECTION_KEY, None) or ""
