"""Objects are read and written as files are, against a real S3 server."""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from osiris.components.object_files import fetch_objects
from osiris.components.object_stores import ObjectPath, open_store, parse_object_path
from osiris.errors import OsirisError
from tests.components.reading import Context, NeverCancelled, read, text_rows, write
from tests.object_server import ObjectServer, object_server

CSV = "filesystem.csv_extractor"
TARGET = "filesystem.csv_writer"
MIB = 1 << 20
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as started:
        yield started


@pytest.fixture
def bucket(server: ObjectServer, tmp_path: Path) -> str:
    name = "b" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]
    server.make_bucket(name)
    return name


@pytest.fixture
def ctx(server: ObjectServer, tmp_path: Path) -> Context:
    context = Context(tmp_path)
    context.connection = server.connection
    return context


def failure(ctx: Context, path: str) -> OsirisError:
    with pytest.raises(OsirisError) as failed:
        read(ctx, CSV, path=path)
    for text in (str(failed.value), failed.value.hint):
        assert "s3cr3t" not in text
        assert "AKIA" not in text
    assert failed.value.__cause__ is None
    return failed.value


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_what_was_written_to_an_object_is_read_back(
    ctx: Context, server: ObjectServer, bucket: str, format_: str
) -> None:
    path = f"s3://{bucket}/out/é a=1/x.{format_}"
    written = write(ctx, f"filesystem.{format_}_writer", "SELECT range AS a, '05' AS b FROM range(3)", path=path)
    [content] = [server.get(f"{bucket}/out/%C3%A9%20a%3D1/x.{format_}")]
    [file] = written.files
    assert (written.rows, file.path) == (3, path)
    assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    back = read(ctx, f"filesystem.{format_}_extractor", path=path)
    assert text_rows(ctx, back.rows) == [("0", "05"), ("1", "05"), ("2", "05")]
    assert not (ctx.work_dir / "upload").exists()


def test_packed_objects_and_hive_folders_are_read(ctx: Context, server: ObjectServer, bucket: str) -> None:
    for month in ("04", "05"):
        server.put(f"{bucket}/in/month={month}/a.csv.gz", gzip.compress(b"a\n1\n"))
    produced = read(ctx, CSV, path=f"s3://{bucket}/in/*/*.csv.gz", hive=True)
    assert text_rows(ctx, produced.rows) == [("1", "04"), ("1", "05")]


KEYS = [
    "a.csv",
    "100% %41.csv",
    "b.txt",
    "d/a.csv",
    "d/e/a.csv",
    "d/.hid/a.csv",
    ".h.csv",
    "d/[x].csv",
    "d/x.csv",
    "é/a.csv",
]
PATTERNS = ["*.csv", "*/*.csv", "**/*.csv", "d/**", "**", "d/[ae].csv", "d/[[]x].csv", "?.csv", "d/**/a.*", "é/*", ".*"]


def test_a_pattern_means_the_same_objects_as_it_means_files(ctx: Context, server: ObjectServer, bucket: str) -> None:
    disk = ctx.project_root / "disk"
    for key in KEYS:
        server.put(f"{bucket}/{quote(key)}", key.encode())
        (disk / key).parent.mkdir(parents=True, exist_ok=True)
        (disk / key).write_text(key)
    for pattern in PATTERNS:
        names = glob.glob(pattern, root_dir=disk, recursive=True)  # noqa: PTH207 - what the local paths go by
        expected = sorted({name for name in names if (disk / name).is_file()})
        fetched = fetch_objects(ctx, ObjectPath(scheme="s3", bucket=bucket, key=pattern))
        assert [Path(file).read_text() for file in fetched] == expected, pattern


def test_an_empty_object_and_one_of_several_pieces_are_fetched_whole(
    ctx: Context, server: ObjectServer, bucket: str
) -> None:
    contents = {"empty": b"", "exact": os.urandom(8 * MIB), "more": os.urandom(17 * MIB + 1)}
    for key, content in contents.items():
        server.put(f"{bucket}/{key}", content)
        [file] = fetch_objects(ctx, ObjectPath(scheme="s3", bucket=bucket, key=key))
        assert Path(file).read_bytes() == content


