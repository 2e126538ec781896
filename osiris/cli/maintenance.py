"""``osiris maintenance``: what becomes old and goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
import msgspec

from osiris.cli.output import Output, count, one_line
from osiris.cli.screen import size
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.config import RetentionConfig
from osiris.errors import ExitCode, Finding, OsirisError
from osiris.retention.clean import clean, survey
from osiris.retention.planned import KeptRuns, Obstacle, PlannedPath, RetentionPlan
from osiris.retention.walls import REFUSED

_HEADINGS = {
    "unfinished": "Left of an earlier clean that did not come to its end",
    "run_logs_days": "Run folders, by run_logs_days",
    "annex_keep_days": "Annexes, by annex_keep_days",
    "aiop_keep_runs_per_pipeline": "Annexes, by aiop_keep_runs_per_pipeline",
}
_KEPT = {
    "newest": "among the newest of their pipeline and profile",
    "latest": "behind a latest pointer",
    "young": "with a folder that no rule has reached",
    "running": "without an end",
    "unclear": "with a finish time in the future or none",
}


class CleanedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that goes or went: its bytes, whose it is, by which rule, and in words why."""

    path: str
    bytes: int
    run_id: str
    pipeline_slug: str
    profile: str
    finished_at: str
    rule: str
    reason: str


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A plan of an earlier clean that was found unfinished, and the paths of which nobody knew what became of them."""

    plan_id: str
    planned_at: str
    paths: tuple[str, ...]


class CleanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris maintenance clean --json`` prints.

    ``paths`` are gone where ``applied``, else they would go; ``refused`` are those that should go and stay.
    """

    applied: bool
    policy: RetentionConfig
    paths: tuple[CleanedPath, ...]
    bytes: int
    kept: KeptRuns
    unfinished: tuple[Unfinished, ...]
    refused: tuple[Obstacle, ...]


@click.group()
def command() -> None:
    """What becomes old and goes."""


@command.command(
    "clean",
    cls=Verb,
    document=CleanDocument,
    exits=[*READING_EXITS, ExitCode.NEWER_OSIRIS],
    examples=[
        "osiris maintenance clean",
        "osiris maintenance clean --apply",
        "osiris maintenance clean --logs-days 30 --json | jq -r '.paths[].path'",
    ],
)
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("--apply", "is_applied", is_flag=True, help="Delete it.")
@click.option("--logs-days", metavar="N", type=click.IntRange(min=0), help="Instead of run_logs_days; 0: no such rule.")
@click.option(
    "--keep-runs",
    metavar="N",
    type=click.IntRange(min=0),
    help="Instead of aiop_keep_runs_per_pipeline; 0: no such rule.",
)
@click.option(
    "--annex-days", metavar="N", type=click.IntRange(min=0), help="Instead of annex_keep_days; 0: no such rule."
)
@shared_options
@click.pass_obj
def clean_command(
    settings: Settings,
    dry_run: bool,
    is_applied: bool,
    logs_days: int | None,
    keep_runs: int | None,
    annex_days: int | None,
) -> int:
    """Delete the run folders and annexes that the rules under filesystem.retention in osiris.yaml give up.

    Without --apply or --dry-run, retention.dry_run_default decides. Kept whatever their age: runs that are alive, the
    run behind each latest pointer, the newest of each pipeline and profile. Never deleted: build/, .osiris/,
    summary.json, run-card.md. The plan is recorded before anything goes; a clean that was killed is finished by the
    next one.
    """
    if dry_run and is_applied:
        raise OsirisError("--dry-run and --apply exclude each other", "Give one of them.", code="cli.usage")
    project = settings.open_project()
    policy = _policy(project.config.filesystem.retention, logs_days, keep_runs, annex_days)
    output = Output(settings)
    if is_applied or not (dry_run or project.config.retention.dry_run_default):
        done = clean(project, policy)
        document = _document(done.plan, done.gone, done.obstacles, applied=True)
    else:
        plan = survey(project, policy)
        unfinished = tuple(path for left in plan.unfinished for path in left.paths)
        document = _document(plan, (*unfinished, *plan.paths), plan.obstacles, applied=False)
    how = _how_to_apply(logs_days, keep_runs, annex_days)
    output.emit(document, _lines(document, how))
    if document.refused and not output.json:
        output.error(_error(document.refused))
    if any(found.code != REFUSED for found in document.refused):
        return ExitCode.DISK
    return ExitCode.USAGE if document.refused else ExitCode.DONE


