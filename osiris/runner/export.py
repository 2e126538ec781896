"""A pack as one zip file: the same pack gives the same bytes on any machine.

Members stand in the order of their names, stored without compression (what zlib makes of the same bytes depends on its
version), with one fixed time and fixed permissions, in a folder named after the run.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import msgspec

from osiris import durable
from osiris.canonical import sha256_hex
from osiris.errors import OsirisError, disk_error
from osiris.projections.runs import RunRecord
from osiris.runner.annex import ANNEX_NAME, ANNEX_NAMES, TAIL_NAME
from osiris.runner.summary import CARD_NAME, SUMMARY_NAME

_FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE_FILE = 0o100644 << 16
_FILES = (SUMMARY_NAME, CARD_NAME, TAIL_NAME, *(f"{ANNEX_NAME}/{name}" for name in ANNEX_NAMES))


class ExportedPack(msgspec.Struct, frozen=True, kw_only=True):
    """A pack as a zip: its members by their names in the pack, and the bytes."""

    members: tuple[str, ...]
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the whole file."""
        return sha256_hex(self.content)


def pack_files(pack: Path) -> dict[str, Path]:
    """The files of a pack that are there, by their names in it: no links, and nothing that is not of a pack."""
    return {name: path for name in sorted(_FILES) if (path := pack / name).is_file() and not path.is_symlink()}


def has_annex(pack: Path) -> bool:
    """Whether retention has left the annex; a run always leaves all of its files, empty ones too."""
    return any((pack / ANNEX_NAME / name).is_file() for name in ANNEX_NAMES)


def export_name(record: RunRecord) -> str:
    """What the zip and the folder in it are called, without an ending."""
    return f"{record.pipeline_slug}-{record.run_id}"


def export_pack(pack: Path, name: str) -> ExportedPack:
    """The zip of ``pack``, whose members stand in the folder ``name``. Raises exit 7 where a file cannot be read."""
    members = pack_files(pack)
    target = io.BytesIO()
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for member, path in members.items():
                entry = zipfile.ZipInfo(f"{name}/{member}", _FIRST_MOMENT)
                entry.create_system = _UNIX
                entry.external_attr = _READABLE_FILE
                archive.writestr(entry, path.read_bytes())
    except OSError as cause:
        raise disk_error("read the pack", pack, cause) from cause
    return ExportedPack(members=tuple(members), content=target.getvalue())


def save_export(exported: ExportedPack, path: Path, *, force: bool) -> bool:
    """Put the zip at ``path`` in one step; False where the same bytes stand there already.

    Another file there is an error, unless ``force`` is given; what is no file, such as a device, is never replaced.
    Raises exit 7 where the disk does not take it.
    """
    try:
        if path.is_file() and path.stat().st_size == len(exported.content) and path.read_bytes() == exported.content:
            return False
        if path.exists() and not path.is_file():
            raise OsirisError(
                f"{path} is not a file, and is not replaced",
                "Name a file with --out.",
                code="aiop.exists",
                path=str(path),
            )
        if path.exists() and not force:
            raise OsirisError(
                f"{path} exists already and is something else",
                "Name another file with --out, or replace it with --force.",
                code="aiop.exists",
                path=str(path),
            )
        durable.replace_file(path, exported.content, sync=True)
    except OSError as cause:
        raise disk_error("write", path, cause) from cause
    return True
