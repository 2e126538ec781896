"""Kept outputs are taken over as they are, also to where no link can lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from osiris.durable import link_file
from osiris.redaction import Redactor
from osiris.runner.step_outputs import KeptRows, StepOutputs
from tests.faults.loop_disk import memory_disk, why_no_memory_disk

KEPT = KeptRows(step="orders", manifest_hash="ab", rows=1, bytes=4, sha256="cd", types={})


@pytest.mark.skipif(why_no_memory_disk() != "", reason=why_no_memory_disk())
def test_what_lies_on_another_disk_is_copied(tmp_path: Path) -> None:
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "orders.parquet").write_bytes(b"rows")
    with memory_disk(tmp_path, size_bytes=1 << 20) as disk:
        StepOutputs(disk / "outputs", "ab", Redactor()).take_over(tmp_path / "earlier", {"orders": KEPT})
        assert (disk / "outputs" / "orders.parquet").read_bytes() == b"rows"
        assert [path.name for path in disk.iterdir()] == ["outputs"]


def test_a_name_that_is_taken_is_not_linked_over(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        link_file(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == b"other"
