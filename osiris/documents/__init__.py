"""The YAML document layer: text to nodes with places (``load_document``), nodes to typed values (``bind``)."""

from osiris.documents.bind import FREE_PREFIX, bind, bind_fields
from osiris.documents.leaves import Report
from osiris.documents.load import MAX_ALIASED_NODES, MAX_BYTES, MAX_DEPTH, load_document
from osiris.documents.nodes import Entry, Node, Scalar, to_builtins
from osiris.documents.scalars import resolve_plain
from osiris.documents.wording import described, joined, shown, suggest

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
    "load_document",
    "resolve_plain",
    "shown",
    "suggest",
    "to_builtins",
]
