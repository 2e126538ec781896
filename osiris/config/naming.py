"""What a template of ``filesystem.naming`` may say, so that no two folders of different things can be one.

Templates are checked when the configuration is read; ``osiris.layout`` renders them and checks what came out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from osiris.config.schema import UNIQUE_RUN_ID_TOKENS, OsirisConfig
from osiris.documents import suggest

TOKENS = (
    "pipeline_slug",
    "profile",
    "manifest_hash",
    "manifest_short",
    "manifest_version",
    "run_id",
    "run_ts",
    "status",
    "branch",
    "user",
    "tags",
)
OF_ONE_RUN = frozenset({"run_id", "run_ts", "branch", "user", "tags"})
"""Tokens that differ from run to run; a build, which many runs share, has none of them."""

HASHES = frozenset({"manifest_hash", "manifest_short"})
FREE_TEXTS = frozenset({"branch", "user", "tags"})
"""Tokens in which anything may stand, also what looks like the id of another run."""

RUN_TS_NAMES = ("iso_basic_z", "epoch_ms")
RUN_TS_DIRECTIVES = frozenset("YmdHIMSfjyuwVGUWFTRpaAbBzZs%")
"""The directives of strftime that mean the same everywhere, whatever the locale; names are English."""

_TOKEN = re.compile(r"\{([^{}]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_.+=@~ -]*")
_LONGEST_NAME = 255

Problem = tuple[str, str, str]
"""A dotted key, what is wrong with its value, and what to do."""


def is_run_ts_format(text: str) -> bool:
    """Whether ``{run_ts}`` can be spelled so; anything else falls back to ``iso_basic_z``."""
    if text in RUN_TS_NAMES:
        return True
    directives = re.findall(r"%(.?)", text, re.DOTALL)
    return bool(directives) and set(directives) <= RUN_TS_DIRECTIVES


def naming_problems(config: OsirisConfig) -> Iterator[Problem]:
    """Everything that is wrong with the three templates."""
    naming = config.filesystem.naming
    templates = {
        f"filesystem.naming.{name}": getattr(naming, name) for name in ("manifest_dir", "run_dir", "aiop_run_dir")
    }
    for key, template in templates.items():
        yield from _form_problems(key, template)
        tokens = set(_TOKEN.findall(template))
        yield from _build_problems(key, tokens) if key.endswith(".manifest_dir") else _run_problems(key, tokens, config)
    if _only_incremental(config) and "{pipeline_slug}" not in naming.run_dir:
        problem = "incremental run ids are unique in one pipeline only, and filesystem.naming.run_dir names none"
        yield "filesystem.naming.run_dir", problem, "Put {pipeline_slug} into run_dir."


def _form_problems(key: str, template: str) -> Iterator[Problem]:
    for token in dict.fromkeys(_TOKEN.findall(template)):
        if token not in TOKENS:
            hint = f"{suggest(token, TOKENS)} Known tokens: {', '.join(TOKENS)}.".strip()
            yield key, f"{key} has an unknown token {{{token}}}", hint
    names = template.split("/")
    if template.startswith("/") or any(name in {".", ".."} for name in names):
        yield key, f"{key} is {template!r}, which leaves its root", "Write a relative path without . and .. in it."
        return
    texts = [_TOKEN.sub("", name) for name in names]
    if not all(map(_PLAIN.fullmatch, texts)):
        hint = "Beside tokens in braces, use letters from a to z, digits, and _ - . + = @ ~ or spaces; / parts names."
        yield key, f"{key} is {template!r}, which holds signs that not every file system takes in a name", hint
    elif any(name[0] in ". " or name[-1] in ". " for name in names if name):
        yield key, f"{key} is {template!r}: a name in it begins or ends with a dot or a space", "Take that sign away."
    elif any(len(text) > _LONGEST_NAME for text in texts):
        yield key, f"{key} has a name of more than {_LONGEST_NAME} bytes", "Make it shorter."


def _build_problems(key: str, tokens: set[str]) -> Iterator[Problem]:
    if not tokens & HASHES:
        problem = f"{key} has neither {{manifest_hash}} nor {{manifest_short}}, so two builds could get one folder"
        yield key, problem, "Put {manifest_hash} into it."
    if wrong := sorted(tokens & OF_ONE_RUN):
        problem = f"{key} has {_in_braces(wrong)}, but a build is shared by many runs"
        yield key, problem, "Take it out, or put it into run_dir or aiop_run_dir."


def _run_problems(key: str, tokens: set[str], config: OsirisConfig) -> Iterator[Problem]:
    if "run_id" not in tokens:
        yield key, f"{key} has no {{run_id}}, so two runs could get one folder", "Put {run_id} into it."
    if _only_incremental(config) and (free := sorted(tokens & FREE_TEXTS)):
        problem = f"{key} has {_in_braces(free)}, which may read like an incremental run id and lead to another run"
        yield key, problem, "Take it out, or let ids.run_id_format be [incremental, ulid]."


def _only_incremental(config: OsirisConfig) -> bool:
    return not UNIQUE_RUN_ID_TOKENS & set(config.ids.run_id_tokens)


def _in_braces(tokens: list[str]) -> str:
    return " and ".join(f"{{{token}}}" for token in tokens)
