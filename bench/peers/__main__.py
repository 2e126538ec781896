"""Run the job through every contestant in turn and print one table: wall, CPU and memory of the whole process tree.

``python -m bench.peers --rows 1000000 --rows 10000000``. Each contestant gets an environment and a copy of its project
in the work folder, both kept for the next time. One run of each is not counted; what is shown are medians of the
others, taken in turns, so that a machine whose speed drifts slows all down alike. A contestant whose result differs is
shown with what is wrong and without figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from bench.pairs import Cost, run_process
from bench.peers.contestants import CONTESTANTS, PROJECTS, Contestant
from bench.peers.job import SOURCE, TARGET, Totals, make_source, read_totals


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", help="how many orders; may be given again")
    parser.add_argument("--only", action="append", help="a contestant; may be given again (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "osiris-peers")
    given = parser.parse_args()
    contestants = [one for one in CONTESTANTS if not given.only or one.name in given.only]
    for one in contestants:
        install(one, given.work)
    for rows in given.rows or [1_000_000, 10_000_000]:
        compare(contestants, rows, given.rounds, given.work)


def install(contestant: Contestant, work: Path) -> None:
    """Make its environment and its project, unless they stand."""
    project = project_of(contestant, work)
    shutil.copytree(PROJECTS / slug(contestant), project, dirs_exist_ok=True)
    (project / "out").mkdir(exist_ok=True)
    environment = work / "environments" / slug(contestant)
    marker = environment / "requirements"
    if not contestant.requirements or (marker.exists() and marker.read_text() == "\n".join(contestant.requirements)):
        return
    venv.create(environment, with_pip=True, clear=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", *contestant.requirements]
    subprocess.run(pip, check=True)
    marker.write_text("\n".join(contestant.requirements))


def compare(contestants: Sequence[Contestant], rows: int, rounds: int, work: Path) -> None:
    """One table."""
    wanted: Totals | None = None
    costs: dict[str, list[Cost]] = {one.name: [] for one in contestants}
    wrong: dict[str, str] = {}
    for turn in range(rounds + 1):
        for one in (one for one in contestants if one.name not in wrong):
            project = project_of(one, work)
            make_source(work / "data" / "orders.csv", rows)
            (project / SOURCE).parent.mkdir(exist_ok=True)
            (project / SOURCE).unlink(missing_ok=True)
            (project / SOURCE).hardlink_to(work / "data" / "orders.csv")
            (project / TARGET).unlink(missing_ok=True)
            try:
                cost = run(one, work)
                totals = read_totals(project / TARGET)
            except (RuntimeError, OSError, ArithmeticError, KeyError) as failure:
                wrong[one.name] = str(failure).splitlines()[0][:80] or type(failure).__name__
                continue
            wanted = wanted or totals
            if totals != wanted:
                wrong[one.name] = "its result differs"
            elif turn:
                costs[one.name].append(cost)
    print(f"\n{rows:,} rows, median of {rounds}")
    print(f"{'':20} {'wall s':>8} {'CPU s':>8} {'MiB':>8}   beside the first")
    floor = statistics.median(cost.wall_s for cost in costs[contestants[0].name])
    for name, measured in costs.items():
        if name in wrong:
            print(f"{name:20} {wrong[name]}")
            continue
        wall, cpu, memory = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{name:20} {wall:8.2f} {cpu:8.2f} {memory:8.0f}   {wall / floor:5.2f} x")


def run(contestant: Contestant, work: Path) -> Cost:
    """Run it once. Raises ``RuntimeError`` with its last words where it fails."""
    project = project_of(contestant, work)
    programs = work / "environments" / slug(contestant) / "bin"
    folder = programs if contestant.requirements else Path(sys.executable).parent
    command = [part.format(bin=folder) for part in contestant.command]
    more = {name: value.format(project=project) for name, value in contestant.environment.items()}
    return run_process(command, project, {**os.environ, **more})


def project_of(contestant: Contestant, work: Path) -> Path:
    """Where its copy of the project is."""
    return work / "projects" / slug(contestant)


def slug(contestant: Contestant) -> str:
    """Its name as a folder's."""
    return contestant.name.lower().replace(" ", "-")


if __name__ == "__main__":
    main()
