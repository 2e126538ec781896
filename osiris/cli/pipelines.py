"""``osiris pipelines``: what is known of each pipeline."""

from __future__ import annotations

import click
import msgspec

from osiris.cli.complete import complete_own_tags, complete_slugs, complete_tags
from osiris.cli.output import Output, local_time
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.queries import list_pipelines
from osiris.ledger.runs import tag_pipeline
from osiris.projections.pipelines import PipelineSummary


class PipelinesDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris pipelines list --json`` prints: summaries by slug."""

    pipelines: dict[str, PipelineSummary]


class TagsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris pipelines tag --json`` prints: all tags of the pipeline now."""

    pipeline_slug: str
    tags: tuple[str, ...]


@click.group()
def command() -> None:
    """What is known of each pipeline."""


@command.command("list", cls=Verb, document=PipelinesDocument, exits=READING_EXITS, examples=["osiris pipelines list"])
@shared_options
@click.pass_obj
def list_command(settings: Settings) -> None:
    """List the pipelines that were compiled, with their tags and last compile."""
    pipelines = dict(sorted(list_pipelines(settings.open_project().ledger).items()))
    output = Output(settings)
    rows = [
        (
            slug,
            profile or "-",
            compiled.manifest_hash[:7],
            local_time(compiled.compiled_at),
            ",".join(summary.tags) or "-",
        )
        for slug, summary in pipelines.items()
        for profile, compiled in sorted(summary.last_compile.items())
    ]
    output.emit(
        PipelinesDocument(pipelines=pipelines),
        output.table(("pipeline", "profile", "manifest", "compiled", "tags"), rows) if rows else [],
    )


@command.command(
    "tag",
    cls=Verb,
    document=TagsDocument,
    exits=[*READING_EXITS, ExitCode.NEWER_OSIRIS],
    examples=["osiris pipelines tag orders --add billing --add ml", "osiris pipelines tag orders --remove deprecated"],
)
@click.argument("pipeline", shell_complete=complete_slugs)
@click.option(
    "--add", metavar="TAG", multiple=True, shell_complete=complete_tags, help="Add this tag; may be given again."
)
@click.option(
    "--remove",
    metavar="TAG",
    multiple=True,
    shell_complete=complete_own_tags,
    help="Remove this tag; may be given again.",
)
@shared_options
@click.pass_obj
def tag(settings: Settings, pipeline: str, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Change a pipeline's tags. They live in the ledger, and new runs inherit them."""
    if not add and not remove:
        raise OsirisError("nothing to change", "Give --add TAG or --remove TAG.", code="cli.usage")
    tags = tag_pipeline(settings.open_project().ledger, pipeline, add=_split(add), remove=_split(remove))
    document = TagsDocument(pipeline_slug=pipeline, tags=tags)
    Output(settings).emit(document, [f"{pipeline}: {', '.join(tags) or 'no tags'}"])


def _split(values: tuple[str, ...]) -> list[str]:
    return [tag.strip() for value in values for tag in value.split(",") if tag.strip()]
