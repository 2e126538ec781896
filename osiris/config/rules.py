"""What no single value of the configuration can say of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from osiris.config.schema import (
    CONFIG_NAME,
    RUN_ID_TOKENS,
    UNIQUE_RUN_ID_TOKENS,
    FilesystemConfig,
    OsirisConfig,
    ProfilesConfig,
)
from osiris.documents import Node
from osiris.errors import Finding, OsirisError


def select_profile(profiles: ProfilesConfig, wanted: str | None) -> str:
    """The active profile, "" where profiles are off; an unknown one fails fast."""
    if not profiles.enabled:
        if wanted:
            raise OsirisError(
                f"ConfigError: profile {wanted!r} was asked for, but profiles are off (filesystem.profiles.enabled).",
                "Leave the profile out, or enable profiles in osiris.yaml.",
                code="config.profiles_off",
                path=CONFIG_NAME,
            )
        return ""
    chosen = wanted or profiles.default
    if chosen not in profiles.values:
        raise OsirisError(
            f"ConfigError: Unknown profile '{chosen}'. Allowed profiles: {', '.join(profiles.values)} "
            "(filesystem.profiles.values).",
            "Use one of the allowed profiles with --profile or OSIRIS_PROFILE, or add yours to osiris.yaml.",
            code="config.unknown_profile",
            path=CONFIG_NAME,
        )
    return chosen


def check_run_id_tokens(tokens: Sequence[str]) -> None:
    """Fail on a run-id token that does not exist, and on a format that names no run."""
    for token in tokens:
        if token not in RUN_ID_TOKENS:
            raise OsirisError(
                f"ConfigError: Unsupported run_id_format token '{token}'. Supported: {', '.join(RUN_ID_TOKENS)}.",
                "Correct ids.run_id_format in osiris.yaml, OSIRIS_RUN_ID_FORMAT or --run-id-format.",
                code="config.run_id_format",
                path=CONFIG_NAME,
            )


def broken_rules(config: OsirisConfig, node: Node) -> Sequence[Finding]:
    """Every rule that ``config`` breaks, with its place in ``node``; a wrong run-id token or profile is raised."""
    check_run_id_tokens(config.ids.run_id_tokens)
    findings: list[Finding] = []
    profiles, naming = config.filesystem.profiles, config.filesystem.naming
    if profiles.enabled and not profiles.values:
        findings.append(_at(node, ("filesystem", "profiles", "values"), "no profile is allowed", "Name at least one."))
    elif profiles.enabled:
        select_profile(profiles, None)
    for key, template in (("run_dir", naming.run_dir), ("aiop_run_dir", naming.aiop_run_dir)):
        if "{run_id}" not in template:
            problem = f"filesystem.naming.{key} has no {{run_id}}, so two runs could get one folder"
            findings.append(_at(node, ("filesystem", "naming", key), problem, "Put {run_id} into it."))
    if not UNIQUE_RUN_ID_TOKENS & set(config.ids.run_id_tokens) and "{pipeline_slug}" not in naming.run_dir:
        problem = "incremental run ids are unique in one pipeline only, and filesystem.naming.run_dir names none"
        findings.append(_at(node, ("filesystem", "naming", "run_dir"), problem, "Put {pipeline_slug} into run_dir."))
    return [*findings, *_misplaced_directories(config.filesystem, node)]


def _misplaced_directories(filesystem: FilesystemConfig, node: Node) -> Iterator[Finding]:
    """Each directory is the project's own and no part of another: what may clear one must not delete the other."""
    keys = [name for name in filesystem.__struct_fields__ if name.endswith("_dir")]
    places = [(key, PurePosixPath(getattr(filesystem, key))) for key in keys]
    index = PurePosixPath(filesystem.index_dir)
    places.append(("index_dir", index.parent / f"{index.name}.new"))  # where a rebuild works
    for number, (key, place) in enumerate(places):
        if place.is_absolute() or not place.parts or ".." in place.parts or "\0" in str(place):
            problem = f"filesystem.{key} is {str(place)!r}, which is no folder below the project's root"
            yield _at(node, ("filesystem", key), problem, f"The default is {getattr(FilesystemConfig(), key)!r}.")
            continue
        for other, its_place in places[:number]:
            if other != key and (place.is_relative_to(its_place) or its_place.is_relative_to(place)):
                problem = f"filesystem.{key} ({place}) and filesystem.{other} ({its_place}) are not apart"
                named = key if node.child("filesystem").entry(key) else other
                hint = f"Give each a folder of its own; the default here is {getattr(FilesystemConfig(), named)!r}."
                yield _at(node, ("filesystem", named), problem, hint)


def _at(node: Node, keys: tuple[str, ...], problem: str, hint: str) -> Finding:
    place = node.child(*keys)
    return Finding(problem, hint, CONFIG_NAME, place.line, place.column)
