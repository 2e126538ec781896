"""Reading an OML file, and the fingerprint of what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osiris.canonical import digest
from osiris.documents import MAX_BYTES, Node, load_document
from osiris.errors import OsirisError, disk_error


def load_oml(path: Path, shown_path: str = "") -> Node:
    """The document in the OML file ``path``, which messages call ``shown_path``.

    Raises OsirisError ``oml.missing`` where there is no such file, ``yaml.invalid`` where it is not good YAML.
    """
    shown_path = shown_path or str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise OsirisError(
            f"{shown_path}: there is no such pipeline file",
            "Check the path; pipelines stand in the project's pipelines folder.",
            code="oml.missing",
            path=shown_path,
        ) from None
    except OSError as error:
        raise disk_error("read", shown_path, error) from error
    return load_document(content, shown_path)


def project_path(path: Path, project_root: Path) -> str:
    """``path`` relative to the project's root with ``/``, or as it is where it lies outside."""
    try:
        return path.resolve().relative_to(project_root.resolve()).as_posix()
    except ValueError:
        return str(path)


def oml_fingerprint(root: Node) -> str:
    """SHA-256 of what the document says: comments, layout, key order and quoting do not count.

    A scalar counts as its text, so that ``"00501"`` and ``00501`` are one; where quotes do change a value, the digest
    of the step's config or of the params changes with it.
    """
    return digest(_spoken(root))


def _spoken(node: Node) -> Any:
    if node.kind == "map":
        return {entry.key: _spoken(entry.value) for entry in node.entries}
    if node.kind == "list":
        return [_spoken(item) for item in node.items]
    return None if node.is_null else node.raw
