"""Every effective value with where it came from, for people who ask why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from osiris.config.keys import ConfigValue, config_keys, config_value
from osiris.config.schema import OsirisConfig
from osiris.documents import suggest
from osiris.errors import OsirisError


class EffectiveValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value as it counts. ``source`` is ``default``, ``osiris.yaml:LINE``, with the key in brackets where that is of
    an older block, or a variable of the environment."""

    key: str
    value: ConfigValue
    source: str


def effective_values(config: OsirisConfig, sources: Mapping[str, str], below: str = "") -> tuple[EffectiveValue, ...]:
    """All values in the order of the schema; ``below`` is a key or a block, and one that does not exist is an error."""
    keys = list(config_keys())
    chosen = [key for key in keys if not below or key == below or key.startswith(f"{below}.")]
    if not chosen:
        raise OsirisError(
            f"there is no key or block {below!r} in the configuration",
            _suggestion(below, keys) or "See all of them with `osiris config show`.",
            code="config.unknown_key",
        )
    return tuple(
        EffectiveValue(key=key, value=config_value(config, key), source=sources.get(key, "default")) for key in chosen
    )


def _suggestion(asked: str, keys: list[str]) -> str:
    """The whole path of what may have been meant, by its end or as a near miss."""
    paths = list(dict.fromkeys(path for key in keys for path in _with_blocks(key)))
    if ends := [path for path in paths if path.endswith(f".{asked}")]:
        return f"Did you mean '{ends[0]}'?"
    return suggest(asked, paths) or suggest(asked.rpartition(".")[2], paths)


def _with_blocks(key: str) -> Iterator[str]:
    names = key.split(".")
    return (".".join(names[:length]) for length in range(1, len(names) + 1))
