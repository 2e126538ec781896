"""The example compiles as it stands, and its steps give what its comments promise."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import msgspec
import pytest

from osiris.canonical import sha256_file
from osiris.compiler.project_build import CompileRequest, PipelineBuild, build_pipeline
from osiris.components import find_component
from osiris.components.base import Produced, quote_identifier
from osiris.project import open_project
from osiris.scaffold.init import init_project
from tests.components.reading import Context

BY_CITY = "out/daylight_by_city.csv"
BY_MONTH = "out/daylight_by_month.parquet"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    init_project(tmp_path, example=True, git=False)
    return tmp_path


def build(root: Path, profile: str = "dev", **params: str) -> PipelineBuild:
    return build_pipeline(
        open_project(root, {}), CompileRequest(reference="daylight", profile=profile, params=params, environ={})
    )


def execute(root: Path, built: PipelineBuild) -> list[dict[str, str]]:
    """Run every step in order and return the rows of the CSV output."""
    bench = Context(root)
    for step in built.manifest.steps:
        component = find_component(step.component)
        assert component is not None
        bench.step_id = step.id
        cfg = (root / built.manifest_path).parent / step.config
        config = msgspec.convert(msgspec.json.decode(cfg.read_bytes()), component.config_type)
        names = step.tables if step.mode == "transform" else step.inputs
        sources = names if step.mode == "transform" else {source: name for name, source in names.items()}
        inputs = {name: bench.con.table(quote_identifier(source)) for source, name in sources.items()}
        result = component.run(bench, config, inputs)
        if isinstance(result, Produced):
            result.rows.create(step.id)
    bench.con.close()
    with (root / BY_CITY).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_example_compiles_in_every_profile_and_the_profile_binds_its_parameter(root: Path) -> None:
    assert build(root).manifest.params == {"hemisphere": "both", "min_latitude": 0.0}
    assert build(root, profile="prod").manifest.params == {"hemisphere": "both", "min_latitude": 23.44}
    assert build(root).manifest.pipeline.intent


def test_the_joined_rows_feed_two_steps_and_two_files_are_written(root: Path) -> None:
    steps = build(root).manifest.steps
    assert sorted(step.id for step in steps if "days" in step.needs) == ["by-city", "by-month"]
    assert sum(step.mode == "write" for step in steps) == 2


def test_the_example_has_a_row_for_each_place_beginning_with_the_longest_nights(root: Path) -> None:
    rows = execute(root, build(root))
    assert len(rows) == 108
    assert [row["city"] for row in rows[:4]] == ["South Pole Station", "Alert", "Ny-Ålesund", "Longyearbyen"]
    assert rows[0]["city_id"] == "00108"  # text stays text, with its zeros
    assert rows[0]["in_words"] == "one day and one night a year"
    assert rows[1]["january_to_december"] == "▁▁▄█████▆▁▁▁"
    london = next(row for row in rows if row["city"] == "London")
    assert (london["longest_hours"], london["shortest_hours"]) == ("16.64", "7.83")
    assert london["shortest_day"].startswith("2024-12-2")
    assert {row["in_words"] for row in rows if row["city"] in {"Quito", "Singapore"}} == {"every day is like the other"}
    with duckdb.connect() as con:
        assert con.execute("SELECT count(*) FROM read_parquet(?)", [str(root / BY_MONTH)]).fetchall() == [(12 * 5,)]


def test_two_runs_of_the_example_give_the_same_bytes(root: Path) -> None:
    digests = []
    for _ in range(2):
        execute(root, build(root))
        digests.append([sha256_file(root / BY_CITY), sha256_file(root / BY_MONTH)])
    assert digests[0] == digests[1]


def test_parameters_choose_the_places(root: Path) -> None:
    south = execute(root, build(root, hemisphere="south", min_latitude="50"))
    assert [row["city"] for row in south] == ["South Pole Station", "McMurdo Station", "Ushuaia", "Punta Arenas"]
