"""``osiris completion``."""

from __future__ import annotations

import click
import msgspec
from click.shell_completion import get_completion_class

from osiris.cli.main import COMPLETE_VARIABLE
from osiris.cli.output import Output
from osiris.cli.verb import Settings, Verb, shared_options

_SHELLS = ("bash", "zsh", "fish")
_BETTER_FISH = (("complete --no-files", "complete --keep-order --no-files"), ('split ","', 'split --max 1 ","'))
"""Runs stay newest first, and a description may have a comma in it."""


class CompletionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris completion --json`` prints."""

    shell: str
    script: str


@click.command(
    cls=Verb,
    document=CompletionDocument,
    examples=[
        "osiris completion bash > ~/.local/share/bash-completion/completions/osiris",
        "osiris completion zsh > ~/.zfunc/_osiris   # with fpath+=~/.zfunc before compinit in ~/.zshrc",
        "osiris completion fish > ~/.config/fish/completions/osiris.fish",
    ],
)
@click.argument("shell", type=click.Choice(_SHELLS))
@shared_options
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete verbs, options, pipelines, profiles, runs and more.

    Put it where the shell looks for such scripts, as in the examples, and open a new shell. To try it in this one:

    \b
      source <(osiris completion bash)     bash 4.4 or newer
      source <(osiris completion zsh)      behind compinit
      osiris completion fish | source
    """
    document = CompletionDocument(shell=shell, script=_script(shell, ctx.find_root()))
    Output(ctx.ensure_object(Settings)).emit(document, [document.script])


def _script(shell: str, root: click.Context) -> str:
    kind = get_completion_class(shell)
    assert kind is not None, shell
    complete = kind(root.command, {}, "osiris", COMPLETE_VARIABLE)
    script = complete.source_template % complete.source_vars()  # its source() would start a shell to ask its version
    for before, better in _BETTER_FISH if shell == "fish" else ():
        script = script.replace(before, better)
    return script.rstrip("\n")
