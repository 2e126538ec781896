"""What differs between two manifests and between two runs: pure, and with nothing heavy to import.

A pair is always ``(before, after)``; null on a side where there is nothing, or where nothing was counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from osiris.redaction import MASK, is_secret_key

if TYPE_CHECKING:
    from osiris.compiler.manifest import Manifest, ManifestStep
    from osiris.runner.summary import RunSummary, StepSummary

ValueT = TypeVar("ValueT")
StepConfigs = Mapping[str, Mapping[str, Any]]
"""The resolved config of each step, by the step's id."""


class StepChange(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is in both manifests and not the same.

    ``keys`` are the manifest's: ``component``, ``component_version``, ``mode``, ``needs``, ``inputs``, ``tables``,
    ``retry``, ``timeout_ms``, and ``config.<key>`` for each key of its config, or ``config`` where the configs of one
    side are not there.
    """

    id: str
    keys: tuple[str, ...]


class ManifestChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two manifests; everything is empty where they are the same.

    ``components`` are versions by component, for components of both; ``requires`` are version ranges by name.
    ``other`` names what differs and is told nowhere else: ``source`` (the pipeline's file, beyond layout and comments),
    ``oml_version``, ``pipeline.name``, ``pipeline.description``, ``pipeline.intent``, ``profile``, ``step order``,
    ``compiler``, ``component schemas``.
    """

    params: dict[str, tuple[Any, Any]] = {}
    steps_added: tuple[str, ...] = ()
    steps_removed: tuple[str, ...] = ()
    steps_changed: tuple[StepChange, ...] = ()
    components: dict[str, tuple[str | None, str | None]] = {}
    requires: dict[str, tuple[str | None, str | None]] = {}
    other: tuple[str, ...] = ()


class StepComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One step of two runs; a status of null: the step is not in that run."""

    id: str
    status: tuple[str | None, str | None]
    rows_in: tuple[int | None, int | None]
    rows_out: tuple[int | None, int | None]
    duration_ms: tuple[int | None, int | None]


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs side by side, by what their packs say; steps in the order of the later run, then those it lost."""

    run_id: tuple[str, str]
    same_manifest: bool
    status: tuple[str, str]
    rows_in: tuple[int | None, int | None]
    rows_out: tuple[int | None, int | None]
    duration_ms: tuple[int | None, int | None]
    steps: tuple[StepComparison, ...]


def compare_manifests(
    before: Manifest,
    after: Manifest,
    *,
    before_configs: StepConfigs | None = None,
    after_configs: StepConfigs | None = None,
) -> ManifestChanges:
    """What differs; with both sides' step configs, also which keys of a config. Secrets by their key are masked."""
    old, new = ({step.id: step for step in manifest.steps} for manifest in (before, after))
    kept = [step_id for step_id in new if step_id in old]
    changed = []
    for step_id in kept:
        configs = [configs.get(step_id) if configs else None for configs in (before_configs, after_configs)]
        keys = _step_keys(old[step_id], new[step_id], configs[0], configs[1])
        if keys:
            changed.append(StepChange(id=step_id, keys=keys))
    versions = [{step.component: step.component_version for step in manifest.steps} for manifest in (before, after)]
    shared = versions[0].keys() & versions[1].keys()
    return ManifestChanges(
        params={name: _masked(name, pair) for name, pair in changed_values(before.params, after.params).items()},
        steps_added=tuple(step_id for step_id in new if step_id not in old),
        steps_removed=tuple(step_id for step_id in old if step_id not in new),
        steps_changed=tuple(changed),
        components={name: pair for name, pair in changed_values(*versions).items() if name in shared},
        requires=changed_values(before.requires, after.requires),
        other=_other_keys(before, after, same_order=[step_id for step_id in old if step_id in new] == kept),
    )


def changed_values(
    before: Mapping[str, ValueT], after: Mapping[str, ValueT]
) -> dict[str, tuple[ValueT | None, ValueT | None]]:
    """The keys whose values differ or that one side lacks, sorted, each with both values."""
    pairs = {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})}
    return {name: pair for name, pair in pairs.items() if not _same(*pair) or (name in before) is not (name in after)}


def compare_steps(before: Sequence[StepSummary], after: Sequence[StepSummary]) -> tuple[StepComparison, ...]:
    """Every step of either run: those of ``after`` in their order, then those that only ``before`` has."""
    old, new = ({step.id: step for step in steps} for steps in (before, after))
    return tuple(_step_comparison(step_id, old.get(step_id), new.get(step_id)) for step_id in {**new, **old})


def compare_runs(before: RunSummary, after: RunSummary) -> RunComparison:
    """Two runs as their packs tell them."""
    return RunComparison(
        run_id=(before.run_id, after.run_id),
        same_manifest=before.manifest_hash == after.manifest_hash,
        status=(before.status, after.status),
        rows_in=(before.rows_in, after.rows_in),
        rows_out=(before.rows_out, after.rows_out),
        duration_ms=(before.duration_ms, after.duration_ms),
        steps=compare_steps(before.steps, after.steps),
    )


def _step_comparison(step_id: str, before: StepSummary | None, after: StepSummary | None) -> StepComparison:
    return StepComparison(
        id=step_id,
        status=(before.status if before else None, after.status if after else None),
        rows_in=(before.rows_in if before else None, after.rows_in if after else None),
        rows_out=(before.rows_out if before else None, after.rows_out if after else None),
        duration_ms=(before.duration_ms if before else None, after.duration_ms if after else None),
    )


def _step_keys(
    before: ManifestStep,
    after: ManifestStep,
    before_config: Mapping[str, Any] | None,
    after_config: Mapping[str, Any] | None,
) -> tuple[str, ...]:
    """Which keys of one step differ; ``config`` is where the file lies, which nobody chose."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    keys = [key for key in new if key not in ("id", "config", "config_digest") and old[key] != new[key]]
    if before.config_digest != after.config_digest:
        if before_config is None or after_config is None:
            keys.append("config")
        else:
            keys += [f"config.{key}" for key in changed_values(before_config, after_config)] or ["config"]
    return tuple(keys)


def _other_keys(before: Manifest, after: Manifest, *, same_order: bool) -> tuple[str, ...]:
    old, new = before.fingerprints.components, after.fingerprints.components
    versions = [{step.component: step.component_version for step in manifest.steps} for manifest in (before, after)]
    schemas = any(
        old[name] != new[name] and versions[0].get(name) == versions[1].get(name) for name in old.keys() & new.keys()
    )
    differing: Iterable[tuple[str, bool]] = (
        ("source", before.fingerprints.oml != after.fingerprints.oml),
        ("oml_version", before.oml_version != after.oml_version),
        ("pipeline.name", before.pipeline.name != after.pipeline.name),
        ("pipeline.description", before.pipeline.description != after.pipeline.description),
        ("pipeline.intent", before.pipeline.intent != after.pipeline.intent),
        ("profile", before.profile != after.profile),
        ("step order", not same_order),
        ("compiler", before.fingerprints.compiler != after.fingerprints.compiler),
        ("component schemas", schemas),
    )
    return tuple(name for name, differs in differing if differs)


def _masked(name: str, pair: tuple[Any, Any]) -> tuple[Any, Any]:
    if not is_secret_key(name):
        return pair
    return (None if pair[0] is None else MASK, None if pair[1] is None else MASK)


def _same(one: object, other: object) -> bool:
    """Equal in value and kind: 1, 1.0 and true are three values of a parameter."""
    return msgspec.json.encode(one) == msgspec.json.encode(other)
