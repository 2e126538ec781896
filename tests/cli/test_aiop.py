"""``osiris aiop``: looking at packs and taking them along."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from osiris.runner.export import export_pack
from tests.cli.shop import Shop

FILES = ["annex/errors.ndjson", "annex/metrics.ndjson", "annex/timeline.ndjson", "run-card.md", "summary.json"]


def pack_of(shop: Shop, record: dict[str, Any] | None = None) -> Path:
    return shop.root / str((record or shop.runs()[0])["aiop_path"])


def test_packs_are_listed_newest_first_with_their_size_and_whether_the_annex_is_left(used: Shop) -> None:
    used.run("run", "orders", "-p", "prod")
    second, first = used.runs()
    shutil.rmtree(pack_of(used, first) / "annex")
    packs = used.run("aiop", "list", "--json").json["packs"]
    assert [(pack["run_id"], pack["profile"], pack["status"], pack["annex"]) for pack in packs] == [
        (second["run_id"], "prod", "success", True),
        (first["run_id"], "dev", "success", False),
    ]
    for pack in packs:
        files = [path for path in (used.root / pack["path"]).rglob("*") if path.is_file()]
        assert pack["bytes"] == sum(path.stat().st_size for path in files) > 0
    table = [line.split("\t") for line in used.run("aiop", "list").out.splitlines()]
    assert table[0] == ["run", "pipeline", "profile", "status", "bytes", "annex"]
    assert [row[-1] for row in table[1:]] == ["yes", "pruned"]
    assert used.run("aiop", "list", "--profile", "prod", "--json").json["packs"] == packs[:1]
    assert used.run("aiop", "list", "--limit", "1", "--json").json["packs"] == packs[:1]


def test_runs_without_a_pack_are_looked_past_however_many_they_are(used: Shop) -> None:
    oldest = used.runs()[0]
    for _ in range(3):
        used.run("run", "orders")
    for record in used.runs()[:3]:
        shutil.rmtree(pack_of(used, record))
    [pack] = used.run("aiop", "list", "--limit", "1", "--json").json["packs"]
    assert pack["run_id"] == oldest["run_id"]


def test_show_prints_what_summary_json_holds_or_the_card_as_it_stands(used: Shop) -> None:
    folder = pack_of(used)
    assert used.run("aiop", "show", "last", "--json").json == json.loads((folder / "summary.json").read_bytes())
    assert used.run("aiop", "show", "last", "--card").out == (folder / "run-card.md").read_text("utf-8")
    lines = used.run("aiop", "show", "last").out.splitlines()
    assert lines[0].endswith("  success")
    assert any("3 read, 2 written" in line for line in lines)
    assert used.run("aiop", "show", "last", "--card", "--json", check=2).json["error"]["code"] == "cli.usage"


def test_a_card_that_was_tampered_with_gives_the_terminal_no_commands(used: Shop) -> None:
    (pack_of(used) / "run-card.md").write_bytes(b"# a\x1b[2J\xff\n  - b\x07\n")
    assert used.run("aiop", "show", "last", "--card").out == "# a [2J\ufffd\n  - b\n"


@pytest.mark.parametrize("verb", ["show", "export"])
def test_a_pack_that_is_gone_or_not_one_is_an_error_that_says_so(used: Shop, verb: str) -> None:
    folder = pack_of(used)
    for content, code in ((b"{", "aiop.unreadable"), (None, "aiop.missing")):
        if content is None:
            shutil.rmtree(folder)
        else:
            (folder / "summary.json").write_bytes(content)
        error = used.run("aiop", verb, "last", "--json", check=2).json["error"]
        assert error["code"] == code
        assert "osiris runs show orders/" in error["hint"]
    assert used.run("aiop", verb, "nobody", "--json", check=2).json["error"]["code"] == "run.unknown"


def test_an_export_is_the_same_bytes_whenever_and_wherever_it_is_made(used: Shop, tmp_path: Path) -> None:
    record = used.runs()[0]
    first = used.run("aiop", "export", "last", "--json").json
    content = used.read(first["path"])
    assert first["path"] == f"{record['aiop_path'].rpartition('/')[0]}/orders-{record['run_id']}.zip"
    assert (first["bytes"], first["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (first["files"], first["annex"], first["written"]) == (FILES, True, True)

    other = Shop(tmp_path / "far" / "away")
    shutil.copytree(used.root, other.root)
    for path in pack_of(other).rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    (pack_of(other) / ".DS_Store").write_bytes(b"of this machine")
    (pack_of(other) / "annex" / "more.ndjson").symlink_to("/etc/passwd")
    env = {"TZ": "Asia/Kolkata", "SOURCE_DATE_EPOCH": "1", "LC_ALL": "C"}
    again = other.run("aiop", "export", "last", "--out", "again.zip", "--json", env=env).json
    assert other.read("again.zip") == content
    assert again["sha256"] == first["sha256"]


def test_the_zip_holds_the_pack_in_one_folder_stored_and_without_a_time(used: Shop) -> None:
    document = used.run("aiop", "export", "last", "--json").json
    folder = pack_of(used)
    with zipfile.ZipFile(used.root / document["path"]) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
        top = f"orders-{folder.name}"
        assert [entry.filename for entry in entries] == [f"{top}/{name}" for name in FILES]
        for entry in entries:
            assert archive.read(entry) == (folder / entry.filename.removeprefix(f"{top}/")).read_bytes()
            assert (entry.date_time, entry.compress_type, entry.create_system) == ((1980, 1, 1, 0, 0, 0), 0, 3)
            assert (entry.external_attr, entry.extra) == (0o100644 << 16, b"")


def stored_zip(members: dict[str, bytes]) -> bytes:
    """A zip as PKWARE's APPNOTE has it: version 2.0, made on Unix, stored, 1980-01-01 00:00, permissions 0644."""
    local, central = b"", b""
    for name, content in members.items():
        checked = struct.pack(
            "<HHHHIIIHH", 0, 0, 0, 0x21, zlib.crc32(content), len(content), len(content), len(name), 0
        )
        entry = (
            struct.pack("<BBBB", 20, 3, 20, 0) + checked + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, len(local))
        )
        central += b"PK\1\2" + entry + name.encode()
        local += b"PK\3\4" + struct.pack("<BB", 20, 0) + checked + name.encode() + content
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(central), len(local), 0)
    return local + central + b"PK\5\6" + end


