"""Connections are tried at once, within their time, and what is said of them holds no secret of any."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from osiris import families
from osiris.clock import SystemClock
from osiris.connections import usability
from osiris.connections.discovery import discover
from osiris.connections.doctor import Diagnosis, examine
from osiris.connections.file import load_connections
from osiris.connections.variables import Variables
from osiris.errors import OsirisError
from osiris.families.base import Check, ConnectionField, FamilySpec, Values, checked

PASSWORD = "hunter2-pl3ase"  # noqa: S105


def _check(values: Values, root: Path, timeout_s: float) -> Iterator[Check]:
    """A server that takes connections and says something, or never does."""

    def reach() -> str:
        connection = socket.create_connection(("127.0.0.1", int(values["port"])), timeout=60)
        with connection:
            return connection.recv(100).decode()

    def sign_in() -> str:
        raise OsirisError(f"wrong password {values['password']}", f"Not {values['password']}.", code="connection.auth")

    yield checked("reach", reach)
    yield checked("sign in", sign_in)


@pytest.fixture
def talking(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tests.connections.talking_family")
    fields = (
        ConnectionField(name="port", description="p"),
        ConnectionField(name="password", description="p", secret=True),
    )
    module.SPEC = FamilySpec(name="talking", title="Talking", fields=fields)  # type: ignore[attr-defined]
    module.check = _check  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(families.FAMILIES, "talking", module.__name__)
    families.find_family.cache_clear()


def examined(folder: Path, ports: list[int], timeout_s: float) -> list[Diagnosis]:
    body = "".join(f"    c{n}: {{port: {port}, password: '${{PW}}'}}\n" for n, port in enumerate(ports))
    (folder / "osiris_connections.yaml").write_text(f"connections:\n  talking:\n{body}", "utf-8")
    connections = load_connections(folder).all()
    return examine(connections, Variables(folder, {"PW": PASSWORD}), folder, timeout_s)


@pytest.mark.usefixtures("talking")
def test_one_that_hangs_keeps_nobody_else_and_is_a_failed_check(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as server:
        answer = threading.Thread(target=lambda: server.accept()[0].sendall(b"hello"))
        answer.start()
        ports = [silent.getsockname()[1]] * 20 + [server.getsockname()[1]]
        *hanging, talking = examined(tmp_path, ports, 0.5)
        answer.join()
    assert {(each.status, each.checks[-1].name, each.checks[-1].code) for each in hanging} == {
        ("failed", "reach", "connection.timeout")
    }
    assert [(check.name, check.ok) for check in talking.checks] == [("reach", True), ("sign in", False)]
    assert talking.checks[0].detail == "hello"


@pytest.mark.usefixtures("talking")
def test_what_a_driver_says_is_scrubbed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = threading.Thread(target=lambda: server.accept()[0].sendall(PASSWORD.encode()))
        answer.start()
        [found] = examined(tmp_path, [server.getsockname()[1]], 30)
        answer.join()
    reach, sign_in = found.checks
    assert (reach.detail, sign_in.problem, sign_in.hint) == ("***", "wrong password ***", "Not ***.")


@pytest.mark.usefixtures("talking")
def test_a_family_that_has_no_tables_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "osiris_connections.yaml").write_text("connections: {talking: {default: {port: 1}}}\n", "utf-8")
    [connection] = load_connections(tmp_path).all()
    with pytest.raises(OsirisError) as raised:
        discover(connection, Variables(tmp_path, {}), tmp_path, tmp_path, SystemClock(), refresh=False)
    assert raised.value.code == "discover.nothing_to_list"


def test_an_extra_whose_package_is_missing_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "osiris_connections.yaml").write_text("connections: {sqlite: {default: {path: x}}}\n", "utf-8")
    [connection] = load_connections(tmp_path).all()
    assert usability.look_at(connection, Variables(tmp_path, {})).usable
    monkeypatch.setattr(
        usability, "requires", lambda _: ["click>=8", "no-such-thing>=1; extra == 'sqlite'", "b; extra == 'x'"]
    )
    found = usability.look_at(connection, Variables(tmp_path, {}))
    assert found.problems == ("no-such-thing is not installed: pip install 'osiris[sqlite]'",)
