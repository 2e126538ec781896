"""Whatever stands in a project's files: findings with places or a build, never anything else. See ``documents``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.compiler.build import verify_build
from osiris.compiler.project_build import CompileRequest, build_pipeline, compile_source
from osiris.connections.file import load_connections
from osiris.errors import ExitCode, Finding, OsirisError
from osiris.project import Project, open_project
from tests.cli.shop import ORDERS, new_shop
from tests.compiler.pipelines import ORDERS as WITH_EVERYTHING
from tests.faults.documents import SECRET, is_inside, mutants, torn

CONNECTIONS = """\
connections:
  postgres:
    main: {default: true, host: localhost, port: 5432, user: ada, password: "${PGPASSWORD}", database: shop}
    old: {dsn: "postgresql://ada:${OLD_PASSWORD:-x}@localhost/old"}
  x-own: {note: ours}
"""
PIPELINES = [
    ORDERS,
    WITH_EVERYTHING.replace(', limit: "${params.limit}"', ""),
    WITH_EVERYTHING.replace(', limit: "${params.limit}"', "").replace("needs: [extract-orders]", "x-note: no"),
]
ANY_PIPELINE = mutants(PIPELINES) | torn(PIPELINES) | st.binary(max_size=300)
ANY_CONNECTIONS = mutants([CONNECTIONS]) | torn([CONNECTIONS]) | st.binary(max_size=300)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return open_project(new_shop(tmp_path_factory.mktemp("hostile") / "shop").root, {})


def findings_of(error: OsirisError) -> tuple[Finding, ...]:
    assert error.exit_code == ExitCode.USAGE
    return error.findings


def check_findings(findings: tuple[Finding, ...], content: bytes) -> None:
    assert findings
    for found in findings:
        assert is_inside(found.line, found.column, content), found
        assert found.problem
        assert found.hint
        assert len((found.problem + found.hint).splitlines()) <= 2
        assert SECRET not in found.problem + found.hint


def check_pipeline(project: Project, content: bytes) -> bool:
    """What validates compiles, to a whole build; what does not leaves none, and says why. True where it did."""
    source = project.path("pipelines/orders.yaml")
    source.write_bytes(content)
    request = CompileRequest(reference="orders", profile="dev")
    before = set(project.path(".").glob("build/pipelines/*/*/*"))
    try:
        manifest = compile_source(project, source, request).manifest
    except OsirisError as error:
        check_findings(findings_of(error), content)
        with pytest.raises(OsirisError):
            build_pipeline(project, request)
        assert set(project.path(".").glob("build/pipelines/*/*/*")) == before
        return False
    build = build_pipeline(project, request)
    assert build.manifest == manifest
    folder = project.path(build.manifest_path).parent
    assert verify_build(folder) == []
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in folder.rglob("*.*"))
    return True


def check_connections(folder: Path, content: bytes) -> None:
    (folder / "osiris_connections.yaml").write_bytes(content)
    try:
        warnings = load_connections(folder).warnings
    except OsirisError as error:
        check_findings(findings_of(error), content)
    else:
        assert all(is_inside(found.line, found.column, content) for found in warnings)


@pytest.mark.parametrize("text", PIPELINES)
def test_the_pipelines_that_are_mutated_are_good(project: Project, text: str) -> None:
    assert check_pipeline(project, text.encode())


@given(content=ANY_PIPELINE)
@settings(max_examples=150)
def test_any_pipeline_file_compiles_or_is_refused_with_places(project: Project, content: bytes) -> None:
    check_pipeline(project, content)


@given(content=ANY_CONNECTIONS)
@settings(max_examples=100)
def test_any_connections_file_is_read_or_refused_with_places(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    check_connections(tmp_path_factory.getbasetemp(), content)


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(content=ANY_PIPELINE)
@settings(max_examples=3_000)
def test_any_pipeline_file_compiles_or_is_refused_three_thousand_times(project: Project, content: bytes) -> None:
    check_pipeline(project, content)


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(content=ANY_CONNECTIONS)
@settings(max_examples=3_000)
def test_any_connections_file_is_read_or_refused_three_thousand_times(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    check_connections(tmp_path_factory.getbasetemp(), content)


HOSTILE_FILES = {
    "nothing": b"",
    "NULs": b"\0" * 4_000,
    "UTF-16": ORDERS.encode("utf-16"),
    "latin": ORDERS.replace("orders", "commandes été").encode("latin-1"),
    "BOM and CRLF": b"\xef\xbb\xbf" + ORDERS.replace("\n", "\r\n").encode(),
    "deep": b"[" * 100_000,
    "large": b"# " + b"x" * (2 << 20),
    "a secret": ORDERS.replace("data/orders.csv", f"pg://u:{SECRET}@h/d").encode(),
    "a lone surrogate": ORDERS.replace("name: orders", 'name: "\\ud800"').encode(),
    "a number of 5000 digits": ORDERS.replace("default: 0", f"default: {'9' * 5_000}").encode(),
}


def test_the_command_ends_with_0_or_2_and_one_document_whatever_the_file_holds(tmp_path: Path) -> None:
    shop = new_shop(tmp_path / "shop")
    for number, content in enumerate(HOSTILE_FILES.values()):
        shop.write(f"pipelines/p{number}.yaml", content)
    validated = shop.run("oml", "validate", *(f"p{n}" for n in range(len(HOSTILE_FILES))), "--json", check=2)
    valid = [name for name, file in zip(HOSTILE_FILES, validated.json["files"], strict=True) if file["valid"]]
    assert valid == ["BOM and CRLF"]
    for file, content in zip(validated.json["files"], HOSTILE_FILES.values(), strict=True):
        assert all(is_inside(error["line"], error["column"], content) for error in file["errors"])
    assert SECRET not in validated.out + validated.err
    commands = [("compile", f"p{number}", "--json") for number in range(len(HOSTILE_FILES))]
    for name, result in zip(HOSTILE_FILES, shop.all(*commands, check=None), strict=True):
        assert result.code == (0 if name in valid else 2), result.err
        assert ("error" in result.json) == (name not in valid)