def _policy(
    configured: RetentionConfig, logs_days: int | None, keep_runs: int | None, annex_days: int | None
) -> RetentionConfig:
    return RetentionConfig(
        run_logs_days=configured.run_logs_days if logs_days is None else logs_days,
        aiop_keep_runs_per_pipeline=configured.aiop_keep_runs_per_pipeline if keep_runs is None else keep_runs,
        annex_keep_days=configured.annex_keep_days if annex_days is None else annex_days,
    )


def _document(
    plan: RetentionPlan, paths: Sequence[PlannedPath], obstacles: tuple[Obstacle, ...], *, applied: bool
) -> CleanDocument:
    cleaned = tuple(
        CleanedPath(
            path=path.path,
            bytes=path.folder.bytes if path.folder else 0,
            run_id=path.run_id,
            pipeline_slug=path.pipeline_slug,
            profile=path.profile,
            finished_at=path.finished_at,
            rule=path.rule,
            reason=path.reason,
        )
        for path in paths
    )
    unfinished = tuple(
        Unfinished(plan_id=left.plan_id, planned_at=left.planned_at, paths=left.named) for left in plan.unfinished
    )
    return CleanDocument(
        applied=applied,
        policy=plan.policy,
        paths=cleaned,
        bytes=sum(path.bytes for path in cleaned),
        kept=plan.kept,
        unfinished=unfinished,
        refused=obstacles,
    )


def _lines(document: CleanDocument, how: str) -> Iterator[str]:
    """What and how much and why, by rule; then what is kept, and how to go on."""
    for rule, heading in _HEADINGS.items():
        paths = [path for path in document.paths if path.rule == rule]
        if paths:
            yield click.style(f"{heading}: {_amount(paths)}", bold=True)
            yield from (f"  - {one_line(path.path)}  {size(path.bytes)}  {one_line(path.reason)}" for path in paths)
    total = _amount(document.paths)
    if document.applied:
        yield f"deleted {total}" if document.paths else "nothing to delete"
    else:
        yield f"would delete {total}" if document.paths else "nothing to delete"
    if document.unfinished:
        plans = f"{_counted(len(document.unfinished), 'plan')} that an earlier clean left unfinished"
        yield f"{'took up' if document.applied else 'the next clean that deletes takes up'} {plans}"
    kept = msgspec.structs.asdict(document.kept)
    reasons = [f"{count(kept[name])} {words}" for name, words in _KEPT.items() if kept[name]]
    yield f"kept: {_counted(sum(kept.values()), 'run')}{': ' if reasons else ''}{', '.join(reasons)}"
    if not document.applied and (document.paths or document.unfinished):
        yield f"Apply it with `{how}`."


def _error(obstacles: Sequence[Obstacle]) -> OsirisError:
    findings = [Finding(found.problem, found.hint) for found in obstacles]
    first = obstacles[0]
    return OsirisError(first.problem, first.hint, code=first.code, path=first.path, findings=findings)


def _how_to_apply(logs_days: int | None, keep_runs: int | None, annex_days: int | None) -> str:
    flags = [("--logs-days", logs_days), ("--keep-runs", keep_runs), ("--annex-days", annex_days)]
    given = [f"{flag} {value}" for flag, value in flags if value is not None]
    return " ".join(["osiris maintenance clean --apply", *given])


def _amount(paths: Sequence[CleanedPath]) -> str:
    return f"{_counted(len(paths), 'folder')}, {size(sum(path.bytes for path in paths))}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
