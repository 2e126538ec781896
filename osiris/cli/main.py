"""``osiris``: a lazy table of commands, and the one place where an error becomes an exit code.

Commands are imported when they are called, so ``osiris --help`` costs little more than importing click.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from osiris import __version__
from osiris.cli.verb import Settings, shared_options
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    from osiris.cli.output import Output


class _Row(NamedTuple):
    group: str
    module: str
    summary: str


COMMANDS: dict[str, _Row] = {
    "init": _Row("Build and run", "osiris.cli.init", "Scaffold a project here or in DIR"),
    "compile": _Row("Build and run", "osiris.cli.compile", "Turn a pipeline into a deterministic build"),
    "run": _Row("Build and run", "osiris.cli.run", "Compile if needed, then run"),
    "runs": _Row("Look", "osiris.cli.runs", "list, show: what ran, and how it ended"),
    "pipelines": _Row("Look", "osiris.cli.pipelines", "list, tag: what is known of each pipeline"),
    "oml": _Row("Look", "osiris.cli.oml", "validate: check pipeline files"),
    "components": _Row("Look", "osiris.cli.components", "list, show: what a step can do"),
    "events": _Row("Ledger", "osiris.cli.events", "Read the journal"),
    "index": _Row("Ledger", "osiris.cli.index", "verify, rebuild, head: the index against the journal"),
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
    """Compile data pipelines, run them, and keep a ledger of it that can be trusted.

    Files go to build/, run_logs/, aiop/ and .osiris/ in the project's folder.
    Environment: OSIRIS_HOME, OSIRIS_PROFILE, OSIRIS_FILESYSTEM_BASE, OSIRIS_RUN_ID_FORMAT, OSIRIS_PARAM_<NAME>.
    """
    ctx.ensure_object(Settings)


def main(command: click.Command = cli) -> NoReturn:
    """Run ``command``, the whole command line, and end the process with a code of the table."""
    # A command is a short process that makes no garbage in circles; looking for it costs 7 % of the start-up.
    gc.disable()
    _open_missing_streams()
    settings = Settings()
    settings.json = "--json" in sys.argv[1:]  # an error on the line itself is a document, too
    code = _dispatch(settings, command)
    settings.close()
    _flush()
    # Everything is on the disk or on the screen. Taking DuckDB and a hundred modules apart would cost another 20 ms.
    os._exit(int(code))


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


def _dispatch(settings: Settings, command: click.Command) -> int:
    try:
        result = command.main(standalone_mode=False, obj=settings)
    except OsirisError as error:
        _output(settings).error(error)
        return error.exit_code
    except click.UsageError as error:
        _output(settings).error(_usage_error(error))
        return ExitCode.USAGE
    except click.ClickException as error:
        _output(settings).error(OsirisError(error.format_message(), code="cli.usage"))
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.CANCELLED
    except SystemExit:  # click's, when nobody reads the help any more
        return ExitCode.DONE
    except Exception as bug:  # noqa: BLE001 - the last resort: whatever gets here is a bug, and is said to be one
        return _report_bug(settings, bug)
    return result if isinstance(result, int) else ExitCode.DONE


def _output(settings: Settings) -> Output:
    from osiris.cli.output import Output  # noqa: PLC0415 - only needed when something is printed

    return Output(settings)


def _usage_error(error: click.UsageError) -> OsirisError:
    path = error.ctx.command_path if error.ctx else "osiris"
    return OsirisError(error.format_message(), f"See `{path} --help`.", code="cli.usage")


def _report_bug(settings: Settings, bug: Exception) -> int:
    from osiris.cli.crash import write_crash_log  # noqa: PLC0415 - never needed while all is well

    where = write_crash_log(bug, settings.project)
    hint = f"Please report it with the traceback in {where}."
    _output(settings).error(OsirisError(f"a bug in Osiris: {type(bug).__name__}: {bug}", hint, code="osiris.bug"))
    return ExitCode.BUG
