"""The option ``--html FILE``, and the file that it asks for."""

from __future__ import annotations

import os
from pathlib import Path

import click

from osiris import durable
from osiris.errors import OsirisError, disk_error
from osiris.project import Project
from osiris.projections.runs import RunRecord

_STANDARD_OUTPUT = Path("-")
_BEGINNING = b"<!doctype html>"

html_option = click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write one self-contained page of the run to FILE (`-`: standard output) instead.",
)


def write_report(project: Project, record: RunRecord, file: Path, *, as_json: bool) -> list[str]:
    """Write the page of the run to ``file``, in one step; the lines for standard output: its path, or the page.

    Links in a page on standard output are relative to the working folder. Exit 2 where ``file`` is something that is
    no file, or no page, or where both would go to standard output; exit 7 where the disk does not take it.
    """
    from osiris.cli.report.page import render  # noqa: PLC0415 - a run is mostly shown without a page
    from osiris.cli.report.sources import read_sources  # noqa: PLC0415

    if file == _STANDARD_OUTPUT:
        if as_json:
            raise OsirisError(
                "--html - and --json both ask for standard output", "Name a file for the page.", code="cli.usage"
            )
        return [render(read_sources(project, record, Path.cwd())).removesuffix("\n")]
    target = _target(file)
    page = render(read_sources(project, record, Path(os.path.normpath(file.absolute())).parent))
    try:
        durable.replace_file(target, page.encode(), sync=False)
    except OSError as cause:
        raise disk_error("write", file, cause) from cause
    return [os.fsencode(file).decode("utf-8", "backslashreplace")]


def _target(file: Path) -> Path:
    """Where the page goes: ``file``, or what it is a link to. What is no file, such as a device, is not replaced."""
    try:
        target = file.resolve()
        wrong = "" if target.parent.is_dir() else "there is no such folder"
        if target.exists() and not target.is_file():
            wrong = "it is a folder" if target.is_dir() else "it is not a file"
        elif target.exists() and not _may_be_replaced(target):
            wrong = "it is a file, and no page"
    except (OSError, ValueError, RuntimeError) as cause:
        raise _unwritable(file, str(cause)) from cause
    if wrong:
        raise _unwritable(file, wrong)
    return target


def _may_be_replaced(target: Path) -> bool:
    """Whether a page or nothing stands there: ``--html pipelines/orders.yaml`` is a slip."""
    with target.open("rb") as file:
        return file.read(len(_BEGINNING)).lower() in (b"", _BEGINNING)


def _unwritable(file: Path, reason: str) -> OsirisError:
    return OsirisError(
        f"the page cannot be written to {file}: {reason}",
        "Name a file in a folder that exists, or `-` for standard output.",
        code="cli.usage",
        path=str(file),
    )
