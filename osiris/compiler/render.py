"""From a manifest to the bytes of a build's files, and back: without clock, host, user or absolute path."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import yaml

from osiris.canonical import canonical_json, sha256_hex
from osiris.compiler.graph import levels
from osiris.compiler.manifest import Fingerprints, Manifest
from osiris.documents import bind, load_document, resolve_plain
from osiris.errors import Finding, findings_error

MANIFEST_FILE = "manifest.yaml"
PLAN_FILE = "plan.json"
FINGERPRINTS_FILE = "fingerprints.json"
SUMMARY_FILE = "run_summary.json"

_WIDTH = 1 << 20  # no line is folded: a folded text is hard to search for
# Line ends of every kind and what does not print: only double quotes carry them unchanged.
_UNUSUAL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_MANIFEST_BYTES = 64 << 20


class BuildFingerprints(msgspec.Struct, frozen=True, kw_only=True):
    """``fingerprints.json``: what the build was made from, and the SHA-256 of each of its other files."""

    manifest_hash: str
    sources: Fingerprints
    files: dict[str, str]


class _ManifestDumper(yaml.SafeDumper):
    """Without anchors, and with quotes around any text that some version of YAML reads as something else."""

    def ignore_aliases(self, _value: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(resolve_plain(text), str) and not _UNUSUAL.search(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_ManifestDumper.add_representer(str, _represent_text)


def render_manifest(manifest: Manifest) -> bytes:
    """The bytes of ``manifest.yaml``."""
    text: str = yaml.dump(
        msgspec.to_builtins(manifest),
        Dumper=_ManifestDumper,
        sort_keys=False,
        width=_WIDTH,
        allow_unicode=True,
        default_flow_style=False,
    )
    return text.encode()


def parse_manifest(content: bytes, path: str) -> Manifest:
    """The manifest in the bytes of a ``manifest.yaml``; OsirisError ``manifest.invalid`` where it is none."""
    findings: list[Finding] = []
    root = load_document(content, path, max_bytes=_MANIFEST_BYTES)
    manifest = bind(root, Manifest, path=path, findings=findings, unknown=findings)
    if manifest is None or findings:
        raise findings_error(findings, code="manifest.invalid")
    return manifest


def render_files(manifest: Manifest, configs: Mapping[str, bytes], left_out: Collection[str] = ()) -> dict[str, bytes]:
    """Every file of the build by its path inside it; ``configs`` are the step configs by their paths.

    ``left_out`` may name ``plan.json`` and ``run_summary.json``, which nothing but a reader needs.
    """
    optional = {PLAN_FILE: _plan, SUMMARY_FILE: _summary}
    files = {MANIFEST_FILE: render_manifest(manifest)}
    files |= {path: json_file(content(manifest)) for path, content in optional.items() if path not in left_out}
    files |= configs
    fingerprints = BuildFingerprints(
        manifest_hash=manifest.manifest_hash,
        sources=manifest.fingerprints,
        files={path: sha256_hex(content) for path, content in files.items()},
    )
    files[FINGERPRINTS_FILE] = json_file(fingerprints)
    return files


def json_file(value: object) -> bytes:
    """Canonical JSON with a newline at the end."""
    return canonical_json(value) + b"\n"


def _plan(manifest: Manifest) -> dict[str, Any]:
    needs = {step.id: step.needs for step in manifest.steps}
    edges = [
        {"from": producer, "to": step.id, "input": name, "table": step.tables[producer]}
        for step in manifest.steps
        for name, producer in step.inputs.items()
    ]
    steps = [
        {"id": step.id, "component": step.component, "mode": step.mode, "needs": step.needs} for step in manifest.steps
    ]
    return {"steps": steps, "edges": edges, "levels": levels(list(needs), needs)}


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "pipeline": manifest.pipeline.slug,
        "name": manifest.pipeline.name,
        "profile": manifest.profile,
        "manifest_hash": manifest.manifest_hash,
        "manifest_short": manifest.manifest_short,
        "payload_digest": manifest.payload_digest,
        "oml": manifest.fingerprints.oml,
        "params": manifest.fingerprints.params,
        "steps": len(manifest.steps),
    }
