"""``osiris repo``: the project as a git repository."""

from __future__ import annotations

import click
import msgspec

from osiris.cli.output import Output
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.errors import ExitCode
from osiris.scaffold.ignore import ensure_ignored
from osiris.scaffold.project_files import IGNORE_PATH


class IgnoreDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris repo ensureignore --json`` prints: the file, and the patterns that were added to it."""

    path: str
    added: tuple[str, ...]


@click.group()
def command() -> None:
    """The project as a git repository."""


@command.command(cls=Verb, document=IgnoreDocument, exits=[ExitCode.DISK], examples=["osiris repo ensureignore"])
@shared_options
@click.pass_obj
def ensureignore(settings: Settings) -> None:
    """Add to .gitignore what it lacks.

    Run logs, annexes, the ledger and secrets stay out of git. What stands there already is kept byte for byte.
    """
    project = settings.open_project()
    added = ensure_ignored(project.root, project.config.filesystem)
    lines = [f"added to {IGNORE_PATH}:", *(f"  {pattern}" for pattern in added)]
    nothing = [f"{IGNORE_PATH} has all patterns already"]
    Output(settings).emit(IgnoreDocument(path=IGNORE_PATH, added=tuple(added)), lines if added else nothing)
