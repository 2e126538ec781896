"""From a pipeline of a project to its build in ``build/`` and its fact in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osiris.compiler.build import load_build, write_build
from osiris.compiler.compile import Compiled, compile_pipeline
from osiris.compiler.manifest import Manifest
from osiris.compiler.oml import Bindings, Registry
from osiris.compiler.render import MANIFEST_FILE, PLAN_FILE, SUMMARY_FILE
from osiris.compiler.standing_secrets import refuse_secrets_in_build
from osiris.components import component_names, find_component
from osiris.config import ArtifactsConfig
from osiris.documents import suggest
from osiris.errors import Finding, OsirisError
from osiris.layout.tokens import pipeline_slug
from osiris.ledger.queries import newest_build
from osiris.ledger.runs import Build, record_compile
from osiris.project import Project, is_file

OML_ENDINGS = (".yaml", ".yml")
REGISTRY = Registry(find_component, component_names)


class CompileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be compiled: ``reference`` is a file or the slug of one in the project's pipelines folder.

    ``profile`` is the active one. ``record_again`` records the compile even where the ledger knows this build as the
    newest: somebody asked for it.
    """

    reference: str
    profile: str
    params: Mapping[str, str] = {}
    environ: Mapping[str, str] = {}
    record_again: bool = False


class PipelineBuild(msgspec.Struct, frozen=True, kw_only=True):
    """A build that stands and is known to the ledger; ``reused`` where it stood before. Paths are the project's."""

    manifest: Manifest
    manifest_path: str
    source_path: str
    reused: bool
    warnings: tuple[Finding, ...] = ()

    def facts(self) -> Build:
        """What the ledger keeps of it."""
        manifest = self.manifest
        return Build(
            pipeline_slug=manifest.pipeline.slug,
            profile=manifest.profile,
            manifest_hash=manifest.manifest_hash,
            manifest_short=manifest.manifest_short,
            payload_digest=manifest.payload_digest,
            manifest_path=self.manifest_path,
            source_path=self.source_path,
        )


def build_pipeline(project: Project, request: CompileRequest) -> PipelineBuild:
    """Compile a pipeline, write its build once, then record that it stands."""
    source = find_source(project, request.reference)
    compiled = compile_source(project, source, request)
    directory = project.contract.manifest_dir(build_tokens(compiled.manifest))
    left_out = _left_out(project.config.filesystem.artifacts)
    written = write_build(compiled, project.path(directory), project.config.ids.manifest_hash_algo, left_out)
    build = PipelineBuild(
        manifest=compiled.manifest,
        manifest_path=f"{directory}/{MANIFEST_FILE}",
        source_path=project.relative(source),
        reused=not written,
        warnings=compiled.warnings,
    )
    record_compile(project.ledger, build.facts(), even_if_known=request.record_again)
    return build


def _left_out(artifacts: ArtifactsConfig) -> list[str]:
    wanted = {PLAN_FILE: artifacts.plan, SUMMARY_FILE: artifacts.run_summary}
    return [path for path, is_wanted in wanted.items() if not is_wanted]


def compile_source(project: Project, source: Path, request: CompileRequest) -> Compiled:
    """Compile without writing anything. Neither the build nor an error holds a secret of a connection that is set."""
    try:
        compiled = _compiled(project, source, request)
    except OsirisError as error:
        from osiris.connections.standing import scrubbed_error  # noqa: PLC0415 - only where something is wrong

        raise scrubbed_error(project.root, request.environ, error) from None
    steps = compiled.manifest.steps
    secret_fields: dict[str, tuple[str, ...]] = {}
    for step in steps:
        if (component := REGISTRY.find(step.component)) and (family := component.spec.connection_family):
            secret_fields[family] = (*secret_fields.get(family, ()), *component.spec.secret_fields)
    refuse_secrets_in_build(
        compiled.manifest,
        {step.id: msgspec.json.decode(compiled.configs[step.config]) for step in steps},
        project.root,
        request.environ,
        secret_fields,
        project.relative(source),
    )
    return compiled


