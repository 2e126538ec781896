"""Who waits for whom, whose rows go where, and under which name a query sees them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from osiris.canonical import sha256_hex
from osiris.compiler.graph import find_circles
from osiris.compiler.notations import parse_rows_reference
from osiris.compiler.steps import StepDraft
from osiris.documents import Report, joined, shown

_INPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_INPUT_HINT = "Write ${step-id.df} with the id of a step that reads or transforms."
_WRITE_HINT = "Name the step whose rows it writes: inputs: {df: ${step-id.df}}."


class Wires(msgspec.Struct, frozen=True):
    """``needs`` of a step in the file's order, and its ``inputs``: input name to the id of the step that fills it."""

    needs: tuple[str, ...]
    inputs: dict[str, str]


class _Steps(msgspec.Struct, frozen=True):
    """All steps of the file by their ids, the place of each, and the names of their rows."""

    by_id: dict[str, StepDraft]
    place: dict[str, int]
    tables: dict[str, str]


def wire_steps(drafts: Sequence[StepDraft], report: Report, warnings: Report) -> dict[str, Wires]:
    """The wires of every step by its id. What is wrong with them goes to ``report``, unused rows to ``warnings``."""
    by_id: dict[str, StepDraft] = {}
    for draft in drafts:
        by_id.setdefault(draft.id, draft)
    by_id.pop("", None)
    place = {step: number for number, step in enumerate(by_id)}
    steps = _Steps(by_id, place, table_names(list(by_id)))
    wires: dict[str, Wires] = {}
    for number, draft in enumerate(drafts):
        if draft.id and draft.wirable and by_id[draft.id] is draft:
            before = drafts[number - 1].id if number else None
            wires[draft.id] = _wire(draft, before, steps, report)
    _check_circles(by_id, wires, report)
    if all(draft.wirable for draft in drafts):
        _warn_of_unused_rows(by_id, wires, warnings)
    return wires


def _wire(draft: StepDraft, before: str | None, steps: _Steps, report: Report) -> Wires:
    """``before`` is the id of the step before it: None for the first step, "" where that id is no good."""
    named = _named_inputs(draft, steps.by_id, report)
    needs = sorted(_needs(draft, before, named, steps.by_id, report), key=steps.place.__getitem__)
    if draft.inputs is not None:
        inputs = named
    elif draft.mode == "read":
        inputs = {}
    else:
        producers = [need for need in needs if steps.by_id[need].mode != "write"]
        single = len(producers) == 1
        inputs = {("df" if single else steps.tables[producer]): producer for producer in producers}
    if draft.mode == "write":
        _check_write(draft, before, inputs, needs, report)
    return Wires(tuple(needs), dict(sorted(inputs.items())))


def _needs(
    draft: StepDraft, before: str | None, named: Mapping[str, str], by_id: Mapping[str, StepDraft], report: Report
) -> set[str]:
    if draft.needs is None and draft.inputs is None:
        return {before} if draft.mode != "read" and before else set()
    nodes = {item.raw: item for item in reversed(draft.node.child("needs").items)}
    for need in draft.needs or ():
        if need not in by_id:
            hint = report.near(need, by_id, "Steps")
            report.add(nodes[need], f"{draft.at}.needs", f"there is no step {shown(need)}", hint)
    return {need for need in draft.needs or () if need in by_id} | set(named.values())


