"""YAML text to nodes, safely: no tags, no merge keys, no doubled keys, and limits on size, depth and aliases.

Built on the parser's events and not on its object constructors, so that nothing in a file can choose a Python type.
No message repeats an anchor's or a tag's text: a password that starts with ``*`` or ``!`` reads as one.
"""

from __future__ import annotations

import re

import yaml

from osiris.documents.nodes import Entry, Node
from osiris.documents.scalars import resolve_plain
from osiris.documents.syntax import LINE_END, SYNTAX_HINT, describe_syntax_error
from osiris.documents.wording import shown
from osiris.errors import Finding, OsirisError, findings_error

MAX_BYTES = 1 << 20
MAX_DEPTH = 100
MAX_ALIASED_NODES = 10_000
_CHARACTERS_A_NODE = 256  # a long text counts as so many nodes more, or a few aliases would make gigabytes of it

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def load_document(source: str | bytes, path: str, *, max_bytes: int = MAX_BYTES) -> Node:
    """The one document in ``source``; nothing at all is a null scalar. ``path`` names the file in messages.

    Raises OsirisError ``yaml.invalid`` with file, line and column for everything that is wrong with the text.
    """
    text = _decode(source, path, max_bytes)
    if bad := _UNPRINTABLE.search(text):
        line, column = _place(text[: bad.start()])
        raise _invalid(
            path,
            line,
            column,
            f"the character U+{ord(bad[0]):04X} is not allowed",
            "Remove it, or escape it in quotes.",
        )
    builder = _Builder(path)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _invalid(path, *describe_syntax_error(text, error)) from None
    except yaml.YAMLError as error:
        raise _invalid(path, 1, 1, f"not YAML: {error}".splitlines()[0], SYNTAX_HINT) from None
    return builder.root or Node(kind="scalar", line=1, column=1, plain=True)


def _invalid(path: str, line: int, column: int, problem: str, hint: str) -> OsirisError:
    return findings_error([Finding(problem, hint, path, line, column)], code="yaml.invalid")


def _place(text_before: str) -> tuple[int, int]:
    lines = LINE_END.split(text_before)
    return len(lines), len(lines[-1]) + 1


