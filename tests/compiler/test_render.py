"""The manifest's file: what is written is what is read back, whatever the texts in it look like."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.compiler.manifest import Manifest
from osiris.compiler.render import parse_manifest, render_manifest

_TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["no", "1e3", "0x10", "0o7", "null", "~", "1.10", "2024-01-01", "1:30", "a: b", "# x", "- a", "<<", "=", ".inf"]
)
_VALUES = _TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.dictionaries(_TEXTS, _VALUES), _TEXTS)
def test_a_manifest_is_read_back_as_it_was_written(params: dict[str, Any], name: str) -> None:
    base = parse_manifest(render_manifest(_BASE), "manifest.yaml")
    assert base == _BASE
    manifest = msgspec.structs.replace(
        _BASE, params=params, requires={name: name}, pipeline=msgspec.structs.replace(_BASE.pipeline, description=name)
    )
    found = parse_manifest(render_manifest(manifest), "manifest.yaml")
    assert found == manifest
    assert msgspec.json.encode(found) == msgspec.json.encode(manifest)


def _base_manifest() -> Manifest:
    fingerprints = {"oml": "1e3", "params": "0", "components": {"a": "00"}, "compiler": "1"}
    steps = [
        {"id": "1e3", "component": "no", "component_version": "1.0", "mode": "read", "config": "", "config_digest": ""}
    ]
    return msgspec.convert(
        {
            "oml_version": "0.1.0",
            "pipeline": {"slug": "a", "name": "a"},
            "profile": "",
            "params": {},
            "requires": {},
            "steps": steps,
            "fingerprints": fingerprints,
        },
        Manifest,
    )


_BASE = _base_manifest()


def test_other_readers_of_yaml_read_the_same() -> None:
    manifest = msgspec.structs.replace(_BASE, params={"a": "no", "b": "1e3", "c": 1.5, "d": True, "e": "2024-01-01"})
    assert msgspec.convert(yaml.safe_load(render_manifest(manifest)), Manifest) == manifest
