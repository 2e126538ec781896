"""The shape of an OML file. What depends on other parts of the file (params, components, wiring) stays a ``Node``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from osiris.compiler.manifest import RetryPolicy
from osiris.components.base import Component, Mode
from osiris.documents import Node

STEP_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

ParamType = Literal["string", "int", "float", "bool"]
ParamValue = str | int | float | bool

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class OmlMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """``metadata``: ``intent`` goes to the run card; other keys are the author's own."""

    intent: str = ""


class OmlParam(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of ``params``; without a ``default`` the parameter is required."""

    type: ParamType
    default: Node | None = None
    enum: Annotated[list[Node], msgspec.Meta(min_length=1)] | None = None
    description: str = ""


class OmlProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of ``profiles``: what it says over the defaults of the parameters."""

    params: dict[str, Node] = {}


class OmlStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of ``steps``; ``needs`` and ``inputs`` are None where they are left out."""

    id: str
    component: _Text
    mode: Mode
    needs: list[str] | None = None
    inputs: dict[str, str] | None = None
    config: Node | None = None
    retry: RetryPolicy | None = None
    timeout: Node | None = None


class OmlPipeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    oml_version: Node
    name: _Text
    description: str = ""
    metadata: OmlMetadata = OmlMetadata()
    params: dict[str, Node] = {}
    profiles: dict[str, Node] = {}
    requires: dict[str, str] = {}
    steps: Annotated[list[Node], msgspec.Meta(min_length=1)]


class Bindings(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline is compiled with besides its own text.

    ``profile`` is the active profile, "" where profiles are off. ``params`` are the texts of ``--param``, ``environ``
    is the process environment. ``known_profiles`` are the project's profiles; () where profiles are off.
    ``connections`` is the folder of ``osiris_connections.yaml``; None where references are not looked up.
    """

    profile: str = ""
    params: Mapping[str, str] = {}
    environ: Mapping[str, str] = {}
    known_profiles: tuple[str, ...] = ()
    connections: Path | None = None


class Registry(msgspec.Struct, frozen=True):
    """Which components there are: ``find`` gives one by its name or None, ``names`` gives all names."""

    find: Callable[[str], Component | None]
    names: Callable[[], list[str]]