def _start_of(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _decode(source: str | bytes, path: str, max_bytes: int) -> str:
    try:
        content = source.encode() if isinstance(source, str) else source
        if len(content) > max_bytes:
            size = f"{len(content)} bytes; at most {max_bytes} are read"
            raise _invalid(path, 1, 1, f"the file is too large: {size}", "Split the file, or move data out of it.")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bom = len(_BOM) if content.startswith(_BOM) else 0  # what the decoder passed over before it counted
        line, column = _place(content[: bom + error.start].decode("utf-8-sig"))
        hint = "Save the file in UTF-8; it looks like UTF-16." if content[:2] in _UTF_16 else "Save the file in UTF-8."
        raise _invalid(path, line, column, "not UTF-8 text", hint) from None
    except UnicodeEncodeError as error:
        line, column = _place(str(source)[: error.start])
        raise _invalid(path, line, column, "not UTF-8 text", "Save the file in UTF-8.") from None


class _Open:
    """A map or a list whose end has not been seen yet; ``size`` and ``height`` count its nodes, aliases expanded."""

    def __init__(self, event: yaml.CollectionStartEvent) -> None:
        self.kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        self.anchor = event.anchor
        self.line, self.column = _start_of(event)
        self.entries: list[Entry] = []
        self.items: list[Node] = []
        self.places: dict[str, tuple[int, int]] = {}
        self.key: tuple[str, int, int] | None = None
        self.size = 1
        self.height = 1

    @property
    def wants_key(self) -> bool:
        return self.kind == "map" and self.key is None

    def add(self, node: Node, size: int, height: int) -> None:
        if self.key is None:
            self.items.append(node)
        else:
            text, line, column = self.key
            self.size += len(text) // _CHARACTERS_A_NODE
            self.entries.append(Entry(key=text, line=line, column=column, value=node))
            self.key = None
        self.size += size
        self.height = max(self.height, height + 1)

    def close(self) -> Node:
        if self.kind == "map":
            return Node(kind="map", line=self.line, column=self.column, entries=tuple(self.entries))
        return Node(kind="list", line=self.line, column=self.column, items=tuple(self.items))


class _Builder:
    """Takes the parser's events one by one and holds the document in ``root``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.root: Node | None = None
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._documents = 0
        self._aliased = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._refuse(event, "a second document starts here", "Keep one document in a file.")
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.CollectionStartEvent():
                self._start(event)
            case yaml.CollectionEndEvent():
                frame = self._open.pop()
                self._finish(frame.close(), frame.anchor, frame.size, frame.height)

    def _refuse(self, event: yaml.Event, problem: str, hint: str) -> OsirisError:
        line, column = _start_of(event)
        return _invalid(self.path, line, column, problem, hint)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            hint = "Leave the tag out; put a value that starts with ! in quotes."
            raise self._refuse(event, "explicit tags are not read", hint)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_tag(event)
        plain = event.style in (None, "")
        if self._open and self._open[-1].wants_key:
            self._key(event, plain)
            return
        raw = event.value
        line, column = _start_of(event)
        value = resolve_plain(raw) if plain else raw
        node = Node(kind="scalar", line=line, column=column, raw=raw, plain=plain, value=value)
        self._finish(node, event.anchor, 1 + len(raw) // _CHARACTERS_A_NODE, 1)

    def _key(self, event: yaml.ScalarEvent, plain: bool) -> None:
        text = event.value
        line, column = _start_of(event)
        frame = self._open[-1]
        if plain and text == "<<":
            raise self._refuse(event, "merge keys (<<) are not read", "Write the keys out where they are needed.")
        if first := frame.places.get(text):
            problem = f"the key {shown(text)} stands twice: at line {first[0]}, column {first[1]} and at line {line}"
            in_list = len(self._open) > 1 and self._open[-2].kind == "list"
            hint = "Keep one of the two, or begin a new item with '- '." if in_list else "Keep one of the two."
            raise self._refuse(event, f"{problem}, column {column}", hint)
        frame.places[text] = (line, column)
        frame.key = (text, line, column)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_tag(event)
        self._refuse_key(event)
        if len(self._open) >= MAX_DEPTH:
            raise self._refuse(event, f"nested more than {MAX_DEPTH} deep", "Make the document flatter.")
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # an alias to it from inside would be endless
        self._open.append(_Open(event))

    def _refuse_key(self, event: yaml.Event) -> None:
        if self._open and self._open[-1].wants_key:
            raise self._refuse(event, "a key must be a word", "Write the key as text; quote it where it has brackets.")

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._refuse_key(event)
        hint = "Put a value that starts with * in quotes."
        if event.anchor not in self._anchors:
            raise self._refuse(event, "this alias names no anchor that stands before it", hint)
        target = self._anchors[event.anchor]
        if target is None:
            raise self._refuse(event, "this alias stands inside its own anchor", "Write the value out.")
        node, size, height = target
        self._aliased += size
        if self._aliased > MAX_ALIASED_NODES:
            characters = MAX_ALIASED_NODES * _CHARACTERS_A_NODE
            problem = f"the aliases stand for more than {MAX_ALIASED_NODES} values or {characters} characters"
            raise self._refuse(event, problem, "Write the values out, or use fewer aliases.")
        if len(self._open) + height > MAX_DEPTH:
            raise self._refuse(event, f"nested more than {MAX_DEPTH} deep", "Make the document flatter.")
        self._attach(node, size, height)

    def _finish(self, node: Node, anchor: str | None, size: int, height: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size, height)
        self._attach(node, size, height)

    def _attach(self, node: Node, size: int, height: int) -> None:
        if self._open:
            self._open[-1].add(node, size, height)
        else:
            self.root = node
