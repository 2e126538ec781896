"""What every registered component promises, whoever wrote it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from osiris.components import BUILT_IN, component_names, find_component
from osiris.components.base import Component
from osiris.families import find_family

COMPONENTS = component_names()


@pytest.fixture(params=COMPONENTS)
def component(request: pytest.FixtureRequest) -> Component:
    found = find_component(request.param)
    assert found is not None
    return found


def test_a_component_is_found_by_the_name_in_its_spec(component: Component) -> None:
    assert find_component(component.spec.name) is component


def test_a_spec_says_what_the_component_is(component: Component) -> None:
    spec = component.spec
    assert spec.name.count(".") == 1
    assert spec.version.count(".") == 2
    assert spec.summary.endswith(".")
    assert spec.modes
    assert len(set(spec.modes)) == len(spec.modes)
    assert set(spec.modes) <= {"read", "transform", "write"}


def test_only_a_writer_gives_no_rows(component: Component) -> None:
    assert (component.spec.rows == "none") == (component.spec.modes == ("write",))


def test_a_config_is_frozen_and_refuses_unknown_keys(component: Component) -> None:
    config = component.config_type.__struct_config__
    assert config.frozen
    assert config.forbid_unknown_fields


def test_a_config_takes_keywords_only(component: Component) -> None:
    fields = msgspec.structs.fields(component.config_type)
    with pytest.raises(TypeError):
        component.config_type(*["x"] * len(fields))


def test_a_config_has_a_schema_that_explains_every_field(component: Component) -> None:
    schema: dict[str, Any] = msgspec.json.schema(component.config_type)
    json.dumps(schema)
    properties = schema["$defs"]["Config"]["properties"]
    assert properties
    assert all(field.get("description") for field in properties.values())


def test_secret_fields_are_fields_of_the_config_or_the_connection(component: Component) -> None:
    names = {field.name for field in msgspec.structs.fields(component.config_type)}
    family = find_family(component.spec.connection_family)
    names |= {field.name for field in family.spec.fields} if family else set()
    assert set(component.spec.secret_fields) <= names


def test_an_unknown_name_is_no_component() -> None:
    assert find_component("filesystem.nothing") is None


def test_the_built_in_components_are_listed_in_order() -> None:
    assert list(BUILT_IN) == sorted(BUILT_IN)


def test_looking_at_a_component_does_not_load_duckdb() -> None:
    asks = "; ".join(f"find_component({name!r})" for name in BUILT_IN)
    code = f"import sys; from osiris.components import find_component; {asks}; print('duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
