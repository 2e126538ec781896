"""The example package, as its author would try it: built, installed beside Osiris, listed, shown, compiled and run."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

PACKAGE = ROOT / "examples" / "osiris-mail"
ARCHIVE = "".join(
    f"From {name} Fri Nov 20 10:00:00 2026\nFrom: {name}@example.org\nDate: Fri, 20 Nov 2026 10:0{minute}:00 +0000\n\n"
    for minute, name in enumerate(("ada", "grace", "ada"))
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the package, and all that this one has: nothing is fetched from anywhere."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    [own] = folder.glob("lib/python*/site-packages")
    ours = "".join(f"; site.addsitedir({path!r})" for path in site.getsitepackages())
    (own / "osiris_and_all_it_needs.pth").write_text(f"import site{ours}\n")
    source = shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    offline = ("--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--quiet")
    succeed([interpreter, "-m", "pip", "install", *offline, source])
    return interpreter


def succeed(command: list[str | Path], folder: Path | None = None, code: int = 0, **variables: str) -> str:
    """All that a command prints, which ends with ``code``."""
    done = subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OSIRIS_", "PIP_", "PYTHON"))}
    return {**kept, **more}


def osiris(python: Path, folder: Path, *args: str, code: int = 0, **variables: str) -> str:
    return succeed([python, "-m", "osiris", *args], folder, code, **variables)


def test_an_installed_package_is_listed_shown_compiled_and_run(python: Path, tmp_path: Path) -> None:
    pipeline, connections = (block.text for block in blocks(PACKAGE / "README.md") if block.language == "yaml")
    project = tmp_path / "project"
    osiris(python, tmp_path, "init", "project")
    (project / "pipelines" / "mail.yaml").write_text(pipeline)
    (project / "osiris_connections.yaml").write_text(connections)
    (project / "data").mkdir(exist_ok=True)
    (project / "data" / "small.mbox").write_text(ARCHIVE)

    listed = osiris(python, project, "components", "list")
    assert "mail.mbox_extractor" in listed
    assert "mail.pseudonymizer" in listed
    shown = osiris(python, project, "components", "show", "mail.pseudonymizer")
    assert "HMAC" not in shown
    assert "pseudonyms" in shown
    osiris(python, project, "oml", "validate", "pipelines/mail.yaml")
    osiris(python, project, "compile", "mail")
    assert "PSEUDONYMS_KEY" in osiris(python, project, "run", "mail", code=2)
    osiris(python, project, "run", "mail", PSEUDONYMS_KEY="a key that nobody else has")
    rows = (project / "out" / "mail_by_sender.csv").read_text().splitlines()
    assert rows[0] == "sender,mails,bytes"
    assert sorted(row.split(",")[1] for row in rows[1:]) == ["1", "2"]
    assert "ada" not in "".join(rows)


def test_the_package_s_own_tests_pass(python: Path) -> None:
    plain = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    assert " passed" in succeed([python, "-m", "pytest", *plain, python.parents[1] / "source"])


def test_this_interpreter_has_what_builds_the_package() -> None:
    """Else the tests above would fetch it, or fail on a machine that is offline."""
    subprocess.run([sys.executable, "-c", "import hatchling.build, pip"], check=True)
