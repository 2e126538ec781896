"""Components that installed packages bring."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import osiris.components
from osiris.components import component_names, find_component
from osiris.errors import OsirisError

GOOD = """
import msgspec
from osiris.components.base import ComponentSpec

class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rows: int = 3

SPEC = ComponentSpec(name="acme.source", version="1.0.0", summary="Counts.", modes=("read",))

def run(ctx, config, inputs):
    raise NotImplementedError
"""

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package with one component: its name, and the module's source."""

    def put(name: str, source: str) -> None:
        (tmp_path / "acme_component.py").write_text(source)
        dist = tmp_path / "acme-1.0.dist-info"
        dist.mkdir()
        (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        (dist / "entry_points.txt").write_text(f"[osiris.components]\n{name} = acme_component\n")

    def forget() -> None:
        sys.modules.pop("acme_component", None)
        osiris.components.find_component.cache_clear()
        osiris.components._entry_points.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield put
    forget()


def test_a_package_brings_a_component_through_an_entry_point(install: Install) -> None:
    install("acme.source", GOOD)
    found = find_component("acme.source")
    assert found is not None
    assert found.spec.summary == "Counts."
    assert "acme.source" in component_names()


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("acme.source", "import nothing_of_that_name", "ModuleNotFoundError"),
        ("acme.source", "def run(:", "SyntaxError"),
        ("acme.source", "1 / 0", "ZeroDivisionError"),
        ("acme.source", GOOD.replace("SPEC", "SPECK"), "no attribute 'SPEC'"),
        ("acme.source", GOOD.replace("acme.source", "acme.other"), "SPEC calls it 'acme.other'"),
        ("acme.source", GOOD + "\nSPEC = 1", "SPEC is not a ComponentSpec"),
        ("acme.source", GOOD + "\nConfig = dict", "Config is not a msgspec Struct"),
        ("acme.source", GOOD + "\nrun = None", "run cannot be called"),
    ],
)
def test_a_broken_package_is_an_error_that_names_it(install: Install, name: str, source: str, problem: str) -> None:
    install(name, source)
    with pytest.raises(OsirisError, match=problem) as refused:
        find_component(name)
    assert "'acme.source'" in refused.value.problem
    assert "'acme'" in refused.value.problem
    assert refused.value.code == "component.broken"