def _compiled(project: Project, source: Path, request: CompileRequest) -> Compiled:
    profiles = project.config.filesystem.profiles
    return compile_pipeline(
        source,
        project_root=project.root,
        slug=_unique_slug(project, source),
        bindings=Bindings(
            profile=request.profile,
            params=request.params,
            environ=request.environ,
            known_profiles=profiles.values if profiles.enabled else (),
            connections=project.root,
        ),
        registry=REGISTRY,
        hash_algo=project.config.ids.manifest_hash_algo,
        short_len=project.config.filesystem.naming.manifest_short_len,
    )


def open_build(project: Project, manifest_path: Path) -> PipelineBuild:
    """A build of this project that stands, by its ``manifest.yaml``; an edited one is refused."""
    if not manifest_path.resolve().is_relative_to(project.root.resolve()):
        raise OsirisError(
            f"{manifest_path} is not in this project, {project.root}",
            "Go into the project that it belongs to, or name that with -C DIR.",
            code="build.elsewhere",
            path=str(manifest_path),
        )
    manifest = load_build(manifest_path, project.config.ids.manifest_hash_algo)
    return PipelineBuild(manifest=manifest, manifest_path=project.relative(manifest_path), source_path="", reused=True)


def open_last_build(project: Project, profile: str) -> PipelineBuild:
    """The build that was compiled last in ``profile``."""
    newest = newest_build(project.ledger, profile)
    if newest is None:
        where = f" in profile {profile}" if profile else ""
        raise OsirisError(f"nothing was compiled yet{where}", "Run `osiris compile PIPELINE` first.", code="build.none")
    build = open_build(project, project.path(newest.manifest_path))
    if build.manifest.manifest_hash != newest.manifest_hash:
        raise OsirisError(
            f"{newest.manifest_path}: its hash is not the one that the ledger recorded",
            "Run `osiris compile` on the pipeline again.",
            code="build.drift",
            path=newest.manifest_path,
        )
    return build


def find_source(project: Project, reference: str) -> Path:
    """The OML file that ``reference`` names: a path from here or from the project's root, or a slug."""
    found = [path.absolute() for path in (Path(reference), project.path(reference)) if is_file(path)]
    for path in found:
        if project.holds(path):
            return path
    if found:
        raise OsirisError(
            f"{reference} is not in this project, {project.root}",
            f"Put the pipeline into {project.config.filesystem.pipelines_dir}/, or name its project with -C DIR.",
            code="oml.elsewhere",
            path=reference,
        )
    slugs = sources_by_slug(project)
    if reference in slugs:
        return slugs[reference]
    wanted = Path(reference).name.rsplit(".", 1)[0]
    folder = project.config.filesystem.pipelines_dir
    raise OsirisError(
        f"{reference}: there is no such pipeline file, and no pipeline of that name in {folder}/",
        suggest(wanted, slugs) or f"Put the pipeline into {folder}/ or give the path of its file.",
        code="oml.missing",
        path=reference,
    )


def sources_by_slug(project: Project) -> dict[str, Path]:
    """The OML files in the project's pipelines folder; one whose name gives no slug is passed over."""
    return {slug: path for path in _sources(project) if (slug := _slug_or_none(path))}


def _unique_slug(project: Project, source: Path) -> str:
    slug = pipeline_slug(source.name)
    for other in _sources(project):
        if other.resolve() != source.resolve() and _slug_or_none(other) == slug:
            first, second = sorted((project.relative(source), project.relative(other)))
            raise OsirisError(
                f"{first} and {second} are both the pipeline {slug!r}: the slug comes from the file's name",
                "Rename one of them.",
                code="oml.same_slug",
                path=first,
            )
    return slug


def _slug_or_none(path: Path) -> str | None:
    """A file that gives no slug is an error where it is asked for, and no obstacle to its neighbours."""
    try:
        return pipeline_slug(path.name)
    except OsirisError:
        return None


def _sources(project: Project) -> Iterator[Path]:
    folder = project.path(project.config.filesystem.pipelines_dir)
    return (path.absolute() for path in sorted(folder.rglob("*")) if path.suffix in OML_ENDINGS and path.is_file())


def build_tokens(manifest: Manifest) -> dict[str, str]:
    """The tokens that name the folder of a build; the version of its format is that of the OML it was made from."""
    return {
        "pipeline_slug": manifest.pipeline.slug,
        "profile": manifest.profile,
        "manifest_hash": manifest.manifest_hash,
        "manifest_short": manifest.manifest_short,
        "manifest_version": manifest.oml_version,
    }
