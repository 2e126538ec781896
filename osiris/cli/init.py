"""``osiris init``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from osiris.cli.output import Output
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.errors import ExitCode
from osiris.scaffold.init import init_project


class InitDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris init --json`` prints: the project's folder and the paths made in it."""

    project: str
    created: tuple[str, ...]


@click.command(
    cls=Verb,
    document=InitDocument,
    exits=[ExitCode.DISK],
    examples=["osiris init shop", "osiris init --example", "osiris init shop --git"],
)
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--example", is_flag=True, help="Add a pipeline with its data that runs at once.")
@click.option("--git", is_flag=True, help="Make it a git repository, too.")
@shared_options
@click.pass_obj
def command(settings: Settings, directory: Path, *, example: bool, git: bool) -> None:
    """Scaffold a project: osiris.yaml with a comment on every key, folders, .gitignore, a connections sample."""
    base = settings.project or Path()
    target = (base / directory).absolute()
    created = init_project(target, example=example, git=git)
    lines = [f"Made a project in {target}:", *(f"  {path}" for path in created)]
    if example:
        steps = "" if target == Path.cwd() else f"cd {directory} && "
        lines.append(f"Run the example: {steps}osiris run pipelines/daylight.yaml")
    Output(settings).emit(InitDocument(project=str(target), created=tuple(created)), lines)
