"""``osiris oml``: pipeline files without a run."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from osiris.cli.compile import parse_params
from osiris.cli.complete import complete_pipelines, complete_profiles
from osiris.cli.output import ErrorFinding, Output
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.compiler.project_build import CompileRequest, compile_source, find_source
from osiris.errors import Finding, OsirisError


class ValidatedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file: whether it compiles, and all that was found in it."""

    path: str
    valid: bool
    errors: tuple[ErrorFinding, ...]
    warnings: tuple[ErrorFinding, ...]


class ValidateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris oml validate --json`` prints."""

    files: tuple[ValidatedFile, ...]


@click.group()
def command() -> None:
    """Pipeline files."""


@command.command(
    "validate",
    cls=Verb,
    document=ValidateDocument,
    examples=["osiris oml validate pipelines/*.yaml", "osiris oml validate orders -p prod"],
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, shell_complete=complete_pipelines)
@click.option("-p", "--profile", shell_complete=complete_profiles, help="The profile to check for.")
@click.option("--param", "params", metavar="K=V", multiple=True, help="Set a parameter; may be given again.")
@shared_options
@click.pass_obj
def validate(settings: Settings, files: tuple[str, ...], profile: str | None, params: tuple[str, ...]) -> int:
    """Check pipeline files with the validator that compile uses: what is valid here compiles."""
    project = settings.open_project()
    output = Output(settings)
    checked = []
    for file in files:
        request = CompileRequest(
            reference=file, profile=project.profile(profile), params=parse_params(params), environ=os.environ
        )
        try:
            source: Path = find_source(project, file)
            warnings = compile_source(project, source, request).warnings
            errors: tuple[Finding, ...] = ()
        except OsirisError as error:
            errors, warnings = error.findings or (Finding(error.problem, error.hint, error.path),), ()
        checked.append(ValidatedFile(path=file, valid=not errors, errors=_found(errors), warnings=_found(warnings)))
    output.emit(ValidateDocument(files=tuple(checked)), [line for file in checked for line in _lines(file)])
    return 0 if all(file.valid for file in checked) else 2


def _found(findings: tuple[Finding, ...]) -> tuple[ErrorFinding, ...]:
    return tuple(
        ErrorFinding(message=found.problem, hint=found.hint, path=found.path, line=found.line, column=found.column)
        for found in findings
    )


def _lines(file: ValidatedFile) -> list[str]:
    lines = [f"{'valid' if file.valid else 'invalid'}  {file.path}"]
    for kind, findings in (("error", file.errors), ("warning", file.warnings)):
        for found in findings:
            place = f"{found.line}:{found.column}: " if found.line else ""
            lines.append(f"  {kind}: {place}{found.message}")
            if found.hint:
                lines.append(f"    Try: {found.hint}")
    return lines
