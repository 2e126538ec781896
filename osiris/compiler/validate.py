"""The one validator: what it lets through compiles, and what it refuses it names all at once.

``osiris oml validate``, ``compile`` and everything later go through ``validate_pipeline``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from osiris.compiler.connection_references import check_connections
from osiris.compiler.interpolation import Interpolation, interpolate_pipeline
from osiris.compiler.manifest import RetryPolicy
from osiris.compiler.notations import is_package_name, is_version_specifier
from osiris.compiler.oml import Bindings, OmlPipeline, ParamValue, Registry
from osiris.compiler.params import bind_params, declare_params
from osiris.compiler.secret_literals import find_secrets
from osiris.compiler.source import load_oml
from osiris.compiler.steps import StepDraft, read_steps
from osiris.compiler.wiring import Wires, wire_steps
from osiris.components.base import Component, Mode
from osiris.documents import Node, Report, bind_fields, described, joined, shown, without_free
from osiris.errors import Finding, OsirisError, findings_error

OML_VERSION = re.compile(r"0\.1\.[0-9]{1,6}")

_REFUSED_KEYS = {
    "version": 'Write oml_version: "0.1.0" instead.',
    "connectors": "Connections stand in osiris_connections.yaml; a step names one in its config.",
    "tasks": "Call it steps.",
    "outputs": "Add a step with mode: write instead.",
}


class ResolvedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One valid step: ``inputs`` maps the name of an input to the id of the step that fills it."""

    id: str
    component: Component
    mode: Mode
    needs: tuple[str, ...]
    inputs: dict[str, str]
    config: msgspec.Struct
    retry: RetryPolicy | None
    timeout_ms: int | None


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A valid pipeline with its parameters bound; ``steps`` stand in the file's order."""

    oml_version: str
    name: str
    description: str
    intent: str
    params: dict[str, ParamValue]
    requires: dict[str, str]
    steps: tuple[ResolvedStep, ...]


class Validation(msgspec.Struct, frozen=True):
    """What the validator found; ``pipeline`` is None exactly where there are ``errors``. Findings stand by place."""

    pipeline: Pipeline | None
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    def required(self) -> Pipeline:
        """The pipeline, or OsirisError ``oml.invalid`` with every error in it."""
        if self.pipeline is None:
            raise findings_error(self.errors, code="oml.invalid")
        return self.pipeline


def validate_file(source: Path, shown_path: str, bindings: Bindings, registry: Registry) -> Validation:
    """``validate_pipeline`` for the file ``source``; what is not good YAML is an error like the others.

    Raises OsirisError only where the file cannot be read at all.
    """
    try:
        root = load_oml(source, shown_path)
    except OsirisError as error:
        if not error.findings:
            raise
        return Validation(None, error.findings, ())
    return validate_pipeline(root, shown_path, bindings, registry)


def validate_pipeline(root: Node, path: str, bindings: Bindings, registry: Registry) -> Validation:
    """Check the document ``root``, read from the file that messages call ``path``, under ``bindings``."""
    report, warnings = Report(path, []), Report(path, [])
    if root.kind != "map":
        hint = 'Begin with oml_version: "0.1.0", name: and steps:.'
        report.add(root, "", f"a pipeline is a map of keys, this is {described(root)}", hint)
        return Validation(None, tuple(report.findings), ())
    root = _without_refused(root, report)
    declared = declare_params(root, report)
    values = bind_params(root, declared, bindings, report)
    unresolved: set[tuple[int, int]] = set()
    root = interpolate_pipeline(root, Interpolation(values, tuple(declared), report, unresolved))
    find_secrets(root, report)
    root = without_free(root, "requires")
    head = bind_fields(root, OmlPipeline, path=path, findings=report.findings)
    _check_version(root, report)
    _check_requires(root, head.get("requires", {}), report)
    drafts = read_steps(root, registry, unresolved, report)
    check_connections(drafts, bindings, report, warnings)
    wires = wire_steps(drafts, report, warnings)
    errors = tuple(sorted(report.findings, key=_place))
    pipeline = None if errors else _pipeline(head, values, drafts, wires)
    return Validation(pipeline, errors, tuple(sorted(warnings.findings, key=_place)))


def _place(finding: Finding) -> tuple[int, int]:
    return finding.line, finding.column


def _without_refused(root: Node, report: Report) -> Node:
    for entry in root.entries:
        if entry.key in _REFUSED_KEYS:
            report.add(entry, "", f"the key '{entry.key}' does not belong to OML 0.1", _REFUSED_KEYS[entry.key])
    kept = tuple(entry for entry in root.entries if entry.key not in _REFUSED_KEYS)
    return msgspec.structs.replace(root, entries=kept)


def _check_version(root: Node, report: Report) -> None:
    entry = root.entry("oml_version")
    if entry is None:
        return  # reported as a missing key
    node = entry.value
    if node.kind != "scalar" or not isinstance(node.value, str):
        hint = 'Write it with quotes: oml_version: "0.1.0".'
        report.add(node, "oml_version", f"expected text in quotes, got {described(node)}", hint)
    elif not OML_VERSION.fullmatch(node.raw):
        hint = 'This Osiris reads 0.1.x: write oml_version: "0.1.0".'
        report.add(node, "oml_version", f"{shown(node.raw)} is not a version of OML that this Osiris reads", hint)


def _check_requires(root: Node, requires: Mapping[str, str], report: Report) -> None:
    nodes = {entry.key: entry.value for entry in root.child("requires").entries}
    for name, specifier in requires.items():
        node, at = nodes[name], joined("requires", name)
        if not is_package_name(name):
            report.add(node, at, "not the name of a package", "Write a name such as duckdb.")
        if not is_version_specifier(specifier):
            hint = 'Write one such as ">=1.1" or ">=1.1,<3".'
            report.add(node, at, f"{shown(specifier)} is not a version specifier", hint)


def _pipeline(
    head: Mapping[str, Any],
    values: dict[str, ParamValue],
    drafts: list[StepDraft],
    wires: Mapping[str, Wires],
) -> Pipeline:
    requires: dict[str, str] = head.get("requires", {})
    return Pipeline(
        oml_version=head["oml_version"].raw,
        name=head["name"],
        description=head.get("description", ""),
        intent=head["metadata"].intent if "metadata" in head else "",
        params=values,
        requires={name: requires[name] for name in sorted(requires)},
        steps=tuple(_resolved(draft, wires[draft.id]) for draft in drafts),
    )


def _resolved(draft: StepDraft, wires: Wires) -> ResolvedStep:
    # Without a finding every part of a draft is there; this also tells mypy.
    assert draft.component is not None
    assert draft.mode is not None
    assert draft.config is not None
    return ResolvedStep(
        id=draft.id,
        component=draft.component,
        mode=draft.mode,
        needs=wires.needs,
        inputs=wires.inputs,
        config=draft.config,
        retry=draft.retry,
        timeout_ms=draft.timeout_ms,
    )
