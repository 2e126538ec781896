"""Odd documents made from good ones: nodes dropped, doubled, moved, renamed and replaced, or bytes of the text."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

SECRET = "hunter2-Pa55"  # noqa: S105
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "a", "no", "1.10", "0x1F", "~", "\0",
    "\u202e", "e\u0301", "\U0001f600", "a\u2028b", "${params.region}", "${params.none}", "${params.", "10m", ">=1",
    "${by-customer.df}", "x" * 70_000, "../../x", "@pg.main", f"pg://u:{SECRET}@h/d", [], {}, [[]], ["a", "a"],
    {"a": 1}, {"": None}, {"x-note": SECRET}, {"password": SECRET}, [None, {"id": "a"}],
]  # fmt: skip
ODD_KEYS = ["", "a", "x-a", "X-A", "id", "needs", "params", "config", "password", "é", "<<", "null", "k" * 2_000]


class Spot(NamedTuple):
    """A place in a tree: the list or map, and the key in it."""

    below: Any
    key: Any


def spots(tree: Any) -> Iterator[Spot]:
    """Every place below ``tree``."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield Spot(tree, key)
        yield from spots(tree[key])


def mutate(tree: Any, dice: random.Random, odd: Any) -> None:
    """Change one place of ``tree``; ``odd`` is what may be put there."""
    places = list(spots(tree))
    if not places:
        return
    spot, other = dice.choice(places), dice.choice(places)
    value = copy.deepcopy(spot.below[spot.key])
    what = dice.choice(["drop", "double", "replace", "replace", "move", "rename", "retype", "empty"])
    if what == "drop":
        del spot.below[spot.key]
    elif what == "double" and isinstance(spot.below, list):
        spot.below.insert(spot.key, value)
    elif what == "rename" and isinstance(spot.below, dict):
        spot.below[dice.choice(ODD_KEYS)] = spot.below.pop(spot.key)
    elif what == "retype":
        spot.below[spot.key] = dice.choice([str(value), [value], {"a": value}])
    elif what == "move":
        other.below[other.key] = value
    else:
        spot.below[spot.key] = copy.deepcopy(odd) if what == "replace" else None


def written(tree: Any, style: str) -> bytes:
    """``tree`` as YAML in blocks, in flow style, or as JSON."""
    if style == "json":
        return json.dumps(tree).encode()
    text: str = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, default_flow_style=style == "flow")
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mutants(draw: st.DrawFn, originals: list[str]) -> bytes:
    """A document that was good before one to three changes."""
    tree = yaml.safe_load(draw(st.sampled_from(originals)))
    dice = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(1, 3))):
        mutate(tree, dice, draw(st.sampled_from(ODD_VALUES) | st.text(max_size=12)))
    return written(tree, draw(st.sampled_from(["block", "flow", "json"])))


@st.composite
def torn(draw: st.DrawFn, originals: list[str]) -> bytes:
    """Bytes of which a piece was cut out, doubled or replaced by any bytes."""
    content = draw(st.sampled_from(originals)).encode()
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(start + 40, len(content))))
    odd = st.sampled_from(
        [b"\t", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"---\n", b"&a ", b"*a", b"! "]
    )
    return (
        content[:start]
        + draw(st.sampled_from([b"", content[start:end] * 2]) | odd | st.binary(max_size=8))
        + content[end:]
    )


def is_inside(line: int, column: int, content: bytes) -> bool:
    """Whether this is a place in the file, its end included, as YAML counts lines."""
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", content.decode("utf-8", "replace"))
    return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1
