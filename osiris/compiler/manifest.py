"""The manifest: what a build says about a pipeline, and all that a run needs to know of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from osiris.canonical import digest
from osiris.components.base import Mode
from osiris.errors import OsirisError

DEFAULT_HASH_ALGO = "sha256_slug"


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``max`` further tries after the first; ``delay_ms`` before the first of them, doubled each time for ``exp``."""

    max: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    backoff: Literal["fixed", "exp"] = "exp"
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 200


class ManifestStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step, in execution order.

    ``needs`` are the ids of the steps that must have ended before it. ``inputs`` maps the name of an input (``df``) to
    the id of the step whose rows it carries; ``tables`` maps the same step ids to the name each has in a query.
    ``config`` is the path of the step's resolved config inside the build, ``config_digest`` its SHA-256.
    """

    id: str
    component: str
    component_version: str
    mode: Mode
    needs: tuple[str, ...] = ()
    inputs: dict[str, str] = {}
    tables: dict[str, str] = {}
    config: str
    config_digest: str
    retry: RetryPolicy | None = None
    timeout_ms: int | None = None


class ManifestPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline's names and its author's words."""

    slug: str
    name: str
    description: str = ""
    intent: str = ""


class Fingerprints(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 digests of everything that the manifest was compiled from; ``compiler`` is a version."""

    oml: str
    params: str
    components: dict[str, str]
    compiler: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of ``manifest.yaml``, in the order of its keys."""

    oml_version: str
    pipeline: ManifestPipeline
    profile: str
    params: dict[str, Any]
    requires: dict[str, str]
    steps: tuple[ManifestStep, ...]
    fingerprints: Fingerprints
    payload_digest: str = ""
    manifest_hash: str = ""
    manifest_short: str = ""


def compute_payload_digest(manifest: Manifest) -> str:
    """SHA-256 over the payload without the profile: the same build in staging and in prod has the same digest."""
    return digest(_payload(manifest))


def compute_manifest_hash(manifest: Manifest, algo: str) -> str:
    """The manifest hash, 64 hex digits: SHA-256 over the canonical JSON of the payload and the active profile.

    ``algo`` is ``ids.manifest_hash_algo``; only ``sha256_slug`` exists.
    """
    if algo != DEFAULT_HASH_ALGO:
        raise OsirisError(
            f"unknown manifest hash algorithm {algo!r}",
            f"Use {DEFAULT_HASH_ALGO}.",
            code="config.invalid",
            path="osiris.yaml",
        )
    return digest({"manifest": _payload(manifest), "profile": manifest.profile})


def _payload(manifest: Manifest) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.to_builtins(manifest)
    for outside in ("profile", "payload_digest", "manifest_hash", "manifest_short"):
        del payload[outside]
    return payload
