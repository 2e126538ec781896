"""What changed between two runs: their records, their manifests with the steps' configs, and their steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from osiris.errors import OsirisError
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, each_run, run_name
from osiris.project import Project
from osiris.projections.runs import RunRecord
from osiris.redaction import mask_by_key
from osiris.runner.comparison import ManifestChanges, StepComparison, changed_values, compare_manifests, compare_steps
from osiris.runner.run_files import read_configs, read_manifest
from osiris.runner.summary import read_summary

Pair = tuple[Any, Any]
_ALWAYS_DIFFERENT = frozenset({"run_id", "run_ts", "started_at", "finished_at", "seq", "pruned_at", "manifest_short"})
_PATHS = frozenset({"run_logs_path", "aiop_path", "build_manifest_path"})
_CONFIG = "config."


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris runs diff --json`` prints; a pair is ``[before, after]``.

    ``record`` holds the fields of the run record that differ, versions as ``runtime_env.<name>``. ``manifest`` is null
    where the manifests could not be compared. ``step_values`` holds, by step, the keys of ``manifest.steps_changed``
    with their values. ``steps`` are all steps of both runs. ``not_compared`` says what could not be compared, and why.
    """

    before: RunRecord
    after: RunRecord
    record: dict[str, Pair]
    manifest: ManifestChanges | None
    step_values: dict[str, dict[str, Pair]]
    steps: tuple[StepComparison, ...]
    not_compared: tuple[str, ...]


def compare_recorded(project: Project, before: RunRecord, after: RunRecord) -> RunDiff:
    """Compare all that is left of two runs; what is gone on one side is said, and no error."""
    manifest, step_values, gone = _compare_builds(project, before, after)
    packs = [read_summary(project.path(record.aiop_path)) for record in (before, after)]
    for record, pack in zip((before, after), packs, strict=True):
        if pack is None and record.status == "running":
            gone.append(f"{run_name(record)} is still running: its steps are not compared")
        elif pack is None:
            gone.append(f"{run_name(record)} has no pack: its steps are not compared")
    return RunDiff(
        before=before,
        after=after,
        record=changed_values(_facts(before), _facts(after)),
        manifest=manifest,
        step_values=step_values,
        steps=compare_steps(packs[0].steps, packs[1].steps) if packs[0] and packs[1] else (),
        not_compared=tuple(gone),
    )


def run_before(ledger: Ledger, later: RunRecord) -> RunRecord:
    """The run of the same pipeline and profile that started last before ``later``, however it ended."""
    best: RunRecord | None = None
    for record in each_run(ledger, RunFilter(pipeline=later.pipeline_slug, profile=later.profile)):
        if best and record.finished_at and record.finished_at < best.started_at:
            break  # this one and all behind it had ended before the best one started
        if record.profile == later.profile and (best is None or _start(record) > _start(best)):
            best = record if _start(record) < _start(later) else best
    if best is None:
        where = f" in profile {later.profile}" if later.profile else ""
        raise OsirisError(
            f"{run_name(later)} is the first run of {later.pipeline_slug}{where}: there is none to compare it with",
            "Name two runs: osiris runs diff A B",
            code="run.first",
        )
    return best


def _start(record: RunRecord) -> tuple[str, str]:
    return record.started_at, record.run_id


def _facts(record: RunRecord) -> dict[str, Any]:
    """The fields of a record that may be the same in two runs; each version of the environment by its own name."""
    fields = msgspec.structs.asdict(record)
    facts = {name: value for name, value in fields.items() if name not in _ALWAYS_DIFFERENT | _PATHS}
    facts |= {f"runtime_env.{name}": version for name, version in facts.pop("runtime_env").items()}
    return facts


def _compare_builds(
    project: Project, before: RunRecord, after: RunRecord
) -> tuple[ManifestChanges | None, dict[str, dict[str, Pair]], list[str]]:
    """The manifests' changes, the changed steps' values, and what could not be compared."""
    if before.manifest_hash == after.manifest_hash:
        return ManifestChanges(), {}, []
    manifests = [read_manifest(project, record) for record in (before, after)]
    gone = [
        f"{run_name(record)} has neither its build nor its log folder: the manifests are not compared"
        for record, manifest in zip((before, after), manifests, strict=True)
        if manifest is None
    ]
    old, new = manifests
    if old is None or new is None:
        return None, {}, gone
    configs = [read_configs(project, before, old), read_configs(project, after, new)]
    gone += [
        f"the build of {run_name(record)} is gone: the configs of its steps are not compared key by key"
        for record, manifest, config in zip((before, after), (old, new), configs, strict=True)
        if len(config) < len(manifest.steps)
    ]
    changes = compare_manifests(old, new, before_configs=configs[0], after_configs=configs[1])
    changes = msgspec.structs.replace(
        changes, params={name: _masked_pair(name, *pair) for name, pair in changes.params.items()}
    )
    sides = [
        _flat({step.id: msgspec.to_builtins(step) for step in manifest.steps}, config)
        for manifest, config in zip((old, new), configs, strict=True)
    ]
    values = {
        step.id: {key: _masked_pair(key, sides[0][step.id].get(key), sides[1][step.id].get(key)) for key in step.keys}
        for step in changes.steps_changed
    }
    return changes, values, gone


def _flat(
    steps: Mapping[str, Mapping[str, Any]], configs: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """By step, all values by the keys that :class:`~osiris.runner.comparison.StepChange` names them with."""
    return {
        step_id: {
            **{key: value for key, value in step.items() if key not in ("config", "config_digest")},
            "config": step["config_digest"],
            **{_CONFIG + key: value for key, value in configs.get(step_id, {}).items()},
        }
        for step_id, step in steps.items()
    }


def _masked_pair(key: str, before: Any, after: Any) -> Pair:
    sides = (mask_by_key({key: side})[key] for side in (before, after))
    return next(sides), next(sides)
