"""Names made of tokens: ``{pipeline_slug}/{run_ts}_{run_id}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from osiris.config import TOKENS
from osiris.errors import OsirisError

LONGEST_NAME_BYTES = 255
LONGEST_SLUG = 150
"""Leaves room for what stands beside a slug in file and folder names."""

_TOKEN = re.compile(r"\{([^{}]*)\}")
_NOT_SAFE = re.compile(r"[^a-z0-9_-]+")
_DASHES = re.compile(r"-{2,}")
_SEPARATORS = re.compile(r"[_-]{2,}")
_NOT_SAFE_EXACT = re.compile(r"[^A-Za-z0-9_.+-]+")
_KEPT_AS_THEY_ARE = frozenset({"run_id", "run_ts", "manifest_hash", "manifest_short", "manifest_version"})


def slugify_token(text: str) -> str:
    """Lower-case ``text`` of ``[a-z0-9_-]`` only; everything else collapses to one ``-``. No sign stands at an end."""
    return _DASHES.sub("-", _NOT_SAFE.sub("-", text.lower())).strip("_-")


def pipeline_slug(file_name: str) -> str:
    """The slug of an OML file: its name without the ending. One that is empty or too long is an error."""
    slug = slugify_token(PurePosixPath(file_name).name.rsplit(".", 1)[0])
    if not slug:
        raise OsirisError(
            f"the file name {file_name!r} gives no slug: none of its characters is a letter from a to z or a digit",
            "Rename the file, for example to orders.yaml.",
            code="layout.empty_slug",
            path=file_name,
        )
    if len(slug) > LONGEST_SLUG:
        raise OsirisError(
            f"the file name {file_name[:40]!r}… gives a slug of {len(slug)} characters",
            f"Rename the file: a slug has at most {LONGEST_SLUG} characters.",
            code="layout.long_slug",
            path=file_name,
        )
    return slug


class TokenRenderer:
    """Renders templates. Values are made safe for a file system; where one is missing, its separators collapse.

    Separators inside a value stay as they are, so that two values never give one name.
    """

    def render(self, template: str, tokens: Mapping[str, str]) -> str:
        """A relative path that stays below its root; anything else is an error that names the template."""
        for name in _TOKEN.findall(template):
            if name not in TOKENS:
                raise OsirisError(
                    f"the naming template {template!r} has an unknown token {{{name}}}",
                    f"Known tokens: {', '.join(TOKENS)}.",
                    code="layout.unknown_token",
                    path="osiris.yaml",
                )
        return _checked("/".join(_render_name(part, tokens) for part in template.split("/")), template)


def _safe(token: str, value: str) -> str:
    if token in _KEPT_AS_THEY_ARE:  # these can be searched for as they stand in the index
        return _NOT_SAFE_EXACT.sub("-", value).replace("..", "-")
    if token == "tags":  # noqa: S105 - the name of a naming token
        return "+".join(filter(None, (slugify_token(tag) for tag in value.split("+"))))
    return slugify_token(value)


def _render_name(template: str, tokens: Mapping[str, str]) -> str:
    """One name of a path. Of the template's own text, what missing tokens leave side by side becomes one separator."""
    first, *rest = _TOKEN.split(template)  # text, then a token and text in turns
    rendered, text = "", first.lstrip("_-")
    for token, following in zip(rest[::2], rest[1::2], strict=True):
        value = _safe(token, tokens.get(token, ""))
        if value:
            rendered, text = rendered + _one_separator(text) + value, following
        else:
            text = (text + following) if rendered else (text + following).lstrip("_-")
    return rendered + _one_separator(text.rstrip("_-"))


def _one_separator(text: str) -> str:
    return _SEPARATORS.sub(lambda run: "_" if "_" in run[0] else "-", text)


def _checked(path: str, template: str) -> str:
    names = [name for name in path.split("/") if name]
    problem, hint = "", "Correct filesystem.naming in osiris.yaml."
    if template.startswith("/") or "\0" in path or any(name in {".", ".."} for name in names):
        problem = "leaves its root"
    elif not names:
        problem = "comes out empty"
    elif any(len(name.encode()) > LONGEST_NAME_BYTES for name in names):
        longest = max(names, key=lambda name: len(name.encode()))
        problem = f"gives a name of more than {LONGEST_NAME_BYTES} bytes: {longest[:40]}…"
        hint = "Take {tags}, {branch} or {user} out of it (filesystem.naming in osiris.yaml), or shorten their values."
    if problem:
        raise OsirisError(
            f"the naming template {template!r} {problem}",
            hint,
            code="layout.bad_name",
            path="osiris.yaml",
        )
    return "/".join(names)
