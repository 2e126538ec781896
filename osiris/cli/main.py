"""``osiris``: a lazy table of commands, and the one place where an error becomes an exit code.

Commands are imported when they are called, so ``osiris --help`` costs little more than importing click.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from osiris import __version__
from osiris.cli.verb import Settings, shared_options
from osiris.errors import ExitCode, OsirisError, disk_error

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from osiris.cli.output import Output

COMPLETE_VARIABLE = "_OSIRIS_COMPLETE"
"""Set by the scripts of ``osiris completion``: the shell asks what could stand at the cursor."""
_NO_ARGUMENTS: type[click.UsageError] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())
_UNKNOWN_COMMAND: type[click.UsageError] | tuple[()] = getattr(click.exceptions, "NoSuchCommand", ())
"""Newer versions of click have errors of their own for these; older ones show the help, and suggest nothing."""


class _Row(NamedTuple):
    group: str
    module: str
    summary: str


COMMANDS: dict[str, _Row] = {
    "init": _Row("Build and run", "osiris.cli.init", "Scaffold a project here or in DIR"),
    "compile": _Row("Build and run", "osiris.cli.compile", "Turn a pipeline into a deterministic build"),
    "run": _Row("Build and run", "osiris.cli.run", "Compile if needed, then run"),
    "runs": _Row("Look", "osiris.cli.runs", "list, show, diff, tag: what ran, and how it ended"),
    "logs": _Row("Look", "osiris.cli.logs", "list, show: the files that a run wrote of itself"),
    "pipelines": _Row("Look", "osiris.cli.pipelines", "list, show, tag: what is known of each pipeline"),
    "aiop": _Row("Look", "osiris.cli.aiop", "list, show, export: the pack of each run"),
    "oml": _Row("Look", "osiris.cli.oml", "validate: check pipeline files"),
    "components": _Row("Look", "osiris.cli.components", "list, show: what a step can do"),
    "connections": _Row("Look", "osiris.cli.connections", "list, doctor: whether they work from here"),
    "discover": _Row("Look", "osiris.cli.discover", "The tables that a connection leads to"),
    "config": _Row("Look", "osiris.cli.config", "show: every value, and where it came from"),
    "events": _Row("Ledger", "osiris.cli.events", "Read the journal"),
    "index": _Row("Ledger", "osiris.cli.index", "verify, rebuild, head: the index against the journal"),
    "completion": _Row("Upkeep", "osiris.cli.completion", "Completion for bash, zsh or fish"),
    "repo": _Row("Upkeep", "osiris.cli.repo", "ensureignore: what git should ignore"),
    "maintenance": _Row("Upkeep", "osiris.cli.maintenance", "clean: delete what the retention rules give up"),
}


class CommandTable(click.Group):
    """Looks commands up in ``COMMANDS``; their summaries come from there too, so help imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command."""
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        command: click.Command = importlib.import_module(row.module).command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``osiris help run`` is ``osiris run --help``."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and options, without importing a command."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell that completes needs it

        rows = ((name, row.summary) for name, row in COMMANDS.items() if name.startswith(incomplete))
        names = [CompletionItem(name, help=summary) for name, summary in rows]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Commands by group."""
        for group in dict.fromkeys(row.group for row in COMMANDS.values()):
            with formatter.section(group):
                formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items() if row.group == group])


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, prog_name="osiris", message="%(prog)s %(version)s")
@shared_options
@click.pass_context
def cli(ctx: click.Context) -> None:
    """\b
    Compile data pipelines, run them, and keep a ledger of it all.
    Files go to build/, run_logs/, aiop/ and .osiris/ in the project's folder.
    Environment: OSIRIS_HOME OSIRIS_PROFILE OSIRIS_PARAM_<NAME> NO_COLOR
      OSIRIS_FILESYSTEM_BASE (or OSIRIS_BASE_PATH) OSIRIS_RUN_ID_FORMAT
      OSIRIS_RETENTION_RUN_LOGS_DAYS
    """
    ctx.ensure_object(Settings)