def _named_inputs(draft: StepDraft, by_id: Mapping[str, StepDraft], report: Report) -> dict[str, str]:
    found: dict[str, str] = {}
    nodes = {entry.key: entry.value for entry in draft.node.child("inputs").entries}
    for name, reference in (draft.inputs or {}).items():
        at = joined(f"{draft.at}.inputs", name)
        node = nodes[name]
        step_id = parse_rows_reference(reference)
        if not _INPUT_NAME.fullmatch(name):
            report.add(node, at, "not a name for an input", "Use letters, digits and _, and begin with a letter.")
        elif step_id is None:
            hint = f'Write "${{{reference}.df}}".' if reference in by_id else _INPUT_HINT
            report.add(node, at, f"{shown(reference)} does not name a step's rows", hint)
        elif step_id not in by_id:
            hint = report.near(step_id, by_id, "Steps")
            report.add(node, at, f"there is no step {shown(step_id)}", hint)
        elif by_id[step_id].mode == "write":
            report.add(node, at, f"the step {shown(step_id)} writes and gives no rows", _INPUT_HINT)
        else:
            found[name] = step_id
    if draft.mode == "read" and draft.inputs:
        place = draft.node.child("inputs")
        report.add(place, f"{draft.at}.inputs", "a read step takes no inputs", "Use needs to say what it waits for.")
    return found


def _check_write(
    draft: StepDraft, before: str | None, inputs: Mapping[str, str], needs: Sequence[str], report: Report
) -> None:
    if draft.inputs and len(inputs) < len(draft.inputs):
        return  # a wrong reference has been reported already
    if not needs and (draft.needs or (draft.needs is None and before == "")):
        return  # the step before it has no good id, or every need is unknown: reported already
    place = draft.node.child("inputs")
    if not inputs:
        after = f"; {shown(needs[0])} before it gives no rows" if needs and draft.needs is None else ""
        report.add(place, draft.at, f"the step {shown(draft.id)} has nothing to write{after}", _WRITE_HINT)
    elif len(inputs) > 1:
        sources = set(inputs.values())
        names = ", ".join(shown(need) for need in needs if need in sources)
        problem = f"the step {shown(draft.id)} could write the rows of several steps: {names}"
        if len(sources) == 1:
            problem = f"the step {shown(draft.id)} takes one input, has {len(inputs)}"
        report.add(place, draft.at, problem, _WRITE_HINT)


def _check_circles(by_id: Mapping[str, StepDraft], wires: Mapping[str, Wires], report: Report) -> None:
    needs = {step: [need for need in wires[step].needs if need in wires] if step in wires else [] for step in by_id}
    for circle in find_circles(list(by_id), needs):
        draft = by_id[circle[0]]
        way = " -> ".join([*circle, circle[0]])
        problem = f"steps need each other in a circle: {way}"
        report.add(draft.node, draft.at, problem, "Take away one of these needs or inputs.")


def _warn_of_unused_rows(by_id: Mapping[str, StepDraft], wires: Mapping[str, Wires], warnings: Report) -> None:
    used = {producer for wire in wires.values() for producer in wire.inputs.values()}
    for step, draft in by_id.items():
        if draft.mode != "write" and step not in used:
            problem = f"nobody uses the rows of the step {shown(step)}"
            warnings.add(draft.node, draft.at, problem, "Add a step that takes them, or remove this one.")


def table_names(ids: Sequence[str]) -> dict[str, str]:
    """The name that each step's rows have in a query: ``df_extract_orders`` for ``extract-orders``.

    Characters other than letters, digits and _ become _, and _ goes before a leading digit: ``df__1st``. DuckDB does
    not tell upper from lower case, so neither does this: ids that fall together get _ and 8 hex digits of their
    SHA-256.
    """
    names = {step: _table_name(step) for step in ids}
    hashed: set[str] = set()
    while True:
        sharing: defaultdict[str, list[str]] = defaultdict(list)
        for step, name in names.items():
            sharing[name.lower()].append(step)
        together = {step for steps in sharing.values() if len(steps) > 1 for step in steps} - hashed
        if not together:
            return names
        hashed |= together
        names |= {step: f"{_table_name(step)}_{id_digest(step)}" for step in together}


def _table_name(step: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9_]", "_", step)
    return f"df_{'_' if cleaned[0].isdigit() else ''}{cleaned}"


def id_digest(step: str) -> str:
    """8 hex digits of the SHA-256 of a step id, which tell apart ids that would get one name."""
    return sha256_hex(step.encode())[:8]
