"""How a document's words are shown in messages: near misses, dotted paths, and never a secret."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from itertools import islice

from osiris.documents.nodes import Node
from osiris.redaction import MASK, is_secret_key, secret_shape

_LONGEST_SHOWN = 60
_MOST_LISTED = 20
_MOST_COMPARED = 1_000  # a near miss is worth some milliseconds, not minutes where there are many words


def suggest(word: str, allowed: Iterable[str]) -> str:
    """``Did you mean 'steps'?`` for the nearest of the allowed words, or "" where none is near."""
    by_folded = {candidate.lower(): candidate for candidate in islice(allowed, _MOST_COMPARED)}
    near = difflib.get_close_matches(word.lower(), by_folded, n=1, cutoff=0.6)
    return f"Did you mean '{by_folded[near[0]]}'?" if near else ""


def listed(words: Collection[str]) -> str:
    """``a, b, c``; of many words the first, and how many more there are."""
    more = len(words) - _MOST_LISTED
    return ", ".join(islice(words, _MOST_LISTED)) + (f" and {more} more" if more > 0 else "")


def shown(text: str, key: str = "") -> str:
    """``text`` in quotes, on one line, cut when long, and masked where it, or its key's name, looks like a secret."""
    if secret_shape(text) or (key and is_secret_key(key)):
        return MASK
    return repr(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")


def joined(at: str, key: str) -> str:
    """The dotted path of ``key`` below the path ``at``."""
    label = shown(key).strip("'\"")
    return f"{at}.{label}" if at else label


def last_key(at: str) -> str:
    """The last key of a dotted path, without list positions."""
    return at.rpartition(".")[2].partition("[")[0]


def described(node: Node) -> str:
    """What kind of value stands there, without the value itself: ``text``, ``a whole number``, ``a list``."""
    if node.kind != "scalar":
        return f"a {node.kind}"
    match node.value:
        case None:
            return "nothing" if node.raw == "" else "null"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case _:
            return "text"
