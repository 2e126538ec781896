"""``osiris pipelines``: what is known of each pipeline."""

from __future__ import annotations

import os

import click
import msgspec

from osiris.cli.complete import complete_own_tags, complete_slugs, complete_tags
from osiris.cli.filters import split_tags
from osiris.cli.output import Output, local_time
from osiris.cli.pipeline_page import PipelineDocument, pipeline_document, pipeline_lines
from osiris.cli.screen import Column, fitted_table
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.compiler.standing_secrets import refuse_standing_secrets
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, each_run, list_pipelines
from osiris.ledger.runs import tag_pipeline
from osiris.projections.pipelines import LastCompile, PipelineSummary
from osiris.projections.runs import RunStatus


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline's newest run, in all profiles or in one."""

    run_id: str
    profile: str
    status: RunStatus
    started_at: str


class ListedPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline in the list: its tags, its last compile by profile, and its newest run, null before the first.

    ``last_runs`` has the newest run of each profile that it was compiled for and has run in.
    """

    tags: tuple[str, ...]
    last_compile: dict[str, LastCompile]
    last_run: LastRun | None
    last_runs: dict[str, LastRun]


class PipelinesDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris pipelines list --json`` prints: pipelines by slug."""

    pipelines: dict[str, ListedPipeline]


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
    """List the pipelines that were compiled, with their tags, last compile and newest run."""
    ledger = settings.open_project().ledger
    pipelines = {slug: _listed(ledger, slug, summary) for slug, summary in sorted(list_pipelines(ledger).items())}
    output = Output(settings)
    output.emit(PipelinesDocument(pipelines=pipelines), _list_lines(pipelines, output))


@command.command(
    "show",
    cls=Verb,
    document=PipelineDocument,
    exits=READING_EXITS,
    examples=["osiris pipelines show orders", "osiris pipelines show orders --json | jq .success_streak"],
)
@click.argument("pipeline", shell_complete=complete_slugs)
@shared_options
@click.pass_obj
def show(settings: Settings, pipeline: str) -> None:
    """Show one pipeline: its file, its compiles, its tags, its last runs, and since when all is well."""
    project = settings.open_project()
    document = pipeline_document(project, pipeline)
    output = Output(settings)
    output.emit(document, pipeline_lines(document, output, project.clock.now()))


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
    added, removed = split_tags(add), split_tags(remove)
    if not added and not removed:
        raise OsirisError("nothing to change", "Give --add TAG or --remove TAG.", code="cli.usage")
    project = settings.open_project()
    refuse_standing_secrets({"--add": added}, project.root, os.environ)
    tags = tag_pipeline(project.ledger, pipeline, add=added, remove=removed)
    document = TagsDocument(pipeline_slug=pipeline, tags=tags)
    Output(settings).emit(document, [f"{pipeline}: {', '.join(tags) or 'no tags'}"])


def _listed(ledger: Ledger, slug: str, summary: PipelineSummary) -> ListedPipeline:
    newest: LastRun | None = None
    by_profile: dict[str, LastRun] = {}
    for record in each_run(ledger, RunFilter(pipeline=slug)):
        run = LastRun(run_id=record.run_id, profile=record.profile, status=record.status, started_at=record.started_at)
        newest = newest or run
        if run.profile in summary.last_compile:
            by_profile.setdefault(run.profile, run)
        if len(by_profile) == len(summary.last_compile):
            break  # a long history is read no further than it has to be
    return ListedPipeline(tags=summary.tags, last_compile=summary.last_compile, last_run=newest, last_runs=by_profile)


def _list_lines(pipelines: dict[str, ListedPipeline], output: Output) -> list[str]:
    """A row for each pipeline and profile, with the newest run in that profile."""
    rows = [
        (slug, profile, compiled, listed.tags, listed.last_runs.get(profile))
        for slug, listed in pipelines.items()
        for profile, compiled in sorted(listed.last_compile.items())
    ]
    if not rows:
        return ["No pipeline was compiled yet."] if output.on_terminal else []
    columns = [
        Column("pipeline", [slug for slug, *_ in rows]),
        Column("profile", [profile or "-" for _, profile, *_ in rows]),
        Column("manifest", [compiled.manifest_hash[:7] for _, _, compiled, *_ in rows], 4),
        Column("compiled", [local_time(compiled.compiled_at) for _, _, compiled, *_ in rows], 3),
        Column("tags", [",".join(tags) or "-" for *_, tags, _ in rows], 5, least=12),
        Column("last run", [output.status(run.status) if run else "-" for *_, run in rows], 1),
        Column("started", [local_time(run.started_at) if run else "-" for *_, run in rows], 2),
    ]
    return fitted_table(columns, output)
