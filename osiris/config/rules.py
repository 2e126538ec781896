"""What no single value of the configuration can say of itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from osiris.config.keys import Place
from osiris.config.naming import RUN_TS_NAMES, Problem, is_run_ts_format, naming_problems
from osiris.config.schema import (
    CONFIG_NAME,
    RUN_ID_TOKENS,
    ArtifactsConfig,
    FilesystemConfig,
    OsirisConfig,
    ProfilesConfig,
)
from osiris.documents import shown, suggest
from osiris.errors import Finding, OsirisError

_LONGEST_NAME = 255
_NEEDED_FILES = {
    "manifest": "manifest.yaml is what a run reads",
    "fingerprints": "fingerprints.json is what a build is checked against",
    "cfg": "cfg/ holds what each step is run with",
}


def select_profile(profiles: ProfilesConfig, wanted: str | None, source: str = "filesystem.profiles.default") -> str:
    """The active profile, "" where profiles are off; an unknown one fails fast.

    ``source`` is where the default comes from, for an error's hint.
    """
    if not profiles.enabled:
        if wanted:
            raise OsirisError(
                f"ConfigError: profile {shown(wanted)} was asked for, but profiles are off "
                "(filesystem.profiles.enabled).",
                "Leave the profile out, or enable profiles in osiris.yaml.",
                code="config.profiles_off",
                path=CONFIG_NAME,
            )
        return ""
    chosen = wanted or profiles.default
    if chosen not in profiles.values:
        near = suggest(chosen, profiles.values)
        hint = f"Correct {'--profile' if wanted else source}, or add the profile to filesystem.profiles.values."
        raise OsirisError(
            f"ConfigError: Unknown profile {shown(chosen)}. Allowed profiles: {', '.join(profiles.values)} "
            "(filesystem.profiles.values).",
            f"{near} {hint}".strip(),
            code="config.unknown_profile",
            path=CONFIG_NAME,
        )
    return chosen


def check_run_id_tokens(tokens: Sequence[str], hint: str) -> None:
    """Fail on a run-id token that does not exist; ``hint`` says where the format can be corrected."""
    for token in tokens:
        if token not in RUN_ID_TOKENS:
            parts = [part.strip() for part in token.split(",")]
            as_list = f"Write it as a list: [{', '.join(parts)}]." if {*parts} <= {*RUN_ID_TOKENS} else ""
            raise OsirisError(
                f"ConfigError: Unsupported run_id_format token {shown(token)}. Supported: {', '.join(RUN_ID_TOKENS)}.",
                f"{as_list or suggest(token, RUN_ID_TOKENS)} {hint}".strip(),
                code="config.run_id_format",
                path=CONFIG_NAME,
            )


def broken_rules(config: OsirisConfig, places: Mapping[str, Place], sources: Mapping[str, str]) -> list[Finding]:
    """Every rule that ``config`` breaks, with its place in the file; a wrong run-id token or profile is raised.

    ``sources`` says of each key that is not at its default where the value comes from.
    """
    format_source = sources.get("ids.run_id_format", "")
    check_run_id_tokens(config.ids.run_id_tokens, f"Correct ids.run_id_format, {format_source}.")
    profiles = config.filesystem.profiles
    if profiles.enabled and profiles.values:
        select_profile(profiles, None, f"filesystem.profiles.default, {sources.get('filesystem.profiles.default', '')}")
    found = [*_profile_problems(profiles), *_artifact_problems(config.filesystem.artifacts)]
    found += [*naming_problems(config), *_directory_problems(config.filesystem, places)]
    findings = (_at(places, key, problem, hint) for key, problem, hint in found)
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def unknown_run_ts_format(config: OsirisConfig, places: Mapping[str, Place]) -> Finding | None:
    """What is to be said of a format that nobody knows; it has a meaning all the same."""
    key, text = "filesystem.naming.run_ts_format", config.filesystem.naming.run_ts_format
    if is_run_ts_format(text):
        return None
    near = "" if "%" in text else suggest(text, RUN_TS_NAMES)
    problem = f"{key} is {shown(text)}, which is no known format; iso_basic_z is used"
    hint = near or f"Use {', '.join(RUN_TS_NAMES)} or a pattern such as %Y-%m-%d."
    return _at(places, key, problem, hint)


def _profile_problems(profiles: ProfilesConfig) -> Iterator[Problem]:
    if profiles.enabled and not profiles.values:
        yield "filesystem.profiles.values", "filesystem.profiles.values: no profile is allowed", "Name at least one."


def _artifact_problems(artifacts: ArtifactsConfig) -> Iterator[Problem]:
    for name, reason in _NEEDED_FILES.items():
        if not getattr(artifacts, name):
            key = f"filesystem.artifacts.{name}"
            problem = f"{key} is false, but no build can do without it: {reason}"
            yield key, problem, "Write true; only plan and run_summary can be left out."


def _directory_problems(filesystem: FilesystemConfig, places: Mapping[str, Place]) -> Iterator[Problem]:
    """Each directory is the project's own and no part of another: what may clear one must not delete the other."""
    names = [name for name in filesystem.__struct_fields__ if name.endswith("_dir")]
    folders = [(name, PurePosixPath(getattr(filesystem, name))) for name in names]
    index = PurePosixPath(filesystem.index_dir)
    if index.name:
        folders.append(("index_dir", index.with_name(f"{index.name}.new")))  # where a rebuild works
    folded = [_folded(folder) for _, folder in folders]
    for number, (name, folder) in enumerate(folders):
        key, default = f"filesystem.{name}", getattr(FilesystemConfig(), name)
        if folder.is_absolute() or not folder.parts or ".." in folder.parts or not str(folder).isprintable():
            problem = f"{key} is {str(folder)!r}, which is no folder below the project's root"
            yield key, problem, f"The default is {default!r}."
            continue
        if any(len(part.encode()) > _LONGEST_NAME for part in folder.parts):
            yield key, f"{key} has a name of more than {_LONGEST_NAME} bytes", f"The default is {default!r}."
        for place, (other, its_folder) in enumerate(folders[:number]):
            if other != name and _overlap(folded[number], folded[place]):
                problem = f"{key} ({folder}) and filesystem.{other} ({its_folder}) are not apart"
                named = name if key in places else other
                hint = f"Give each a folder of its own; the default here is {getattr(FilesystemConfig(), named)!r}."
                yield f"filesystem.{named}", problem, hint


def _folded(folder: PurePosixPath) -> tuple[str, ...]:
    """Its parts as a file system sees them that takes ``Build`` and ``build`` for the same."""
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in folder.parts)


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one lies in the other, or they are the same."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _at(places: Mapping[str, Place], key: str, problem: str, hint: str) -> Finding:
    """The finding at the value's place; no variable of the environment sets a key that these rules are about."""
    if place := places.get(key):
        return Finding(problem, hint, CONFIG_NAME, place.entry.value.line, place.entry.value.column)
    return Finding(problem, hint, CONFIG_NAME)
