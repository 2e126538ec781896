"""Reading a page of a run back: whether it is well-formed, and what stands in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlsplit

VOID = frozenset({"meta", "link"})
STYLES = re.compile(r"(--tick|left): \d+\.\d{3}%(; width: \d+\.\d{3}%)?")
TAGS = re.compile(
    "html|head|meta|link|title|style|body|main|header|section|aside|h[123]|p|ul|ol|li|dl|dt|dd|div|span|strong|bdi|code|pre"
    "|abbr|time|a|figure|figcaption|svg|path|table|thead|tbody|tr|th|td|details|summary"
)


class Tag(NamedTuple):
    """An opening tag."""

    name: str
    attributes: dict[str, str | None]


class ParsedPage(HTMLParser):
    """A page as a browser's parser sees it; a tag that is not closed where it should be is an error."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[Tag] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        assert page.startswith("<!DOCTYPE html>\n<html")
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opened."""
        assert TAGS.fullmatch(tag), tag
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), attrs
        self.tags.append(Tag(tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closed: always the one that was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, without that of the style sheet."""
        if self._open[-1:] != ["style"]:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """There are none."""
        raise AssertionError(f"a comment: {data!r}")

    def unknown_decl(self, data: str) -> None:
        """There are none."""
        raise AssertionError(f"a declaration: {data!r}")

    @property
    def text(self) -> str:
        """All text in a row, with one blank for each white space."""
        return " ".join(" ".join(self.texts).split())

    @property
    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        """Every tag with the names of its attributes."""
        return [(tag.name, tuple(tag.attributes)) for tag in self.tags]

    @property
    def links(self) -> list[str]:
        """Where the links of the page lead."""
        return [str(tag.attributes["href"]) for tag in self.tags if tag.name == "a"]

    def classes(self, name: str) -> list[str]:
        """The classes of all tags of one name."""
        return [str(tag.attributes.get("class")) for tag in self.tags if tag.name == name]


def check_page(page: str) -> ParsedPage:
    """A page that is well-formed, asks nobody for anything, and links to nothing but files beside it."""
    page.encode()
    parsed = ParsedPage(page)
    [policy] = [tag.attributes["content"] for tag in parsed.tags if "http-equiv" in tag.attributes]
    assert str(policy).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    for tag in parsed.tags:
        assert not any(name.startswith("on") or name in {"src", "srcset", "action"} for name in tag.attributes)
        assert "style" not in tag.attributes or STYLES.fullmatch(str(tag.attributes["style"])), tag
    for link in parsed.links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", ""), link
        assert not link.startswith("/"), link
    ids = [tag.attributes["id"] for tag in parsed.tags if "id" in tag.attributes]
    assert len(set(ids)) == len(ids)
    assert {tag.attributes["aria-labelledby"] for tag in parsed.tags if "aria-labelledby" in tag.attributes} <= set(ids)
    return parsed
