"""A tiny builder of HTML. What is no :data:`Markup` can be a child of nothing, so no text becomes a tag."""

from __future__ import annotations

import html
import re
from typing import NewType

Markup = NewType("Markup", str)
"""HTML that this module made. mypy holds the rule: a plain ``str`` gets here through :func:`text` alone."""

NOTHING = Markup("")
_VOID = frozenset({"meta", "link"})
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls; a tab and a line end are text
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # they turn, split or hide what stands beside them
    "\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def text(outside: str) -> Markup:
    """``outside``, from wherever it came, as text of the page."""
    return Markup(html.escape(visible(outside), quote=False))


def element(tag: str, *children: Markup, **attributes: str | bool | None) -> Markup:
    """``<tag attribute="…">children</tag>``.

    ``class_`` is written ``class`` and ``aria_label`` ``aria-label``. An attribute that is None or False is left out.
    """
    written = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(visible(value))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{tag}{written}>" + ("" if tag in _VOID else f"{''.join(children)}</{tag}>"))


def joined(*parts: Markup, by: str = "") -> Markup:
    """``parts`` one behind the other, with the text ``by`` between them."""
    return Markup(str(text(by)).join(parts))


def visible(outside: str) -> str:
    r"""``outside`` with each control character, bidi override and lone surrogate as an escape such as ``\u202e``."""
    return _UNSEEN.sub(_escape, outside.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
