"""From the name of a pipeline to its file in the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from osiris.compiler.project_build import CompileRequest, build_pipeline, find_source
from osiris.errors import ExitCode, OsirisError
from osiris.ledger.queries import list_pipelines
from osiris.project import Project, open_project
from tests.cli.shop import ORDERS, new_shop


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return open_project(new_shop(tmp_path / "shop").root, {})


def source_of(project: Project, reference: str) -> str:
    build = build_pipeline(project, CompileRequest(reference=reference, profile="dev", record_again=True))
    recorded = list_pipelines(project.ledger)["orders"].last_compile["dev"].source_path
    assert build.source_path == recorded
    return recorded


def refused(project: Project, reference: str) -> OsirisError:
    with pytest.raises(OsirisError) as caught:
        build_pipeline(project, CompileRequest(reference=reference, profile="dev"))
    assert caught.value.exit_code == ExitCode.USAGE
    assert not project.path("build").exists()
    return caught.value


def test_a_file_that_gives_no_slug_stops_only_those_who_ask_for_it(project: Project) -> None:
    names = ["日本.yaml", "_.yml", "x" * 200 + ".yaml"]
    for name in names:
        project.path(f"pipelines/{name}").write_text(ORDERS)
    for name in names:
        assert refused(project, f"pipelines/{name}").code.startswith("layout.")
    assert source_of(project, "orders") == "pipelines/orders.yaml"


@pytest.mark.parametrize("reference", ["x" * 300, "pipelines/" + "x" * 300 + ".yaml", "x/" * 3000])
def test_a_name_that_no_file_can_have_is_a_pipeline_that_is_missing(project: Project, reference: str) -> None:
    assert refused(project, reference).code == "oml.missing"


def test_a_pipeline_outside_the_project_is_refused(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(ORDERS)
    for reference in (str(elsewhere), "../elsewhere.yaml", "pipelines/../../elsewhere.yaml"):
        error = refused(project, reference)
        assert error.code == "oml.elsewhere"
        assert "pipelines/" in error.hint


def test_the_recorded_source_is_relative_however_the_file_was_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(project.root)
    monkeypatch.chdir(project.path("data"))
    for reference in (
        "../pipelines/orders.yaml",
        "pipelines/orders.yaml",
        str(project.path("pipelines/orders.yaml")),
        str(tmp_path / "link" / "pipelines" / "orders.yaml"),
    ):
        assert source_of(project, reference) == "pipelines/orders.yaml"


def test_a_folder_of_pipelines_may_be_a_link_out_of_the_project(project: Project, tmp_path: Path) -> None:
    project.path("pipelines").rename(tmp_path / "shared")
    project.path("pipelines").symlink_to(tmp_path / "shared")
    assert source_of(project, "pipelines/orders.yaml") == "pipelines/orders.yaml"


def test_a_file_of_the_project_wins_over_one_here_that_is_not(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "orders.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_source(project, "pipelines/orders.yaml") == project.path("pipelines/orders.yaml")
