"""The first command after a restart of the machine mends what a power cut left of the index, and says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.shop import Shop

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def can_rename_the_boot() -> bool:
    return BOOT_ID.exists() and os.geteuid() == 0 and shutil.which("unshare") is not None


@pytest.mark.skipif(not can_rename_the_boot(), reason="needs root and unshare, to give the machine another boot id")
def test_the_first_command_after_a_restart_says_that_it_mended_the_index(used: Shop, tmp_path: Path) -> None:
    used.runs()
    path = used.root / ".osiris/index/runs.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"success"', b'"failure"', 1))
    other = tmp_path / "boot_id"
    other.write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    with_other_boot = ("unshare", "--mount", "sh", "-c", f'mount --bind {other} {BOOT_ID} && exec "$@"', "sh")
    result = used.end(used.start("runs", "list", before=with_other_boot), 0)
    assert "runs.jsonl is edited" in result.err
    assert path.read_bytes() == content
