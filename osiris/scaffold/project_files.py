"""The files of a new project: their paths, relative to its root and with ``/``, and their text."""

from __future__ import annotations

from importlib.resources import files

from osiris.scaffold.daylight import sun_csv

CONFIG_PATH = "osiris.yaml"
IGNORE_PATH = ".gitignore"


def template(name: str) -> str:
    """The text of one file in ``templates/``."""
    return (files("osiris.scaffold") / "templates" / name).read_text(encoding="utf-8")


def project_files(*, example: bool) -> dict[str, str]:
    """Path and text of every file, in the order in which they should be written.

    ``osiris.yaml`` comes last, for it is what makes a folder a project.
    """
    content = example_files() if example else {"data/.gitkeep": "", "pipelines/.gitkeep": ""}
    return {
        **content,
        IGNORE_PATH: template("gitignore"),
        "osiris_connections.yaml": template("osiris_connections.yaml"),
        CONFIG_PATH: template("osiris.yaml"),
    }


def example_files() -> dict[str, str]:
    """The pipeline ``daylight`` and the two tables that it reads; the larger one is computed here, within a second."""
    cities = template("cities.csv")
    return {
        "data/cities.csv": cities,
        "data/sun.csv": sun_csv(cities),
        "pipelines/daylight.yaml": template("daylight.yaml"),
    }
