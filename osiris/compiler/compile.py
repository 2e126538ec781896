"""OML to a build: pure from bytes to bytes, with no disk but the reading of the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import msgspec

from osiris.canonical import digest, sha256_hex
from osiris.compiler.fingerprints import COMPILER_VERSION, component_fingerprint, rendered_config
from osiris.compiler.graph import execution_order
from osiris.compiler.manifest import (
    DEFAULT_HASH_ALGO,
    Fingerprints,
    Manifest,
    ManifestPipeline,
    ManifestStep,
    compute_manifest_hash,
    compute_payload_digest,
)
from osiris.compiler.oml import Bindings, Registry
from osiris.compiler.render import json_file, render_files
from osiris.compiler.source import load_oml, oml_fingerprint, project_path
from osiris.compiler.validate import Pipeline, ResolvedStep, validate_pipeline
from osiris.compiler.wiring import id_digest, table_names
from osiris.errors import Finding


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled pipeline: the manifest, and the config of each step by its path in the build."""

    manifest: Manifest
    configs: dict[str, bytes]
    warnings: tuple[Finding, ...] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """Every file of the build by its path inside it; rendered when asked for, which for most runs nobody does."""
        return self.files_without(())

    def files_without(self, left_out: Collection[str]) -> dict[str, bytes]:
        """The same without those that are ``left_out``."""
        return render_files(self.manifest, self.configs, left_out)


def compile_pipeline(
    source: Path,
    *,
    project_root: Path,
    slug: str,
    bindings: Bindings,
    registry: Registry,
    hash_algo: str = DEFAULT_HASH_ALGO,
    short_len: int = 7,
) -> Compiled:
    """Compile the OML file ``source`` of the pipeline ``slug`` under ``bindings``.

    ``hash_algo`` is ``ids.manifest_hash_algo``, ``short_len`` how many hex digits the short hash has. Raises
    OsirisError ``oml.missing``, ``yaml.invalid`` or, with every finding in it, ``oml.invalid``.
    """
    path = project_path(source, project_root)
    root = load_oml(source, path)
    validation = validate_pipeline(root, path, bindings, registry)
    pipeline = validation.required()
    paths = config_paths([step.id for step in pipeline.steps])
    configs = {paths[step.id]: json_file(rendered_config(step.config)) for step in pipeline.steps}
    fingerprints = Fingerprints(
        oml=oml_fingerprint(root),
        params=digest(pipeline.params),
        components=_component_fingerprints(pipeline),
        compiler=COMPILER_VERSION,
    )
    manifest = Manifest(
        oml_version=pipeline.oml_version,
        pipeline=ManifestPipeline(
            slug=slug, name=pipeline.name, description=pipeline.description, intent=pipeline.intent
        ),
        profile=bindings.profile,
        params=dict(pipeline.params),
        requires=pipeline.requires,
        steps=_manifest_steps(pipeline, paths, configs),
        fingerprints=fingerprints,
    )
    manifest = _hashed(manifest, hash_algo, short_len)
    return Compiled(manifest=manifest, configs=configs, warnings=validation.warnings)


def config_paths(ids: list[str]) -> dict[str, str]:
    """The path of each step's config inside the build: ``cfg/<id>.json``.

    Ids that differ only in case get a digest as well, because some file systems would make one file of them.
    """
    folded = Counter(step.lower() for step in ids)
    return {step: f"cfg/{step}{'' if folded[step.lower()] == 1 else '.' + id_digest(step)}.json" for step in ids}


def _hashed(manifest: Manifest, algo: str, short_len: int) -> Manifest:
    manifest_hash = compute_manifest_hash(manifest, algo)
    return msgspec.structs.replace(
        manifest,
        payload_digest=compute_payload_digest(manifest),
        manifest_hash=manifest_hash,
        manifest_short=manifest_hash[:short_len],
    )


def _component_fingerprints(pipeline: Pipeline) -> dict[str, str]:
    components = {step.component.spec.name: step.component for step in pipeline.steps}
    return {name: component_fingerprint(components[name]) for name in sorted(components)}


def _manifest_steps(pipeline: Pipeline, paths: dict[str, str], configs: dict[str, bytes]) -> tuple[ManifestStep, ...]:
    by_id = {step.id: step for step in pipeline.steps}
    tables = table_names(list(by_id))
    order = execution_order(list(by_id), {step.id: step.needs for step in pipeline.steps})
    return tuple(_manifest_step(by_id[step], tables, paths[step], sha256_hex(configs[paths[step]])) for step in order)


def _manifest_step(step: ResolvedStep, tables: dict[str, str], config: str, config_digest: str) -> ManifestStep:
    producers = sorted(set(step.inputs.values()))
    return ManifestStep(
        id=step.id,
        component=step.component.spec.name,
        component_version=step.component.spec.version,
        mode=step.mode,
        needs=step.needs,
        inputs=step.inputs,
        tables={producer: tables[producer] for producer in producers},
        config=config,
        config_digest=config_digest,
        retry=step.retry,
        timeout_ms=step.timeout_ms,
    )
