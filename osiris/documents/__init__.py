"""The YAML document layer: text to nodes with places (``load_document``), nodes to typed values (``bind``)."""

from osiris.documents.bind import bind, bind_fields
from osiris.documents.leaves import Report
from osiris.documents.load import MAX_ALIASED_NODES, MAX_BYTES, MAX_DEPTH, load_document
from osiris.documents.nodes import FREE_PREFIX, Entry, Node, Scalar, to_builtins, without_free
from osiris.documents.scalars import resolve_plain
from osiris.documents.wording import described, joined, listed, shown, suggest

__all__ = [
    "FREE_PREFIX",
    "MAX_ALIASED_NODES",
    "MAX_BYTES",
    "MAX_DEPTH",
    "Entry",
    "Node",
    "Report",
    "Scalar",
    "bind",
    "bind_fields",
    "described",
    "joined",
    "listed",
    "load_document",
    "resolve_plain",
    "shown",
    "suggest",
    "to_builtins",
    "without_free",
]
