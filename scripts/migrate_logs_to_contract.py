"""Move an old ``logs/<session>/`` tree into the layout: a dry run first, then ``--apply``.

See ``docs/guides/migrating_from_logs.md``. It needs an installed ``osiris`` and ends with its exit codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from osiris.cli.main import main
from osiris.cli.output import Output, local_time, one_line
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.errors import ExitCode, OsirisError
from osiris.layout.tokens import LONGEST_SLUG, slugify_token
from osiris.migration.migrate import Migration, migrate, plan_migration
from osiris.migration.plan import LeftAlone, Wishes


@click.command(
    cls=Verb,
    document=Migration,
    exits=[*READING_EXITS, ExitCode.NEWER_OSIRIS],
    examples=[
        "python scripts/migrate_logs_to_contract.py",
        "python scripts/migrate_logs_to_contract.py --pipeline run_1739299353123=orders",
        "python scripts/migrate_logs_to_contract.py --profile prod --apply",
    ],
)
@click.option(
    "--logs",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder with the old sessions, if it is not logs/ in the project.",
)
@click.option(
    "--pipeline",
    "pipelines",
    metavar="[SESSION=]SLUG",
    multiple=True,
    help="The pipeline of one session, or of all that name none; may be given again.",
)
@click.option("-p", "--profile", help="The profile of all runs, instead of the one that each names.")
@click.option("--apply", is_flag=True, help="Do it; without this nothing is changed.")
@shared_options
@click.pass_obj
def command(
    settings: Settings, logs: Path | None, pipelines: tuple[str, ...], profile: str | None, *, apply: bool
) -> int:
    """Record the runs in an old logs/ folder as imported ones, and move their files into the layout.

    What was no run stays where it is. A run of which the pipeline is not known, or that may still be going on, stays as
    well, and the exit status is 2.
    """
    project = settings.open_project()
    wishes = Wishes(slugs=dict(map(_slug, pipelines)), profile=profile)
    folder = logs.absolute() if logs else project.path("logs")
    done = (migrate if apply else plan_migration)(project, folder, wishes)
    output = Output(settings)
    for run in done.runs:
        for note in run.notes:
            output.warn(one_line(f"{run.source}: {note}"))
    output.emit(done, _lines(done, output))
    return ExitCode.USAGE if any(left.is_refused for left in done.left_alone) else ExitCode.DONE


def _slug(wish: str) -> tuple[str, str]:
    session, _, slug = wish.rpartition("=")
    if not slug or slug != slugify_token(slug) or len(slug) > LONGEST_SLUG:
        raise OsirisError(
            f"--pipeline {wish!r} names no pipeline slug",
            f"A slug is what `osiris pipelines list` shows: {slugify_token(slug) or 'orders'}.",
            code="cli.usage",
        )
    return session, slug


def _lines(done: Migration, output: Output) -> Iterator[str]:
    if done.runs:
        rows = [
            (
                one_line(run.source),
                run.pipeline_slug,
                run.profile or "-",
                output.status(run.status),
                local_time(run.started_at),
                run.run_logs_path,
            )
            for run in done.runs
        ]
        yield from output.table(("session", "pipeline", "profile", "status", "started", "goes to"), rows)
    yield from (_left_line(left, output) for left in done.left_alone)
    refused = sum(left.is_refused for left in done.left_alone)
    others = len(done.left_alone) - refused
    count = f"{len(done.runs)} runs"
    yield f"{count} recorded and moved" if done.applied else f"{count} would be recorded and moved"
    if refused or others:
        yield f"{refused} runs and {others} others left alone"
    if done.removed_logs:
        yield f"removed {one_line(done.logs)}, which was empty"
    if done.runs and not done.applied:
        yield "Nothing was changed; --apply does it."


def _left_line(left: LeftAlone, output: Output) -> str:
    word = click.style("refused", fg="red") if left.is_refused and output.on_terminal else "left alone"
    return f"{word}  {one_line(left.source)}: {one_line(left.reason)}"


if __name__ == "__main__":
    main(command)
