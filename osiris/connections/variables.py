"""``${NAME}`` and ``${NAME:-default}``: variables of the environment and of a file ``.env`` beside the connections."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from osiris.errors import Finding, OsirisError, findings_error

CONNECTIONS_NAME = "osiris_connections.yaml"
ENV_NAME = ".env"

_TOKEN = re.compile(r"\$\$|\$\{(?P<body>[^{}]*)\}|\$\{")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class VariableReference(msgspec.Struct, frozen=True):
    """One ``${NAME}``; ``default`` is None where there is none."""

    name: str
    default: str | None


class MalformedReferenceError(ValueError):
    """A ``${`` that begins no reference."""


class Variables:
    """The environment, and behind it the ``.env`` file in ``folder``, which is read when the first variable is missed.

    Nothing is put into the process's environment: what runs below this process sees nothing of ``.env``.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._env_file = folder / ENV_NAME
        self._from_file: dict[str, str] | None = None

    def get(self, name: str) -> str | None:
        """The value, None where the variable is not set. Raises ``env_file.invalid`` (exit 2), never with a value."""
        if name in self._environ:
            return self._environ[name]
        if self._from_file is None:
            self._from_file = _read_env_file(self._env_file)
        return self._from_file.get(name)


def references(text: str) -> list[VariableReference]:
    """The references in ``text`` in order. Raises :class:`MalformedReferenceError`."""
    return [reference for _, reference in _tokens(text) if reference]


def expand(text: str, value_of: Callable[[VariableReference], str]) -> str:
    """``text`` with each reference replaced by its value and ``$$`` by ``$``; what a value holds is not looked at."""
    done, parts = 0, []
    for match, reference in _tokens(text):
        parts += [text[done : match.start()], value_of(reference) if reference else "$"]
        done = match.end()
    return "".join([*parts, text[done:]])


def mentioned_names(source: str) -> set[str]:
    """The names of variables in a connections file, found without reading it as YAML; comment lines do not count."""
    lines = (line for line in source.splitlines() if not line.lstrip().startswith("#"))
    matches = (_BODY.fullmatch(match["body"] or "") for line in lines for match in _TOKEN.finditer(line))
    return {match["name"] for match in matches if match}


def _tokens(text: str) -> Iterator[tuple[re.Match[str], VariableReference | None]]:
    for match in _TOKEN.finditer(text):
        if match[0] == "$$":
            yield match, None
            continue
        body = _BODY.fullmatch(match["body"] or "")
        if body is None:
            raise MalformedReferenceError
        yield match, VariableReference(body["name"], body["default"])


def _read_env_file(path: Path) -> dict[str, str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as cause:
        raise OsirisError(
            f"could not read {path}: {cause.strerror}",
            "Check its permissions.",
            code="env_file.unreadable",
            path=ENV_NAME,
        ) from cause
    except UnicodeDecodeError:
        raise findings_error(
            [Finding("not UTF-8 text", "Save the file in UTF-8.", ENV_NAME, 1, 1)], code="env_file.invalid"
        ) from None
    from dotenv.parser import parse_stream  # noqa: PLC0415 - 3 ms, and most commands need no .env

    values: dict[str, str] = {}
    findings: list[Finding] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            line = binding.original.line + _blank_lines(binding.original.string)
            findings.append(
                Finding("this is not NAME=value", "Quote a value that holds quotes or #.", ENV_NAME, line, 1)
            )
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    if findings:
        raise findings_error(findings, code="env_file.invalid")
    return values


def _blank_lines(text: str) -> int:
    """How many lines stand before the first that says something; the parser counts them to the next assignment."""
    return text[: len(text) - len(text.lstrip())].count("\n")
