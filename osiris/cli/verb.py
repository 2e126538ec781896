"""What every verb of the command line shares: its help, its common options, and what they set."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from osiris.errors import EXIT_CODE_MEANINGS, ExitCode

if TYPE_CHECKING:
    import msgspec
    from click.shell_completion import CompletionItem

    from osiris.events.runs import RunStarted
    from osiris.project import Project


READING_EXITS = (ExitCode.INDEX_DRIFT, ExitCode.CORRUPT, ExitCode.LOCKED, ExitCode.DISK)
"""How a verb may end that asks the index, which is first brought up to the journal's end."""


class Settings:
    """What the common options said, wherever on the line they stood."""

    def __init__(self) -> None:
        self.json = False
        self.verbose = False
        self.color = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        self.project: Path | None = None
        self._opened: Project | None = None

    def open_project(self) -> Project:
        """The project that this command is about; warnings about its configuration go to stderr."""
        import logging  # noqa: PLC0415 - `osiris --help` needs none of these

        from osiris.cli.output import NoteHandler, Output  # noqa: PLC0415
        from osiris.project import open_project  # noqa: PLC0415

        output = Output(self)
        logging.getLogger("osiris").addHandler(NoteHandler(output))
        project = open_project(self.project, os.environ)
        for warning in project.warnings:
            output.warn(warning)
        project.ledger.before_interruption = partial(_pack_interrupted, project)
        self._opened = project
        return project

    def close(self) -> None:
        """Let go of what the command opened."""
        if self._opened is not None:
            self._opened.ledger.close()


def _pack_interrupted(project: Project, started: RunStarted, noticed_at: str) -> str:
    """Only where a run was killed is there a need for all that makes a pack."""
    from osiris.runner.interrupted import pack_interrupted  # noqa: PLC0415 - see above

    return pack_interrupted(project, started, noticed_at)


class Verb(click.Command):
    """A command whose help ends with examples and its exit status; ``document`` is what it prints with ``--json``.

    ``variants`` names what it prints instead with an option, such as ``--dry-run``.
    """

    def __init__(
        self,
        *args: Any,
        document: type[msgspec.Struct],
        variants: Mapping[str, type[msgspec.Struct]] = MappingProxyType({}),
        examples: Sequence[str] = (),
        exits: Sequence[ExitCode] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.document = document
        self.variants = dict(variants)
        self.examples = tuple(examples)
        self.exits = (ExitCode.DONE, *exits, ExitCode.USAGE, ExitCode.CANCELLED)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Examples and EXIT STATUS."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        with formatter.section("EXIT STATUS"):
            formatter.write_dl([(str(int(code)), EXIT_CODE_MEANINGS[code]) for code in sorted(set(self.exits))])


class VerbTable(click.Group):
    """A noun with verbs in modules of their own: ``elsewhere`` has each one's module, imported when it is called.

    A module's ``command`` is the verb.
    """

    def __init__(self, *args: Any, elsewhere: Mapping[str, str] = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._elsewhere = dict(elsewhere)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, by name."""
        return sorted([*super().list_commands(ctx), *self._elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, imported now if it lies elsewhere."""
        if cmd_name not in self._elsewhere:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(self._elsewhere[cmd_name]).command
        return command


def _set(name: str, value: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _: click.Parameter, given: Any) -> None:
        if given not in (None, False):
            setattr(ctx.ensure_object(Settings), name, value(given))

    return callback


def _folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - click's
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell that completes needs it

    return [CompletionItem(incomplete, type="dir")]


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``, ``-C/--project``, ``--no-color`` and ``--verbose``; they work before and behind the verb."""
    for option in (
        click.option(
            "-v", "--verbose", is_flag=True, expose_value=False, callback=_set("verbose", bool), help="Say more."
        ),
        click.option(
            "--no-color",
            is_flag=True,
            expose_value=False,
            callback=_set("color", lambda _: False),
            help="Plain output.",
        ),
        click.option(
            "-C",
            "--project",
            metavar="DIR",
            expose_value=False,
            callback=_set("project", Path),
            shell_complete=_folders,
            help="The project's folder; else looked for upward from here.",
        ),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            expose_value=False,
            callback=_set("json", bool),
            help="One JSON document on stdout.",
        ),
    ):
        command = option(command)
    return command
