"""Who takes part, how each is installed, and what one run of it is called."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PROJECTS = Path(__file__).parent / "projects"


class Contestant(NamedTuple):
    """``requirements`` go into an environment of its own; ``command`` runs in a copy of its project.

    ``{bin}`` in the command is the environment's folder of programs. No requirements: this environment.
    """

    name: str
    requirements: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str] = {}


CONTESTANTS = (
    Contestant("bare DuckDB", (), ("{bin}/python", "job.py")),
    Contestant("osiris", (), ("{bin}/osiris", "run", "orders")),
    Contestant("duckle", ("duckle>=0.7",), ("{bin}/python", "job.py")),
    Contestant(
        "dbt-duckdb",
        ("dbt-core>=1.8,<1.11", "dbt-duckdb>=1.8"),
        ("{bin}/dbt", "run", "--profiles-dir", "."),
        {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    ),
    Contestant(
        "dlt",
        ("dlt[duckdb]>=1.4", "pyarrow>=15"),
        ("{bin}/python", "job.py"),
        {"RUNTIME__DLTHUB_TELEMETRY": "false"},
    ),
    Contestant(
        "Dagster",
        ("dagster>=1.8", "duckdb>=1.5"),
        ("{bin}/dagster", "asset", "materialize", "--select", "*", "-f", "job.py"),
        {"DAGSTER_HOME": "{project}", "DAGSTER_DISABLE_TELEMETRY": "yes"},
    ),
    Contestant(
        "Prefect",
        ("prefect>=3.1", "duckdb>=1.5", "fastapi<0.150"),
        ("{bin}/python", "job.py"),
        {"PREFECT_HOME": "{project}/.prefect", "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
    ),
    Contestant(
        "Kedro with Polars",
        ("kedro>=1.0", "kedro-datasets[polars-lazypolarsdataset,polars-csvdataset]>=4", "polars>=1"),
        ("{bin}/kedro", "run"),
        {"KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"},
    ),
)
