"""``osiris config``: the effective configuration."""

from __future__ import annotations

import click
import msgspec

from osiris.cli.complete import complete_config_keys, complete_profiles
from osiris.cli.output import Output, one_line
from osiris.cli.verb import Settings, Verb, shared_options
from osiris.config import ConfigValue, EffectiveValue, effective_values
from osiris.project import Project


class ConfigDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris config show --json`` prints; ``path`` and ``root`` are absolute."""

    path: str
    path_source: str
    root: str
    root_source: str
    profile: str
    profile_source: str
    values: tuple[EffectiveValue, ...]
    warnings: tuple[str, ...]


@click.group()
def command() -> None:
    """The effective configuration."""


@command.command(
    cls=Verb,
    document=ConfigDocument,
    examples=[
        "osiris config show",
        "osiris config show filesystem.retention",
        "osiris config show -p prod --json",
    ],
)
@click.argument("key", metavar="[KEY]", default="", shell_complete=complete_config_keys)
@click.option("-p", "--profile", shell_complete=complete_profiles, help="The profile, as for other commands.")
@shared_options
@click.pass_obj
def show(settings: Settings, key: str, profile: str | None) -> None:
    """Show every value of the configuration, or those of KEY (a key or a block), with where each came from."""
    project = settings.open_project()
    document = config_document(project, key, profile)
    output = Output(settings)
    found = [] if key else _found(document)
    rows = [*found, *((value.key, value_text(value.value), value.source) for value in document.values)]
    output.emit(document, output.table(("key", "value", "source"), [tuple(map(one_line, row)) for row in rows]))


def config_document(project: Project, key: str, profile: str | None) -> ConfigDocument:
    """The configuration of ``project`` below ``key``, with the active profile when ``profile`` is asked for."""
    sources = project.config_sources
    active = project.profile(profile)
    if not project.config.filesystem.profiles.enabled:
        profile_source = f"profiles are off, {sources.get('filesystem.profiles.enabled', 'default')}"
    else:
        profile_source = "--profile" if profile else sources.get("filesystem.profiles.default", "default")
    return ConfigDocument(
        path=one_line(str(project.origin.config_path)),
        path_source=one_line(project.origin.found_by),
        root=one_line(str(project.root)),
        root_source=sources.get("filesystem.base_path", "") if project.config.filesystem.base_path else "default",
        profile=active,
        profile_source=profile_source,
        values=tuple(
            msgspec.structs.replace(value, value=_storable(value.value))
            for value in effective_values(project.config, sources, key)
        ),
        warnings=project.warnings,
    )


def value_text(value: ConfigValue) -> str:
    """A value for people: text as it is, ``""`` where it is empty, the rest as in JSON."""
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()


def _storable(value: ConfigValue) -> ConfigValue:
    """The environment may hold bytes that are not UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _found(document: ConfigDocument) -> list[tuple[str, str, str]]:
    """What stands above the keys: which file, which root, which profile."""
    return [
        ("(file)", document.path, document.path_source),
        ("(root)", document.root, document.root_source),
        ("(profile)", document.profile or "-", document.profile_source),
    ]
