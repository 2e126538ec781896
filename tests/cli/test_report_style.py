"""The page's colours: enough contrast for everybody, in both themes, computed as WCAG 2 does."""

from __future__ import annotations

import re

import pytest

from osiris.cli.report.page import style

STATES = ("good", "bad", "halt", "live", "idle")
TEXT, SHAPE = 4.5, 3.0
PAIRS = [
    *((ink, ground, TEXT) for ink in ("ink", "faint", "link") for ground in ("page", "card")),
    *((ink, "sunken", TEXT) for ink in ("ink", "faint")),
    *((state, ground, TEXT) for state in STATES for ground in ("card", f"{state}-soft")),
    *(("ink", f"{state}-soft", TEXT) for state in STATES),
    *((f"{state}-bar", "card", SHAPE) for state in STATES),
    ("bad-stripe", "bad-bar", 1.5),
    ("bad", "card", SHAPE),
]


def themes() -> dict[str, dict[str, str]]:
    """The colours by name, for each theme."""
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks()[:2])
    return {"light": light, "dark": dark}


def blocks() -> list[str]:
    """The blocks that define colours, in their order."""
    return re.findall(r":root \{(.*?)\}", style(), re.DOTALL)


def luminance(color: str) -> float:
    """Relative luminance, 0 to 1."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("one", "other", "least"), PAIRS, ids=str)
def test_text_and_shapes_stand_out_in_both_themes(theme: str, one: str, other: str, least: float) -> None:
    colors = themes()[theme]
    assert contrast(colors[one], colors[other]) >= least


def test_both_themes_define_the_same_colours_and_nothing_else_is_used() -> None:
    light, dark = themes().values()
    assert light.keys() == dark.keys()
    outside = re.sub(r":root \{.*?\}", "", style(), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?! \{| >)", outside.replace("#failure", "")) == []
    used = set(re.findall(r"var\(--([\w-]+)\)", style()))
    assert used <= {*light, "state", "soft", "fill", "label", "took", "tick"}


def test_the_style_sheet_loads_nothing_and_cannot_end_its_element() -> None:
    assert not re.search(r"url\(|@import|@font-face|</|<!--|http", style())
    assert style().isascii()
