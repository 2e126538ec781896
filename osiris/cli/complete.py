"""What a verb gives as ``shell_complete`` of an argument or option; what it offers is imported when a shell asks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _later(name: str) -> Completer:
    def complete(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
        found: Completer = import_module("osiris.cli.completers").COMPLETERS[name]
        return found(ctx, param, word)

    return complete


complete_components = _later("components")
complete_config_keys = _later("config_keys")
complete_connections = _later("connections")
complete_event_types = _later("event_types")
complete_own_tags = _later("own_tags")
complete_pipelines = _later("pipelines")
complete_profiles = _later("profiles")
complete_run_id_tokens = _later("run_id_tokens")
complete_runs = _later("runs")
complete_slugs = _later("slugs")
complete_steps = _later("steps")
complete_tag_list = _later("tag_list")
complete_tags = _later("tags")
