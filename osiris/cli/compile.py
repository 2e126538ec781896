"""``osiris compile``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import msgspec

from osiris.cli.complete import complete_pipelines, complete_profiles
from osiris.cli.output import Output
from osiris.cli.verb import READING_EXITS, Settings, Verb, shared_options
from osiris.compiler.project_build import CompileRequest, PipelineBuild, build_pipeline
from osiris.compiler.render import FINGERPRINTS_FILE, MANIFEST_FILE
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.project import Project
from osiris.projections.latest import latest_path


class CompileDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris compile --json`` prints."""

    pipeline_slug: str
    profile: str
    manifest_hash: str
    manifest_short: str
    payload_digest: str
    build_path: str
    manifest_path: str
    pointer: str
    reused: bool


@click.command(
    cls=Verb,
    document=CompileDocument,
    exits=[*READING_EXITS, ExitCode.NEWER_OSIRIS],
    examples=["osiris compile pipelines/orders.yaml", "osiris compile orders -p prod --param limit=500 --out dist"],
)
@click.argument("pipeline", shell_complete=complete_pipelines)
@click.option("-p", "--profile", shell_complete=complete_profiles, help="The profile to compile for.")
@click.option("--param", "params", metavar="K=V", multiple=True, help="Set a parameter; may be given again.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Also copy the build to DIR, a new or empty folder or an earlier copy.",
)
@shared_options
@click.pass_obj
def command(settings: Settings, pipeline: str, profile: str | None, params: tuple[str, ...], out: Path | None) -> None:
    """Turn PIPELINE (a file, or its name in pipelines/) into a build: the same input gives the same bytes anywhere."""
    project = settings.open_project()
    if out is not None:
        _refuse_what_is_no_copy(project, out)
    request = CompileRequest(
        reference=pipeline,
        profile=project.profile(profile),
        params=parse_params(params),
        environ=os.environ,
        record_again=True,
    )
    build = build_pipeline(project, request)
    if out is not None:
        _copy(project.path(build.manifest_path).parent, out)
    output = Output(settings)
    for finding in build.warnings:
        output.warn(f"{finding.where}: {finding.problem}")
    document = compile_document(project, build)
    lines = [
        f"{'unchanged' if build.reused else 'compiled'}  {document.pipeline_slug}",
        f"  build     {document.build_path}",
        f"  hash      {document.manifest_hash}",
        f"  pointer   {document.pointer}",
        *([f"  copy      {out}"] if out else []),
    ]
    output.emit(document, lines)


def compile_document(project: Project, build: PipelineBuild) -> CompileDocument:
    """The build as JSON shows it."""
    manifest = build.manifest
    pointer = latest_path(manifest.pipeline.slug, manifest.profile)
    return CompileDocument(
        pipeline_slug=manifest.pipeline.slug,
        profile=manifest.profile,
        manifest_hash=manifest.manifest_hash,
        manifest_short=manifest.manifest_short,
        payload_digest=manifest.payload_digest,
        build_path=build.manifest_path.rsplit("/", 1)[0],
        manifest_path=build.manifest_path,
        pointer=f"{project.config.filesystem.index_dir}/{pointer}",
        reused=build.reused,
    )


def parse_params(given: tuple[str, ...]) -> dict[str, str]:
    """``k=v`` pairs as a dict; the last of one name wins."""
    params: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise OsirisError(f"--param {pair!r} is no pair", "Write it as --param name=value.", code="cli.usage")
        params[name] = value
    return params


def _refuse_what_is_no_copy(project: Project, target: Path) -> None:
    """A copy goes into a new or empty folder, or in the place of an earlier copy; nothing else is replaced."""
    try:
        held = {path.name for path in target.iterdir()} if target.is_dir() else set()
        is_built = target.resolve().is_relative_to(project.path(project.config.filesystem.build_dir).resolve())
    except OSError as cause:
        raise disk_error("look into", target, cause) from cause
    if is_built:
        raise OsirisError(
            f"{target} is where builds are kept as they were made",
            "Name another folder with --out.",
            code="compile.foreign_folder",
            path=str(target),
        )
    if held and not {MANIFEST_FILE, FINGERPRINTS_FILE} <= held:
        raise OsirisError(
            f"{target} holds other files than a build",
            "Name an empty folder with --out, or one that is not there yet.",
            code="compile.foreign_folder",
            path=str(target),
        )


def _copy(build: Path, target: Path) -> None:
    """The build in ``target``; of an earlier copy no step's config stays."""
    try:
        for left in (target / "cfg").glob("*.json"):
            left.unlink()
        shutil.copytree(build, target, dirs_exist_ok=True)
    except OSError as cause:
        raise disk_error("copy the build to", target, cause) from cause
    except shutil.Error as cause:
        raise disk_error("copy the build to", target, OSError(str(cause))) from cause
