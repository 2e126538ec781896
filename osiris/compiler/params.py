"""Parameters: their declarations, what each is bound to, and ``${params.x}`` in the document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from osiris.compiler.oml import Bindings, OmlParam, OmlProfile, ParamType, ParamValue
from osiris.documents import FREE_PREFIX, Entry, Node, Report, bind, joined, listed, resolve_plain, shown, suggest
from osiris.errors import Finding
from osiris.redaction import secret_shape

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PYTHON_TYPES: dict[ParamType, type[Any]] = {"string": str, "int": int, "float": float, "bool": bool}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter; ``default`` is None where it is required, ``choices`` is empty where any value is good."""

    entry: Entry
    type: ParamType
    default: ParamValue | None = None
    choices: dict[ParamValue, None] = {}


def declare_params(root: Node, report: Report) -> dict[str, Parameter | None]:
    """The declared parameters by name; None stands for one whose declaration is wrong, which has been reported."""
    declared: dict[str, Parameter | None] = {}
    for entry in _entries(root, "params"):
        at = joined("params", entry.key)
        if not _NAME.fullmatch(entry.key):
            hint = "Use letters, digits, _ and -, and begin with a letter."
            report.add(entry, "params", f"{shown(entry.key)} is not a parameter's name", hint)
        declared[entry.key] = _declare(entry, at, report)
    return declared


def _entries(node: Node, key: str) -> list[Entry]:
    entry = node.entry(key)
    below = entry.value.entries if entry else ()
    return [one for one in below if not one.key.startswith(FREE_PREFIX)]


def _declare(entry: Entry, at: str, report: Report) -> Parameter | None:
    if entry.value.kind == "scalar" and not entry.value.is_empty:
        report.expected(entry.value, at, "a map", "Write it as {type: string, default: …}, or int, float, bool.")
        return None
    oml = bind(entry.value, OmlParam, path=report.path, findings=report.findings, at=at)
    if oml is None:
        return None
    before = len(report.findings)
    choices = [_typed(node, oml.type, f"{at}.enum[{place}]", report) for place, node in enumerate(oml.enum or [])]
    parameter = Parameter(entry=entry, type=oml.type, choices={value: None for value in choices if value is not None})
    if oml.default is not None:
        default = _checked(oml.default, parameter, f"{at}.default", report)
        parameter = msgspec.structs.replace(parameter, default=default)
    return parameter if len(report.findings) == before else None


def _typed(node: Node, type_: ParamType, at: str, report: Report) -> ParamValue | None:
    value: ParamValue | None = bind(node, _PYTHON_TYPES[type_], path=report.path, findings=report.findings, at=at)
    return value


def _checked(node: Node, parameter: Parameter, at: str, report: Report) -> ParamValue | None:
    value = _typed(node, parameter.type, at, report)
    if value is None or not parameter.choices or value in parameter.choices:
        return value
    allowed = [text_of(choice) for choice in parameter.choices]
    problem = f"{shown(text_of(value), parameter.entry.key)} is not one of: {listed(allowed)}"
    report.add(node, at, problem, suggest(text_of(value), allowed))
    return None


def bind_params(
    root: Node, declared: Mapping[str, Parameter | None], bindings: Bindings, report: Report
) -> dict[str, ParamValue]:
    """What each parameter is bound to, by name in alphabetical order; those without a good value are reported.

    ``--param`` comes before ``OSIRIS_PARAM_X``, that before the active profile, and that before the default.
    """
    of_profile = _profile_values(root, declared, bindings, report)
    for name in bindings.params:
        if name not in declared:
            hint = report.near(name, declared, "Declared")
            problem = f"--param {shown(name)}: the pipeline has no such parameter"
            report.findings.append(Finding(problem, hint, report.path))
    values: dict[str, ParamValue] = {}
    for name, parameter in sorted(declared.items()):
        if parameter is None:
            continue
        text, origin = _given_text(name, bindings)
        if text is not None:
            value = _from_text(text, parameter, f"params.{name} (from {origin})", report)
        elif name in of_profile:
            value = of_profile[name]
        else:
            value = parameter.default
            if value is None:
                hint = f"Give it a default, or pass --param {name}=… or {environment_name(name)}."
                report.add(parameter.entry, f"params.{name}", "the parameter has no value", hint)
        if value is not None:
            values[name] = value
    return values


def environment_name(name: str) -> str:
    """The environment variable that binds the parameter: ``OSIRIS_PARAM_BATCH_SIZE`` for ``batch-size``."""
    return "OSIRIS_PARAM_" + name.upper().replace("-", "_")


def _given_text(name: str, bindings: Bindings) -> tuple[str | None, str]:
    if name in bindings.params:
        return bindings.params[name], "--param"
    variable = environment_name(name)
    return bindings.environ.get(variable), variable


def _from_text(text: str, parameter: Parameter, at: str, report: Report) -> ParamValue | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        report.add(parameter.entry, at, "the value is not UTF-8 text", "Pass the value in UTF-8.")
        return None
    if kind := secret_shape(text):
        report.add(parameter.entry, at, f"the value is {kind}", "Secrets belong to a connection, not to a parameter.")
        return None
    value = text if parameter.type == "string" else resolve_plain(text)
    entry = parameter.entry
    node = Node(kind="scalar", line=entry.line, column=entry.column, raw=text, plain=True, value=value)
    return _checked(node, parameter, at, report)


def _profile_values(
    root: Node, declared: Mapping[str, Parameter | None], bindings: Bindings, report: Report
) -> dict[str, ParamValue | None]:
    """The active profile's values; those of the other profiles are checked all the same."""
    active: dict[str, ParamValue | None] = {}
    for profile in _entries(root, "profiles"):
        at = joined("profiles", profile.key)
        if bindings.known_profiles and profile.key not in bindings.known_profiles:
            hint = report.near(profile.key, bindings.known_profiles, "Known")
            report.add(profile, "profiles", f"unknown profile {shown(profile.key)}", hint)
        bind(profile.value, OmlProfile, path=report.path, findings=report.findings, at=at)
        for entry in _entries(profile.value, "params"):
            value = _profile_value(entry, declared, joined(f"{at}.params", entry.key), report)
            if profile.key == bindings.profile:
                active[entry.key] = value
    return active


def _profile_value(
    entry: Entry, declared: Mapping[str, Parameter | None], at: str, report: Report
) -> ParamValue | None:
    if entry.key not in declared:
        hint = report.near(entry.key, declared, "Declared")
        report.add(entry, at, "the pipeline has no such parameter", hint)
        return None
    parameter = declared[entry.key]
    return _checked(entry.value, parameter, at, report) if parameter else None


def text_of(value: ParamValue) -> str:
    """A value as it stands inside a text: ``true``, ``100``, ``0.5``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
