"""``components list`` and ``show``: a person writes a step from what stands there, and it validates."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import msgspec
import pytest

from osiris.cli import component_page
from osiris.cli.component_page import component_lines, connection_schema, example_connection
from osiris.components import component_names, find_component
from osiris.components.base import Component
from osiris.families.base import ConnectionField, Family, FamilySpec
from tests.cli.shop import Shop

HEAD = 'oml_version: "0.1.0"\nname: example\nsteps:\n'
READ = "  - {id: before, component: filesystem.csv_extractor, mode: read, config: {path: data/orders.csv}}\n"


def example_of(page: str) -> str:
    """The step as it stands on the page, two columns to the right, as in a list of steps."""
    return page.partition("\nexample step\n")[2].partition("\n\n")[0] + "\n"


@pytest.mark.parametrize("name", component_names())
def test_the_example_of_every_component_validates_as_it_stands(shop: Shop, name: str) -> None:
    page = shop.run("components", "show", name).out
    step = example_of(page)
    before = "" if "mode: read" in step else READ
    shop.write("pipelines/example.yaml", HEAD + before + step)
    connection = page.partition("\nexample osiris_connections.yaml\n")[2]
    if connection:
        shop.write("osiris_connections.yaml", connection)
    shop.run("oml", "validate", "example")
    document = shop.run("components", "show", name, "--json").json
    assert document["example"] == "".join(line[2:] for line in step.splitlines(keepends=True))
    jsonschema.Draft202012Validator.check_schema(document["config_schema"])


@pytest.mark.parametrize("name", component_names())
def test_a_page_names_every_key_with_what_it_takes_and_fits_80_columns(shop: Shop, name: str) -> None:
    shown = shop.on_terminal("components", "show", name)
    assert max(map(len, shown.splitlines())) < 80
    schema = shop.run("components", "show", name, "--json").json["config_schema"]
    for key, field in schema["$defs"]["Config"]["properties"].items():
        assert f"\n  {key} " in shown
        assert field["description"].split()[0] in shown


def test_a_page_says_types_defaults_choices_and_ranges(shop: Shop) -> None:
    page = shop.run("components", "show", "filesystem.csv_extractor").out
    for facts in (
        "path             text, not empty, required\n",
        "delimiter        text, one character, optional\n",
        'encoding         latin-1 | utf-16 | utf-8, default "utf-8"\n',
        'null_values      list of text, at least 1 of them, default [""]\n',
        "types            map of text to text, default {}\n",
        "skip             integer, at least 0, default 0\n",
    ):
        assert f"\n  {facts}" in page


CONNECTED = """
from typing import Annotated
import msgspec
from msgspec import Meta
from osiris.components.base import ComponentSpec

class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    table: Annotated[str, Meta(description="What to read", examples=["orders"])]
    connection: Annotated[str, Meta(description="Which one")] = ""

class Connection(msgspec.Struct, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="Where it is", examples=["db.example.org"])]
    port: Annotated[int, Meta(ge=1, le=65535, description="Where it listens")] = 4711
    pin: Annotated[str, Meta(description="What opens it")]

SPEC = ComponentSpec(
    name="acme.reader", version="1.0.0", summary="Reads.", modes=("read",), secret_fields=("pin",),
    requires=("acme[safe]",), connection_family="acme",
)

def run(ctx, config, inputs):
    raise NotImplementedError
"""


def test_a_page_says_what_a_connection_needs_and_the_examples_go_together(shop: Shop, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "acme-1.0.dist-info").mkdir(parents=True)
    (site / "acme_reader.py").write_text(CONNECTED)
    (site / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text("[osiris.components]\nacme.reader = acme_reader\n")
    variables = {"PYTHONPATH": str(site)}
    assert "acme.reader" in shop.run("components", "list", env=variables).out
    page = shop.run("components", "show", "acme.reader", env=variables).out
    assert "Needs acme[safe].\n" in page
    assert "connection, of the family acme in osiris_connections.yaml\n" in page
    assert "  port  integer, at least 1, at most 65535, default 4711\n" in page
    assert "  pin   text, required, secret\n" in page
    shop.write("pipelines/example.yaml", HEAD + example_of(page))
    shop.write("osiris_connections.yaml", page.partition("\nexample osiris_connections.yaml\n")[2])
    shop.run("oml", "validate", "example", env=variables)
    assert "ACME_PIN" in shop.run("run", "example", env=variables, check=2).err
    document = shop.run("components", "show", "acme.reader", "--json", env=variables).json
    assert set(document["connection_schema"]["$defs"]["Connection"]["properties"]) == {"host", "port", "pin"}
    shop.write("osiris_connections.yaml", document["connection_example"].replace('"db.example.org"', "[a, b]"))
    refused = shop.run("run", "example", env={**variables, "ACME_PIN": "sesame-open"}, check=2)
    assert "the connection @acme.main is not what acme.reader needs: Expected `str`, got `array` - at `$.host`" in (
        refused.err
    )


def test_a_family_of_osiris_says_itself_what_its_connections_need(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = (
        ConnectionField(name="host", description="Where it is", default="localhost"),
        ConnectionField(name="password", description="What opens it", required=True, secret=True),
    )
    spec = FamilySpec(name="acme", title="ACME", fields=fields)
    monkeypatch.setattr(component_page, "find_family", lambda _: Family(spec=spec, check=lambda *_: iter(())))
    found = find_component("filesystem.csv_extractor")
    assert found is not None
    component = Component(msgspec.structs.replace(found.spec, connection_family="acme"), found.config_type, found.run)
    lines = list(component_lines(component, columns=80))
    assert '  host      text, default "localhost"' in lines
    assert "  password  text, required, secret" in lines
    assert example_connection(component).splitlines()[-1] == "      password: ${ACME_PASSWORD}"
    schema = connection_schema(component)
    assert schema is not None
    assert schema["required"] == ["password"]