def test_an_export_is_byte_for_byte_what_its_format_says_whatever_the_version_of_python(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_bytes(b"{}\n")
    (tmp_path / "run-card.md").write_bytes(b"# card\n")
    exported = export_pack(tmp_path, "orders-run-1")
    members = {"orders-run-1/run-card.md": b"# card\n", "orders-run-1/summary.json": b"{}\n"}
    assert exported.content == stored_zip(members)


def test_a_file_that_is_something_else_is_not_replaced_without_being_told_to(used: Shop) -> None:
    for _ in range(2):
        document = used.run("aiop", "export", "last", "--out", "pack.zip", "--json").json
    assert document["written"] is False
    assert used.run("aiop", "export", "last", "--out", "pack.zip").out.startswith("unchanged  orders/")
    used.write("pack.zip", "mine")
    error = used.run("aiop", "export", "last", "--out", "pack.zip", "--json", check=2).json["error"]
    assert (error["code"], used.read("pack.zip")) == ("aiop.exists", b"mine")
    assert used.run("aiop", "export", "last", "--out", "pack.zip", "--force", "--json").json["written"] is True
    assert zipfile.is_zipfile(used.root / "pack.zip")
    used.run("aiop", "export", "last", "--out", "nowhere/pack.zip", check=7)
    used.run("aiop", "export", "last", "--out", "x" * 300, check=7)
    assert used.leftovers() == []


def test_what_is_no_file_is_never_replaced_by_an_export(used: Shop) -> None:
    os.mkfifo(used.root / "pipe.zip")
    (used.root / "link.zip").symlink_to("pipe.zip")
    for name in ("pipe.zip", "link.zip"):
        error = used.run("aiop", "export", "last", "--out", name, "--force", "--json", check=2).json["error"]
        assert error["message"] == f"{name} is not a file, and is not replaced"
    assert (used.root / "pipe.zip").is_fifo()
    assert (used.root / "link.zip").is_symlink()


def test_an_export_goes_into_a_folder_that_is_named_and_says_that_the_annex_is_gone(used: Shop) -> None:
    shutil.rmtree(pack_of(used) / "annex")
    document = used.run("aiop", "export", "last", "--out", "data", "--json").json
    assert document["path"] == f"data/orders-{used.runs()[0]['run_id']}.zip"
    assert (document["files"], document["annex"]) == (FILES[-2:], False)
    shown = used.run("aiop", "export", "last", "--out", "data")
    assert "not included" in shown.out
