"""The steps of an OML file one by one: shape, component, mode, config, retry and timeout."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec

from osiris.compiler.manifest import RetryPolicy
from osiris.compiler.notations import parse_duration
from osiris.compiler.oml import STEP_ID_PATTERN, OmlStep, Registry
from osiris.compiler.secret_literals import find_declared_secrets
from osiris.components.base import Component, Mode
from osiris.documents import Node, Report, bind, bind_fields, described, shown, suggest, without_free
from osiris.errors import Finding, OsirisError

_WIRING_FIELDS = ("id", "mode", "needs", "inputs")
_RESERVED_ID = "params"
_CALLED_ELSEWHERE = {
    **dict.fromkeys(("depends_on", "dependsOn", "depends", "after"), "needs"),
    **dict.fromkeys(("type", "uses", "connector"), "component"),
    **dict.fromkeys(("with", "options", "settings", "args"), "config"),
}
"""Keys of a step as other formats call them."""


class StepDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read of one step; a part that is wrong has been reported and is None or "" here.

    ``at`` is its dotted path, ``node`` its place. ``wirable`` says whether all that the wiring looks at is right.
    """

    node: Node
    at: str
    id: str
    mode: Mode | None
    needs: tuple[str, ...] | None
    inputs: dict[str, str] | None
    component: Component | None
    config: msgspec.Struct | None
    retry: RetryPolicy | None
    timeout_ms: int | None
    wirable: bool


def read_steps(
    root: Node, registry: Registry, unresolved: Collection[tuple[int, int]], report: Report
) -> list[StepDraft]:
    """A draft for each step in the file's order; everything that is wrong with them is reported."""
    entry = root.entry("steps")
    nodes = entry.value.items if entry else ()
    drafts = [_read_step(node, f"steps[{place}]", registry, unresolved, report) for place, node in enumerate(nodes)]
    _check_doubled_ids(drafts, report)
    return drafts


def _read_step(
    node: Node, at: str, registry: Registry, unresolved: Collection[tuple[int, int]], report: Report
) -> StepDraft:
    node = without_free(node, "inputs")
    found: list[Finding] = []
    fields = bind_fields(node, OmlStep, path=report.path, findings=found, at=at)
    component = _find_component(node, fields.get("component", ""), at, registry, report)
    report.findings.extend(_with_its_place(finding, node, component) for finding in found)
    fields["id"] = _checked_id(node, fields.get("id", ""), at, report)
    written = [name for name in _WIRING_FIELDS if node.entry(name)]
    _check_mode(node, fields.get("mode"), component, at, report)
    needs = fields.get("needs")
    return StepDraft(
        node=node,
        at=at,
        id=fields["id"],
        mode=fields.get("mode"),
        needs=None if needs is None else tuple(dict.fromkeys(needs)),
        inputs=fields.get("inputs"),
        component=component,
        config=_bind_config(node, component, at, unresolved, report),
        retry=fields.get("retry"),
        timeout_ms=_timeout_ms(fields.get("timeout"), at, report),
        wirable=bool(fields["id"]) and "mode" in fields and all(name in fields for name in written),
    )


def _with_its_place(finding: Finding, node: Node, component: Component | None) -> Finding:
    """The finding; of a key that has another name here, or stands in the wrong map, or one need, the hint says so."""
    needs = node.child("needs")
    if (finding.line, finding.column) == (needs.line, needs.column) and re.fullmatch(STEP_ID_PATTERN, needs.raw):
        return finding._replace(hint=f"Write it as a list: [{needs.raw}].")
    config = component.config_type.__struct_encode_fields__ if component else ()
    for entry in node.entries:
        if not finding.problem.endswith(f"unknown key {shown(entry.key)}"):
            continue
        if entry.key in _CALLED_ELSEWHERE:
            return finding._replace(hint=f"Call it {_CALLED_ELSEWHERE[entry.key]}.")
        if entry.key in config and entry.key not in OmlStep.__struct_fields__:
            return finding._replace(hint=f"Put {entry.key} under config.")
    return finding


def _checked_id(node: Node, step_id: str, at: str, report: Report) -> str:
    if not step_id:
        if (entry := node.entry("id")) and entry.value.kind == "scalar" and not entry.value.is_null:
            report.add(entry.value, f"{at}.id", "a step's id must not be empty", "Give the step a name of its own.")
        return ""
    if not re.fullmatch(STEP_ID_PATTERN, step_id):
        hint = "Use at most 64 letters, digits, - and _, and begin with a letter or a digit."
        report.add(node.child("id"), f"{at}.id", f"{shown(step_id)} is not a step id", hint)
        return ""
    if step_id == _RESERVED_ID:
        hint = "Name the step differently: ${params.…} means the parameters."
        report.add(node.child("id"), f"{at}.id", "a step cannot be called 'params'", hint)
    return step_id


def _check_doubled_ids(drafts: list[StepDraft], report: Report) -> None:
    first: dict[str, Node] = {}
    for draft in drafts:
        if not draft.id:
            continue
        place = draft.node.child("id")
        if earlier := first.get(draft.id):
            problem = f"the id {shown(draft.id)} is taken by the step at line {earlier.line}"
            report.add(place, f"{draft.at}.id", problem, "Give each step an id of its own.")
        first.setdefault(draft.id, place)


def _find_component(node: Node, name: str, at: str, registry: Registry, report: Report) -> Component | None:
    if not name:
        return None
    place = node.child("component")
    try:
        component = registry.find(name)
        known = [] if component else registry.names()
    except OsirisError as error:  # a component that needs an extra which is not installed
        report.add(place, f"{at}.component", error.problem, error.hint)
        return None
    if component is None:
        hint = suggest(name, known) or "`osiris components list` shows what there is."
        report.add(place, f"{at}.component", f"unknown component {shown(name)}", hint)
    return component


def _check_mode(node: Node, mode: Mode | None, component: Component | None, at: str, report: Report) -> None:
    if mode is None or component is None or mode in component.spec.modes:
        return
    allowed = ", ".join(component.spec.modes)
    problem = f"{component.spec.name} has no mode {mode}"
    report.add(node.child("mode"), f"{at}.mode", problem, f"It has: {allowed}.")


def _bind_config(
    node: Node, component: Component | None, at: str, unresolved: Collection[tuple[int, int]], report: Report
) -> msgspec.Struct | None:
    if component is None:
        return None
    entry = node.entry("config")
    config = entry.value if entry else Node(kind="map", line=node.line, column=node.column)
    below = f"{at}.config"
    find_declared_secrets(config, component.spec.secret_fields, below, report)
    found: list[Finding] = []
    bound: Any = bind(config, component.config_type, path=report.path, findings=found, at=below, unknown=found)
    # What is wrong with a value whose parameter is wrong has been said where the parameter stands.
    report.findings.extend(finding for finding in found if (finding.line, finding.column) not in unresolved)
    return bound if isinstance(bound, msgspec.Struct) and not found else None


def _timeout_ms(node: Node | None, at: str, report: Report) -> int | None:
    if node is None:
        return None
    milliseconds = parse_duration(node.raw) if node.kind == "scalar" else None
    if milliseconds is None:
        got = shown(node.raw) if node.kind == "scalar" else described(node)
        is_bare = parse_duration(f"{node.raw}s") is not None
        hint = f"Write {node.raw}s if seconds are meant." if is_bare else "Write 500ms, 30s, 10m or 1h."
        report.add(node, f"{at}.timeout", f"expected a whole number with a unit, got {got}", hint)
    return milliseconds