MEASURED = """
    import resource, sys
    from pathlib import Path
    from osiris.components.object_files import fetch_objects, uploading
    from osiris.components.object_stores import ObjectPath
    from tests.components.reading import Context

    ctx = Context(Path(sys.argv[1]))
    ctx.connection = dict(endpoint=sys.argv[2], access_key_id="a", secret_access_key="b", allow_http=True)
    path = ObjectPath(scheme="s3", bucket=sys.argv[3], key=sys.argv[4])
    size = int(sys.argv[5]) << 20
    with uploading(ctx, path) as file, file.open("wb") as opened:
        opened.truncate(size)
    [fetched] = fetch_objects(ctx, path)
    assert Path(fetched).stat().st_size == size
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_an_object(server: ObjectServer, bucket: str, tmp_path: Path) -> None:
    def peak_mib(size_mib: int) -> int:
        arguments = [str(tmp_path), server.endpoint, bucket, f"o{size_mib}", str(size_mib)]
        command = [sys.executable, "-c", textwrap.dedent(MEASURED), *arguments]
        done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
        return int(done.stdout)

    # A part for each that is sent at once, and as much again for what the libraries keep of them.
    assert peak_mib(256) < peak_mib(1) + 80


class Meddling(NeverCancelled):
    """Something happens when a component asks for the second time whether it is cancelled."""

    def __init__(self, then: Any) -> None:
        self._asked = 0
        self._then = then

    @property
    def cancelled(self) -> bool:  # type: ignore[override]
        self._asked += 1
        return bool(self._asked == 2 and self._then())


def test_an_object_that_is_replaced_while_it_is_read_is_an_error(
    ctx: Context, server: ObjectServer, bucket: str
) -> None:
    server.put(f"{bucket}/big.csv", b"a\n" + b"1\n" * (5 * MIB))
    ctx.cancel = Meddling(lambda: server.put(f"{bucket}/big.csv", b"a\n" + b"2\n" * (5 * MIB)))
    assert failure(ctx, f"s3://{bucket}/big.csv").code == "extract.changed"


def test_an_upload_that_is_stopped_leaves_the_old_object_and_no_unfinished_upload(
    ctx: Context, server: ObjectServer, bucket: str
) -> None:
    server.put(f"{bucket}/out.csv", b"old")
    begun: list[list[str]] = []

    def stop() -> bool:
        begun.append(server.uploads(bucket))
        return True

    asked = Meddling(lambda: False)
    asked._asked = -6  # so late that parts are on their way
    asked._then = stop
    ctx.cancel = asked
    with pytest.raises(OsirisError) as stopped:
        write(ctx, TARGET, f"SELECT repeat('x', {MIB}) AS a FROM range(100)", path=f"s3://{bucket}/out.csv")
    assert stopped.value.code == "runtime.cancelled"
    assert begun == [["out.csv"]]
    assert server.get(f"{bucket}/out.csv") == b"old"
    assert server.uploads(bucket) == []


def test_a_large_object_is_uploaded_in_parts(ctx: Context, server: ObjectServer, bucket: str) -> None:
    path = f"s3://{bucket}/out.csv"
    written = write(ctx, TARGET, f"SELECT repeat('x', {MIB}) AS a FROM range(30)", path=path)
    content = server.get(f"{bucket}/out.csv")
    assert written.files[0].sha256 == hashlib.sha256(content).hexdigest()
    assert server.uploads(bucket) == []


def test_a_failed_statement_uploads_nothing(ctx: Context, server: ObjectServer, bucket: str) -> None:
    with pytest.raises(Exception, match="boom"):
        write(ctx, TARGET, "SELECT error('boom') AS a", path=f"s3://{bucket}/out.csv")
    assert server.keys(bucket) == server.uploads(bucket) == []


def test_a_missing_object_is_an_error_that_names_near_misses(ctx: Context, server: ObjectServer, bucket: str) -> None:
    server.put(f"{bucket}/in/orders.csv", b"a\n1\n")
    missing = failure(ctx, f"s3://{bucket}/in/order.csv")
    assert (missing.code, missing.hint) == ("extract.file_missing", "Did you mean orders.csv?")
    assert failure(ctx, f"s3://{bucket}/in/*.json").code == "extract.file_missing"


@pytest.mark.parametrize("key", ["x.csv", "*.csv"])
def test_a_missing_bucket_is_an_error(ctx: Context, key: str) -> None:
    missing = failure(ctx, f"s3://no-such-bucket/{key}")
    assert (missing.code, missing.problem) == ("connection.no_bucket", "there is no bucket s3://no-such-bucket")
    with pytest.raises(OsirisError) as failed:
        write(ctx, TARGET, "SELECT 1 AS a", path="s3://no-such-bucket/x.csv")
    assert failed.value.code == "connection.no_bucket"


@pytest.mark.parametrize("key", ["x.csv", "*.csv"])
def test_keys_that_are_not_known_are_an_error(ctx: Context, server: ObjectServer, bucket: str, key: str) -> None:
    server.check_keys_after("0")
    try:
        assert failure(ctx, f"s3://{bucket}/{key}").code == "connection.refused"
        with pytest.raises(OsirisError) as failed:
            write(ctx, TARGET, "SELECT 1 AS a", path=f"s3://{bucket}/x.csv")
        assert failed.value.code == "connection.refused"
    finally:
        server.check_keys_after("inf")


def test_an_endpoint_that_is_down_is_an_error(ctx: Context) -> None:
    with object_server() as another:
        ctx.connection = another.connection
    assert failure(ctx, "s3://lake/x.csv").code == "connection.unreachable"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"allow_http": False}, "its endpoint is http://, and allow_http is not true"),
        ({"acces_key": "x"}, "unknown field `acces_key`"),
        ({"secret_access_key": ""}, "access_key_id and secret_access_key go together"),
        ({"allow_http": "perhaps"}, "Expected `bool`"),
    ],
)
def test_a_connection_that_cannot_be_right_is_an_error(ctx: Context, change: dict[str, object], words: str) -> None:
    ctx.connection = {**(ctx.connection or {}), **change}
    wrong = failure(ctx, "s3://lake/x.csv")
    assert wrong.code == "connection.invalid"
    assert words in wrong.problem
    assert "access_key_id" in wrong.hint


def test_without_a_connection_the_environment_says_how(
    ctx: Context, server: ObjectServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(f"{bucket}/x.csv", b"a\n1\n")
    for name, value in {"ENDPOINT": server.endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    ctx.connection = None
    assert text_rows(ctx, read(ctx, CSV, path=f"s3://{bucket}/x.csv").rows) == [("1",)]


def test_keys_of_a_connection_are_not_mixed_with_those_of_the_environment(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            seen.append(str(self.headers))
            self.send_error(403)

        def log_message(self, *args: object) -> None: ...

    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-the-environment")
    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as listener:
        threading.Thread(target=listener.serve_forever).start()
        ctx.connection = {**(ctx.connection or {}), "endpoint": f"http://127.0.0.1:{listener.server_port}"}
        assert failure(ctx, "s3://lake/x.csv").code == "connection.refused"
        listener.shutdown()
    assert "AKIAOFTHETESTS" in seen[0]
    assert "of-the-environment" not in seen[0]


def test_without_the_extra_an_error_names_it(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(OsirisError) as missing:
        read(ctx, CSV, path="s3://lake/x.csv")
    assert missing.value.code == "connection.extra_missing"
    assert "osiris[objects]" in missing.value.hint


def test_a_folder_in_an_object_store_is_refused(ctx: Context) -> None:
    with pytest.raises(OsirisError, match="cannot be replaced as a whole"):
        write(ctx, TARGET, "SELECT 1 AS a, 2 AS b", path="s3://lake/out", partition_by=["a"])


@pytest.mark.parametrize("path", ["s3://", "s3://lake", "s3://lake/", "gs:///x", "az://c/a//b", "s3://lake/../x"])
def test_a_path_that_names_no_object_is_an_error(path: str) -> None:
    with pytest.raises(OsirisError, match="does not name an object"):
        parse_object_path(path)


@pytest.mark.parametrize(
    ("path", "connection", "shown"),
    [
        ("gs://lake/x", {"anonymous": True}, 'GCSStore(bucket="lake")'),
        (
            "az://box/x",
            {"account_name": "acme", "account_key": "a2V5"},
            'AzureStore(container_name="box", account_name="acme")',
        ),
        (
            "az://box/x",
            {"account_name": "acme", "sas_token": "sv=1&sig=abc"},
            'AzureStore(container_name="box", account_name="acme")',
        ),
    ],
)
def test_other_stores_are_opened_with_their_connection(
    ctx: Context, path: str, connection: dict[str, object], shown: str
) -> None:
    ctx.connection = connection
    found = parse_object_path(path)
    assert found is not None
    assert repr(open_store(ctx, found)) == shown


@pytest.mark.parametrize(
    ("path", "connection", "code"),
    [
        ("gs://lake/x", {"service_account_key": "no JSON"}, "connection.refused"),
        ("gs://lake/x", {"service_account_path": "nowhere.json"}, "connection.refused"),
        ("gs://lake/x", {"account_name": "acme"}, "connection.invalid"),
        ("az://box/x", {"account_name": "acme", "endpoint": "http://x"}, "connection.invalid"),
        ("az://box/x", {}, "connection.refused"),
    ],
)
def test_settings_that_another_store_cannot_use_are_an_error(
    ctx: Context, path: str, connection: dict[str, object], code: str
) -> None:
    ctx.connection = connection
    found = parse_object_path(path)
    assert found is not None
    with pytest.raises(OsirisError) as refused:
        open_store(ctx, found)
    assert refused.value.code == code
