"""``osiris connections``: the connections of a project, and whether they work from here."""

from __future__ import annotations

import os

import click
import msgspec

from osiris.cli.complete import complete_connections
from osiris.cli.output import Output, one_line
from osiris.cli.screen import Column, fitted_table
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.connections.doctor import Diagnosis, examine
from osiris.connections.file import Connections, load_connections
from osiris.connections.usability import ListedConnection, look_at
from osiris.connections.variables import Variables
from osiris.errors import ExitCode
from osiris.families.base import Check
from osiris.project import Project

_SECOND_MS = 1000


class ConnectionsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris connections list --json`` prints."""

    connections: tuple[ListedConnection, ...]


class DoctorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris connections doctor --json`` prints."""

    connections: tuple[Diagnosis, ...]


@click.group()
def command() -> None:
    """Named credentials, and whether they work from here."""


@command.command("list", cls=Verb, document=ConnectionsDocument, examples=["osiris connections list"])
@shared_options
@click.pass_obj
def list_command(settings: Settings) -> None:
    """List all connections, and what keeps one from being used here. Nobody is asked anything."""
    project = settings.open_project()
    output = Output(settings)
    variables = Variables(project.root, os.environ)
    found = tuple(look_at(connection, variables) for connection in read_connections(project, output).all())
    columns = [
        Column("connection", [each.connection for each in found]),
        Column("default", ["default" if each.is_default else "-" for each in found], 1),
        Column("family", [each.title or "-" for each in found], 2),
        Column("usable", [_usable(each) for each in found]),
        Column("leads to", [one_line(_settings(each)) or "-" for each in found], 3, least=16),
    ]
    problems = [one_line("; ".join(each.problems)) or "-" for each in found]
    if not output.on_terminal:
        columns.append(Column("problems", problems))
    lines = fitted_table(columns, output) if found or not output.on_terminal else ["There are no connections."]
    told = [f"{each.connection}: {told}" for each, told in zip(found, problems, strict=True) if each.problems]
    output.emit(ConnectionsDocument(connections=found), [*lines, *(["", *told] if told and output.on_terminal else [])])


@command.command(
    cls=Verb,
    document=DoctorDocument,
    examples=["osiris connections doctor", "osiris connections doctor @postgres.warehouse --timeout 10"],
)
@click.argument("references", metavar="[REF...]", nargs=-1, shell_complete=complete_connections)
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0.1, max=600),
    default=3.0,
    show_default=True,
    help="Seconds for each connection.",
)
@shared_options
@click.pass_obj
def doctor(settings: Settings, references: tuple[str, ...], timeout: float) -> int:
    """Try every connection, or those named, all at once: reach it, sign in, ask its version and what it permits.

    One that does not work is exit code 2.
    """
    project = settings.open_project()
    output = Output(settings)
    connections = read_connections(project, output)
    chosen = [connections.named(reference) for reference in references] or connections.all()
    found = examine(chosen, Variables(project.root, os.environ), project.root, timeout)
    output.emit(DoctorDocument(connections=tuple(found)), _diagnosis_lines(found, output))
    return ExitCode.USAGE if any(each.status == "failed" for each in found) else ExitCode.DONE


def read_connections(project: Project, output: Output) -> Connections:
    """The connections of the project; keys of their file that mean nothing are told on stderr."""
    connections = load_connections(project.root)
    for warning in connections.warnings:
        output.warn(f"{warning.where}: {warning.problem}")
    return connections


def _usable(listed: ListedConnection) -> str:
    return "unknown" if listed.usable is None else "yes" if listed.usable else "no"


def _settings(listed: ListedConnection) -> str:
    return ", ".join(f"{name} {value}" for name, value in listed.settings.items() if value)


def _diagnosis_lines(found: list[Diagnosis], output: Output) -> list[str]:
    columns = [
        Column("connection", [each.connection for each in found]),
        Column("status", [output.status(each.status) for each in found]),
        *(Column(name, [_cell(each, name) for each in found], 2) for name in ("reach", "sign in", "permission")),
        Column("found", [one_line(_found(each)) or "-" for each in found], 1, least=16),
    ]
    lines = fitted_table(columns, output) if found or not output.on_terminal else ["There are no connections."]
    for each in found:
        for check in each.checks if output.on_terminal else ():
            if not check.ok:
                lines += ["", one_line(f"{each.connection}, {check.name}: {check.problem}")]
                lines += [f"  Try: {one_line(check.hint)}"] if check.hint else []
    return lines


def _cell(diagnosis: Diagnosis, name: str) -> str:
    check = next((check for check in diagnosis.checks if check.name == name), None)
    if check is None:
        return "-"
    return _latency(check) if check.ok else "failed"


def _found(diagnosis: Diagnosis) -> str:
    """What the checks found, or the first that failed."""
    failed = next((check for check in diagnosis.checks if not check.ok), None)
    if failed is not None:
        return f"{failed.name}: {failed.problem}"
    return ", ".join(check.detail for check in diagnosis.checks if check.detail and check.name != "reach")


def _latency(check: Check) -> str:
    return (
        f"{check.duration_ms:.1f} ms" if check.duration_ms < _SECOND_MS else f"{check.duration_ms / _SECOND_MS:.1f} s"
    )
