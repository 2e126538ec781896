"""References in a pipeline: checked at their place, kept as they are, and no part of other builds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from osiris.compiler.fingerprints import component_fingerprint
from osiris.compiler.oml import Bindings
from osiris.compiler.validate import Validation, validate_pipeline
from osiris.documents import load_document
from tests.compiler.pipelines import component, pipeline, registry, write

FILE = """\
connections:
  acme:
    main: {default: true, host: h, code: "${CODE}"}
    open: {host: h, code: in-the-clear}
  other:
    default: {host: h}
"""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    connection: str = ""


VALUE = (4, len("  - {id: a, component: acme.source, mode: read, config: {connection: ") + 1)


def source(config: str) -> str:
    return f"{{id: a, component: acme.source, mode: read, config: {config}}}"


def check(folder: Path, config: str, file: str = FILE, head: str = "") -> Validation:
    (folder / "osiris_connections.yaml").write_text(file)
    acme = component("acme.source", Source, "read", connection_family="acme", secret_fields=("code",))
    text = pipeline(source(config), write("b"), head=head)
    root = load_document(text, "p.yaml")
    return validate_pipeline(root, "p.yaml", Bindings(connections=folder), registry(acme))


@pytest.mark.parametrize(
    "config", ["{}", "{connection: '@acme.main'}", "{connection: ''}", "{connection: '@acme.${params.a}'}"]
)
def test_a_reference_to_a_connection_compiles_without_its_variables(tmp_path: Path, config: str) -> None:
    head = "params: {a: {type: string, default: main}}"
    assert check(tmp_path, config, head=head).errors == ()


@pytest.mark.parametrize(
    ("config", "place", "words"),
    [
        ("{connection: acme.main}", VALUE, "does not name a connection"),
        ("{connection: '@other.default'}", VALUE, "is a connection of other"),
        ("{connection: '@acme.mian'}", VALUE, "has no connection @acme.mian"),
        ("{connection: '@acme.open'}", (4, 27), "connections.acme.open.code: a secret stands here in the clear"),
    ],
)
def test_a_wrong_reference_is_an_error_at_its_place(
    tmp_path: Path, config: str, place: tuple[int, int], words: str
) -> None:
    (error,) = check(tmp_path, config).errors
    assert words in error.problem
    assert (error.line, error.column) == place
    assert "in-the-clear" not in repr(error)


def test_a_family_without_a_default_asks_for_a_name(tmp_path: Path) -> None:
    (error,) = check(tmp_path, "{}", FILE.replace("default: true, ", "")).errors
    assert "no connection is named" in error.problem
    assert "@acme.main, @acme.open" in error.hint


def test_what_is_wrong_with_the_connections_is_reported_where_it_stands(tmp_path: Path) -> None:
    (error,) = check(tmp_path, "{}", "connections: {acme: {main: {password: abc}}}").errors
    assert error.path == "osiris_connections.yaml"
    warned = check(tmp_path, "{}", FILE + "oops: 1\n").warnings
    assert [(found.path, found.problem) for found in warned] == [("osiris_connections.yaml", "unknown key 'oops'")]


def test_connections_are_not_read_where_no_component_uses_one(tmp_path: Path) -> None:
    (tmp_path / "osiris_connections.yaml").write_text("]")
    text = pipeline("{id: a, component: filesystem.csv_extractor, mode: read, config: {path: a}}", write("b"))
    root = load_document(text, "p.yaml")
    assert validate_pipeline(root, "p.yaml", Bindings(connections=tmp_path), registry()).errors == ()


def test_the_family_is_part_of_a_fingerprint_only_where_there_is_one() -> None:
    plain, using = (component("x", Source, "read", **more) for more in ({}, {"connection_family": "acme"}))
    assert component_fingerprint(plain) != component_fingerprint(using)
    # As it was before there were connections; the golden build holds the same promise for the built-in components.
    assert component_fingerprint(plain) == "f8b155fdb2156c4900822e2467c3f5d49ce12aace9d095a2e0a75b0c55f50714"
