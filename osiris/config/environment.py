"""The environment over ``osiris.yaml``: which variable sets which key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from osiris.config.keys import ConfigValue, with_value
from osiris.config.naming import naming_problems
from osiris.config.rules import check_run_id_tokens
from osiris.config.schema import OsirisConfig
from osiris.errors import Finding, OsirisError, findings_error

VARIABLES: dict[str, tuple[str, ...]] = {
    "filesystem.base_path": ("OSIRIS_FILESYSTEM_BASE", "OSIRIS_BASE_PATH"),
    "filesystem.profiles.default": ("OSIRIS_PROFILE",),
    "filesystem.retention.run_logs_days": ("OSIRIS_RETENTION_RUN_LOGS_DAYS",),
    "ids.run_id_format": ("OSIRIS_RUN_ID_FORMAT",),
}
"""The variables of each key; of several that are set, the first counts. An empty one counts as not set."""

_DAYS = "OSIRIS_RETENTION_RUN_LOGS_DAYS"


class Setting(NamedTuple):
    """A key that a variable sets."""

    key: str
    value: ConfigValue
    variable: str


def read_environment(environ: Mapping[str, str]) -> Iterator[Setting]:
    """What the environment sets; a wrong value is an error that names its variable."""
    for key, names in VARIABLES.items():
        if variable := next((name for name in names if environ.get(name)), ""):
            yield Setting(key, _parse(variable, environ[variable]), variable)


def _parse(variable: str, text: str) -> ConfigValue:
    match variable:
        case "OSIRIS_RUN_ID_FORMAT":
            return parse_run_id_format(text, variable)
        case "OSIRIS_RETENTION_RUN_LOGS_DAYS":
            return _days(text)
        case _:
            return text


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise OsirisError(
            f"{_DAYS} is {text!r}, but it must be a whole number of days, 0 or more",
            "Correct the environment variable or unset it.",
            code="config.environment",
        )
    return int(text)


def parse_run_id_format(text: str, source: str) -> tuple[str, ...]:
    """``incremental,ulid`` as a sequence of checked tokens; ``source`` is who asks for them, for an error's hint."""
    tokens = tuple(part.strip() for part in text.split(",") if part.strip())
    check_run_id_tokens(tokens, f"Correct {source} or leave it out.")
    return tokens


def choose_run_id_tokens(config: OsirisConfig, flag: str) -> tuple[str, ...]:
    """The tokens that ``--run-id-format`` asks for, the configuration's where it is empty.

    An error where the project's templates could give two runs with such ids one folder.
    """
    tokens = parse_run_id_format(flag, "--run-id-format")
    problems = naming_problems(with_value(config, "ids.run_id_format", tokens)) if tokens else ()
    if findings := [Finding(problem, hint, "--run-id-format") for _, problem, hint in problems]:
        raise findings_error(findings, code="config.run_id_format")
    return tokens or config.ids.run_id_tokens
