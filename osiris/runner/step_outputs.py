"""What a run keeps of its steps in the folder ``outputs`` of its run folder, so that another run can go on with it.

    outputs/<step>.parquet    the rows of a step that reads or transforms
    outputs/<step>.json       its record; of a step that writes, there is the record alone

The rows are synced and have their name before their record is written, so a record always means a whole output. It says
which manifest the step was of: the hash covers every step's config.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from osiris import durable
from osiris.canonical import sha256_file
from osiris.compiler.manifest import ManifestStep
from osiris.components.base import Written, WrittenFile
from osiris.errors import OsirisError, disk_error
from osiris.redaction import Redactor
from osiris.runner.results import StepResult
from osiris.runner.row_counts import rows_in
from osiris.runner.stored_rows import StoredRows, store_rows, stored_rows_sql

OUTPUTS_NAME = "outputs"


class KeptRows(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rows"):
    """The record of a Parquet file; ``types`` as :class:`~osiris.runner.stored_rows.StoredRows` has them."""

    step: str
    manifest_hash: str
    rows: int
    bytes: int
    sha256: str
    types: dict[str, str]


class KeptWrite(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="write"):
    """The record of a step that wrote: its rows, and the files that it put in place."""

    step: str
    manifest_hash: str
    rows: int
    files: tuple[WrittenFile, ...]


KeptOutput = KeptRows | KeptWrite


class StepOutputs:
    """The kept outputs of one run; ``reused`` are those, by step id, that it took over from the run it resumes."""

    def __init__(self, folder: Path, manifest_hash: str, redactor: Redactor) -> None:
        self.reused: Mapping[str, KeptOutput] = {}
        self._folder = folder
        self._manifest_hash = manifest_hash
        self._redactor = redactor

    def keep_rows(
        self, consume: Callable[[str], list[tuple[Any, ...]]], relation: duckdb.DuckDBPyRelation, step_id: str
    ) -> StoredRows:
        """Store the rows of the view ``relation`` with the one statement that ``consume`` executes, for ever.

        Raises exit 7 where the disk does not take them, and what ``consume`` raises.
        """
        path = rows_path(self._folder, step_id)
        temporary = _temporary(path)
        try:
            durable.make_directory(self._folder)
            stored = store_rows(consume, relation, temporary)
            durable.sync_path(temporary)
            durable.move_into_place(temporary, path)
            self._record(
                KeptRows(
                    step=step_id,
                    manifest_hash=self._manifest_hash,
                    rows=stored.rows,
                    bytes=stored.bytes,
                    sha256=stored.sha256,
                    types=stored.types,
                )
            )
        except OSError as cause:
            raise disk_error("keep the output of the step in", path, cause) from cause
        finally:
            durable.remove_file(temporary)
        return msgspec.structs.replace(stored, path=str(path))

    def keep_write(self, step_id: str, written: Written) -> None:
        """Record that a step has written. Raises ``OSError``; the step has succeeded all the same."""
        files = tuple(msgspec.structs.replace(file, path=self._redactor.scrub(file.path)) for file in written.files)
        durable.make_directory(self._folder)
        self._record(KeptWrite(step=step_id, manifest_hash=self._manifest_hash, rows=written.rows, files=files))

    def take_over(self, earlier: Path, reused: Mapping[str, KeptOutput]) -> None:
        """Make the outputs in the folder ``earlier``, which were found good, this run's own, all in one step.

        They get hard links, or are copied where there can be none. Raises exit 7.
        """
        temporary: Path | None = None
        try:
            temporary = durable.make_temporary_beside(self._folder)
            for step_id, kept in reused.items():
                if isinstance(kept, KeptRows):
                    durable.link_file(rows_path(earlier, step_id), rows_path(temporary, step_id))
                durable.write_file(_record_path(temporary, step_id), _encoded(kept), sync=True)
            durable.sync_directory(temporary)
            durable.move_into_place(temporary, self._folder)
        except OSError as cause:
            if temporary is not None:
                durable.remove_tree(temporary)
            raise disk_error("take over the kept outputs in", earlier, cause) from cause
        self.reused = reused

    def show_reused(self, database: duckdb.DuckDBPyConnection, wanted: Iterable[ManifestStep]) -> None:
        """Make the reused rows that the steps ``wanted`` take a view each, which every cursor of ``database`` has."""
        for step_id in sorted({producer for step in wanted for producer in step.inputs.values()}):
            kept = self.reused.get(step_id)
            if not isinstance(kept, KeptRows):
                continue
            path = str(rows_path(self._folder, step_id))
            stored = StoredRows(path=path, rows=kept.rows, bytes=kept.bytes, sha256=kept.sha256, types=kept.types)
            try:
                database.sql(stored_rows_sql(stored)).create_view(view_name(step_id))
            except duckdb.Error as cause:
                raise OsirisError(
                    f"the kept output of the step {step_id} cannot be read: {cause}",
                    f"Remove {path} and resume this run: the step then runs again.",
                    code="resume.unreadable",
                    path=path,
                ) from cause

    def results(self, steps: Iterable[ManifestStep]) -> dict[str, StepResult]:
        """How the reused ones among ``steps`` count: with the rows that they gave when they ran."""
        given = {step_id: kept.rows for step_id, kept in self.reused.items()}
        return {
            step.id: StepResult(
                id=step.id,
                component=step.component,
                status="reused",
                rows_in=rows_in(step.inputs, given),
                rows_out=given[step.id],
                files=kept.files if isinstance(kept, KeptWrite) else (),
            )
            for step in steps
            if (kept := self.reused.get(step.id))
        }

    def _record(self, kept: KeptOutput) -> None:
        path = _record_path(self._folder, kept.step)
        durable.replace_file(path, _encoded(kept), sync=True, temporary=_temporary(path))


def has_kept(folder: Path) -> bool:
    """Whether there is the record of any output in ``folder``."""
    return any(folder.glob("*.json"))


def examine_output(folder: Path, step: ManifestStep, manifest_hash: str, root: Path) -> KeptOutput | str | None:
    """The kept output of ``step`` if it is whole, else why it cannot be used; None where the step has no record.

    Every byte of its rows is read, or of the files that it wrote, which count from ``root``. Raises exit 7.
    """
    try:
        encoded = _record_path(folder, step.id).read_bytes()
        kept: KeptOutput = msgspec.json.decode(encoded, type=KeptOutput)
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise disk_error("read", _record_path(folder, step.id), cause) from cause
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "its record cannot be read"
    if (kept.step, kept.manifest_hash, isinstance(kept, KeptWrite)) != (step.id, manifest_hash, step.mode == "write"):
        return "its record is of something else"
    if isinstance(kept, KeptRows):
        return _difference(rows_path(folder, step.id), kept.sha256) or kept
    wrong = (f"{file.path}: {found}" for file in kept.files if (found := _difference(root / file.path, file.sha256)))
    return next(wrong, kept)


def rows_path(folder: Path, step_id: str) -> Path:
    """Where the rows of a step lie in a folder of kept outputs."""
    return folder / f"{step_id}.parquet"


def view_name(step_id: str) -> str:
    """The view that holds a step's rows, on every cursor of the run once they are stored."""
    return f"rows of {step_id}"


def _temporary(path: Path) -> Path:
    """A name beside ``path`` for the time until it is whole; a step has one output, so nobody else uses it."""
    return path.with_name(f".{path.name}.tmp")


def _encoded(kept: KeptOutput) -> bytes:
    return msgspec.json.encode(kept) + b"\n"


def _record_path(folder: Path, step_id: str) -> Path:
    return folder / f"{step_id}.json"


def _difference(path: Path, sha256: str) -> str:
    """What is wrong with a file that had this SHA-256; "" for nothing."""
    try:
        return "" if sha256_file(path) == sha256 else "its bytes are not those that were recorded"
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return "the file is gone"
    except OSError as cause:
        raise disk_error("read", path, cause) from cause
