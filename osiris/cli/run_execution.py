"""What ``osiris run`` does. Apart from its command line, which the shell's completion imports and DuckDB would slow."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from osiris.cli.compile import parse_params
from osiris.cli.output import Output
from osiris.cli.plan import plan_document, plan_lines
from osiris.cli.progress import PlainProgress, TerminalProgress
from osiris.cli.resume import find_resumed, note_that_it_can_be_resumed
from osiris.cli.run_arguments import RunArguments, RunResultDocument
from osiris.cli.run_show import run_lines
from osiris.cli.streams import ScrubbedStream, steps_print_to_stderr
from osiris.cli.verb import Settings
from osiris.compiler.project_build import (
    CompileRequest,
    PipelineBuild,
    build_pipeline,
    compile_source,
    find_source,
    open_build,
    open_last_build,
)
from osiris.compiler.render import MANIFEST_FILE
from osiris.compiler.standing_secrets import refuse_standing_secrets
from osiris.config import choose_run_id_tokens
from osiris.errors import ExitCode, OsirisError
from osiris.events.runs import RunError
from osiris.ledger.runs import checked_tags
from osiris.project import Project
from osiris.projections.runs import RunRecord
from osiris.runner.cancellation import Cancellation
from osiris.runner.database import DatabaseOpening
from osiris.runner.resume import find_reusable, open_resumed_build
from osiris.runner.run import RunOptions, run_pipeline, runtime_limits

_EXIT_OF_STATUS = {
    "success": ExitCode.DONE,
    "failed": ExitCode.PIPELINE_FAILED,
    "cancelled": ExitCode.CANCELLED,
}


def run(settings: Settings, arguments: RunArguments) -> int:
    """Run, or show the plan; gives the exit code."""
    with DatabaseOpening() as database:  # which opens while the rest is read
        return _run(settings, arguments, database)


def _run(settings: Settings, arguments: RunArguments, database: DatabaseOpening) -> int:
    project = settings.open_project()
    output = Output(settings)
    profile = project.profile(arguments.profile)
    tokens = choose_run_id_tokens(project.config, arguments.run_id_format)
    tags = checked_tags(tag.strip() for tag in arguments.tags.split(",") if tag.strip())
    refuse_standing_secrets({"--tags": tags}, project.root, os.environ)
    resumed = find_resumed(project, arguments)
    if arguments.dry_run:
        return _dry_run(project, arguments, profile, resumed, output)
    database.limit(runtime_limits(project.config.runtime))
    build = _build(project, arguments, profile, resumed)
    for finding in build.warnings:
        output.warn(f"{finding.where}: {finding.problem}")
    if not settings.json:
        output.note(f"build {build.manifest.manifest_short} {'is up to date' if build.reused else 'compiled'}")
    cancel = Cancellation()
    options = RunOptions(run_id_tokens=tokens, tags=tags, environ=os.environ, resumes=resumed)
    with (
        _stopping(cancel),
        steps_print_to_stderr() as stream,
        _progress(settings, build, output, stream) as progress,
    ):
        done = run_pipeline(project, build, options, database=database, listener=progress, cancel=cancel)
    document = RunResultDocument(run=done.record, steps=done.steps, build_reused=build.reused)
    output.emit(document, run_lines(done.record, done.steps, output, project.root, with_error=False))
    if done.record.error is not None and not settings.json:
        output.error(_step_error(done.record.error))
    if not settings.json:
        note_that_it_can_be_resumed(project, done.record, output)
    return _EXIT_OF_STATUS[done.record.status]


def _step_error(error: RunError) -> OsirisError:
    """What a failed run says last, as any error does."""
    place = f", {error.place}" if error.place else ""
    where = f"step {error.step}{place}: " if error.step else ""
    return OsirisError(f"{where}{error.message}", error.hint, code=error.code)


def _progress(
    settings: Settings, build: PipelineBuild, output: Output, stream: ScrubbedStream
) -> TerminalProgress | PlainProgress:
    steps = [step.id for step in build.manifest.steps]
    if output.live and not settings.json:
        return TerminalProgress(steps, output, stream)
    return PlainProgress(output, quiet=settings.json)


def _build(project: Project, arguments: RunArguments, profile: str, resumed: RunRecord | None) -> PipelineBuild:
    if resumed is not None:
        return open_resumed_build(project, resumed)
    _check_reference(arguments)
    if arguments.last_compile:
        return open_last_build(project, profile)
    if _names_a_build(arguments):
        return _open_named_build(project, arguments, profile)
    return build_pipeline(project, _compile_request(arguments, profile))


def _open_named_build(project: Project, arguments: RunArguments, profile: str) -> PipelineBuild:
    build = open_build(project, Path(arguments.pipeline).absolute())
    if arguments.profile and build.manifest.profile != profile:
        raise OsirisError(
            f"{arguments.pipeline} was compiled for profile {build.manifest.profile!r}, not {profile!r}",
            f"Leave --profile out, or compile the pipeline with -p {profile}.",
            code="cli.usage",
            path=arguments.pipeline,
        )
    return build


def _dry_run(project: Project, arguments: RunArguments, profile: str, resumed: RunRecord | None, output: Output) -> int:
    if resumed is not None or _names_a_build(arguments):
        manifest = _build(project, arguments, profile, resumed).manifest
    else:
        _check_reference(arguments)
        source = find_source(project, arguments.pipeline)
        manifest = compile_source(project, source, _compile_request(arguments, profile)).manifest
    kept = resumed is not None or project.config.runtime.keep_step_outputs
    reused = find_reusable(project, resumed, manifest).reused if resumed else ()
    document = plan_document(project, manifest, kept=kept, reused=reused)
    output.emit(document, plan_lines(document))
    return ExitCode.DONE


def _compile_request(arguments: RunArguments, profile: str) -> CompileRequest:
    return CompileRequest(
        reference=arguments.pipeline,
        profile=profile,
        params=parse_params(arguments.params),
        environ=os.environ,
        record_again=arguments.force_recompile,
    )


def _check_reference(arguments: RunArguments) -> None:
    if bool(arguments.pipeline) == arguments.last_compile:
        raise OsirisError(
            "name one pipeline, or --last-compile",
            "For example: osiris run pipelines/orders.yaml",
            code="cli.usage",
        )
    if arguments.params and _names_a_build(arguments):
        raise OsirisError(
            "--param cannot change a build that stands",
            "Run the pipeline itself: osiris run PIPELINE --param name=value.",
            code="cli.usage",
        )


def _names_a_build(arguments: RunArguments) -> bool:
    return arguments.last_compile or Path(arguments.pipeline).name == MANIFEST_FILE


@contextmanager
def _stopping(cancel: Cancellation) -> Iterator[None]:
    """Ctrl-C and SIGTERM cancel the run; a second one ends the process at once, for the next command to record.

    One that the process was started to ignore, as ``nohup`` and shells do for what runs beside them, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        if cancel.cancelled:
            os._exit(ExitCode.CANCELLED)
        cancel.cancel(f"stopped by {signal.Signals(number).name}")

    heeded = (number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN)
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
