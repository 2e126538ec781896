"""``osiris runs tag``."""

from __future__ import annotations

import os

import click
import msgspec

from osiris.cli.complete import complete_runs, complete_tags
from osiris.cli.filters import split_tags
from osiris.cli.output import Output
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.compiler.standing_secrets import refuse_standing_secrets
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.queries import run_name
from osiris.ledger.runs import tag_run


class RunTagsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs tag --json`` prints: all tags of the run now."""

    pipeline_slug: str
    run_id: str
    tags: tuple[str, ...]


@click.command(
    "tag",
    cls=Verb,
    document=RunTagsDocument,
    exits=[*READING_EXITS, ExitCode.NEWER_OSIRIS],
    examples=[
        "osiris runs tag last --add golden",
        "osiris runs tag orders/run-000012 --add audited --remove golden,draft",
    ],
)
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--add", metavar="TAG", multiple=True, shell_complete=complete_tags, help="Add this tag; may be given again."
)
@click.option(
    "--remove", metavar="TAG", multiple=True, shell_complete=complete_tags, help="Remove this tag; may be given again."
)
@shared_options
@click.pass_obj
def command(settings: Settings, run: str, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Change the tags of one run, of one that goes on as well. Those of its pipeline stay as they are."""
    added, removed = split_tags(add), split_tags(remove)
    if not added and not removed:
        raise OsirisError("nothing to change", "Give --add TAG or --remove TAG.", code="cli.usage")
    project = settings.open_project()
    refuse_standing_secrets({"--add": added}, project.root, os.environ)
    record = tag_run(project.ledger, run, add=added, remove=removed)
    document = RunTagsDocument(pipeline_slug=record.pipeline_slug, run_id=record.run_id, tags=record.tags)
    Output(settings).emit(document, [f"{run_name(record)}: {', '.join(record.tags) or 'no tags'}"])