def main(command: click.Command = cli) -> NoReturn:
    """Run ``command``, the whole command line, and end the process with a code of the table."""
    # A command is a short process that makes no garbage in circles; looking for it costs 7 % of the start-up.
    gc.disable()
    _open_missing_streams()
    settings = Settings()
    settings.json = "--json" in sys.argv[1:]  # an error on the line itself is a document, too
    settings.color &= "--no-color" not in sys.argv[1:]
    try:
        _on_signals(_stop)
        code = _complete(settings) if os.environ.get(COMPLETE_VARIABLE) else _dispatch(settings, command)
        _on_signals(_end)
    except KeyboardInterrupt:
        code = ExitCode.CANCELLED
    settings.close()
    _flush()
    # Everything is on the disk or on the screen. Taking DuckDB and a hundred modules apart would cost another 20 ms.
    os._exit(int(code))


def _on_signals(act: Callable[[int, FrameType | None], None]) -> None:
    """What Ctrl-C and SIGTERM do from here on; a process that was started to ignore one goes on doing so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, act)


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signal module's signature
    """The first one lets every open block clean up behind itself; a second one ends the process at once."""
    _on_signals(_end)
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    os._exit(ExitCode.CANCELLED)


def _open_missing_streams() -> None:
    """Started with a closed stdout or stderr (``>&-``), so that no file of ours is opened under its number."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open to the end


def _flush() -> None:
    """What is still buffered. A stream that nobody reads or that is full is turned away, so that the end is quiet."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _complete(settings: Settings) -> int:
    """Answer the shell. Whatever goes wrong is not worth a word in the middle of somebody's typing."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end
    try:
        cli.main(standalone_mode=False, obj=settings, complete_var=COMPLETE_VARIABLE)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # noqa: BLE001 - the last resort here, too
        return ExitCode.BUG
    return ExitCode.DONE


def _dispatch(settings: Settings, command: click.Command) -> int:
    try:
        result = command.main(standalone_mode=False, obj=settings)
    except OsirisError as error:
        _output(settings).error(error)
        return error.exit_code
    except click.UsageError as error:
        _say_usage(_output(settings), error)
        return ExitCode.USAGE
    except click.ClickException as error:
        _output(settings).error(OsirisError(error.format_message(), code="cli.usage"))
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.CANCELLED
    except SystemExit:  # click's, when nobody reads the help any more
        return ExitCode.DONE
    except Exception as bug:  # noqa: BLE001 - the last resort: whatever gets here is a bug, and is said to be one
        if isinstance(bug, OSError) and _is_of_click(bug):  # it prints help and version itself
            unwritten = disk_error("write to", "standard output", bug)
            _output(settings).error(unwritten)
            return unwritten.exit_code
        return _report_bug(settings, bug)
    return result if isinstance(result, int) else ExitCode.DONE


def _is_of_click(bug: Exception) -> bool:
    """Whether it was raised in click's own code, and not in a command that click called."""
    place = bug.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__")).startswith("click.")


def _output(settings: Settings) -> Output:
    from osiris.cli.output import Output  # noqa: PLC0415 - only needed when something is printed

    return Output(settings)


def _say_usage(output: Output, error: click.UsageError) -> None:
    if isinstance(error, _NO_ARGUMENTS) and not output.json:
        output.note(error.format_message())
    else:
        output.error(_usage_error(error))


def _usage_error(error: click.UsageError) -> OsirisError:
    path = error.ctx.command_path if error.ctx else "osiris"
    message, hint = error.format_message(), f"See `{path} --help`."
    if isinstance(error, _NO_ARGUMENTS):
        message = f"{path} needs a command"
    elif isinstance(error, _UNKNOWN_COMMAND) and error.ctx and isinstance(error.ctx.command, click.Group):
        from osiris.documents import suggest  # noqa: PLC0415 - only for a slip of the pen

        word, known = getattr(error, "command_name", ""), error.ctx.command.list_commands(error.ctx)
        message, hint = error.message, f"{suggest(word, known)} {hint}".lstrip()
    return OsirisError(message, hint, code="cli.usage")


def _report_bug(settings: Settings, bug: Exception) -> int:
    from osiris.cli.crash import write_crash_log  # noqa: PLC0415 - never needed while all is well

    where = write_crash_log(bug, settings.project)
    hint = f"Please report it with the traceback in {where}."
    _output(settings).error(OsirisError(f"a bug in Osiris: {type(bug).__name__}: {bug}", hint, code="osiris.bug"))
    return ExitCode.BUG
