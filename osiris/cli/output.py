"""The only place that prints. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence

import click
import msgspec

from osiris.cli.verb import Settings
from osiris.clock import parse_rfc3339
from osiris.errors import ExitCode, OsirisError, disk_error
from osiris.redaction import known_secrets

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = re.compile(r"-|[\d,.]+( ms| s| min \d\d s| k?B| [MGT]B)?")
_COLORS = {
    "success": "green",
    "reused": "green",
    "ok": "green",
    "failed": "red",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "running": "cyan",
    "drift": "red",
    "torn": "yellow",
}


class ErrorFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One of several problems that a check found."""

    message: str
    hint: str
    path: str
    line: int
    column: int


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: a stable ``code``, a sentence, what to do, and the file it is about."""

    code: str
    message: str
    hint: str
    path: str
    findings: tuple[ErrorFinding, ...] = ()


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON document of every error."""

    error: ErrorBody


class Output:
    """Prints for a person or a program, as the settings say.

    Secrets that this process has resolved are masked in errors, notes and lines for people. The JSON of a result is
    left whole, for it is made of what was masked when it was recorded, and of names that a mask would tear.
    """

    def __init__(self, settings: Settings) -> None:
        self.json = settings.json
        self._color = settings.color
        self.on_terminal = sys.stdout.isatty() and not settings.json
        self.live = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.columns = shutil.get_terminal_size().columns - 1

    def emit(self, document: msgspec.Struct, lines: Iterable[str]) -> None:
        """The command's result: the document as JSON, or ``lines`` for a person."""
        if self.json:
            lines = [msgspec.json.format(msgspec.json.encode(document), indent=2).decode()]
        with contextlib.suppress(BrokenPipeError):  # nobody reads it, but the command did what it did
            for line in lines:
                self._result(line)

    def emit_line(self, encoded: bytes, line: str) -> None:
        """One of many results of a stream: a JSON line, or a line for a person. Ends the command if nobody reads."""
        try:
            self._result(encoded.decode() if self.json else line)
        except BrokenPipeError:
            raise click.exceptions.Exit(ExitCode.DONE) from None

    def redraw(self, lines: Sequence[str]) -> None:
        """Show ``lines``, as much as fits, in place of what is on the terminal. Ends the command if nobody reads."""
        shown = lines[: max(1, shutil.get_terminal_size().lines - 1)]
        text = "".join(f"{line if self._color else click.unstyle(line)}\x1b[K\n" for line in shown)
        try:
            click.echo(f"\x1b[?7l\x1b[H{text}\x1b[J\x1b[?7h", nl=False, color=True)
        except OSError:
            raise click.exceptions.Exit(ExitCode.DONE) from None

    def note(self, line: str) -> None:
        """Something that is no result; a run does not end because nobody can read its progress."""
        with contextlib.suppress(OSError):
            click.echo(known_secrets().scrub(line), err=True, color=self._color and sys.stderr.isatty())

    def draw(self, text: str) -> None:
        """Part of a live display on stderr, with its own line ends and cursor movements."""
        with contextlib.suppress(OSError):
            text = known_secrets().scrub(text)
            click.echo(text if self._color else _STYLE.sub("", text), err=True, nl=False, color=True)

    def warn(self, text: str) -> None:
        """Something that did not stop the command."""
        self.note(click.style("warning: ", fg="yellow") + text)

    def error(self, error: OsirisError) -> None:
        """What is wrong and what to do about it; with ``--json`` as a document of one line, which may end a stream."""
        error = known_secrets().scrub_error(error)
        if self.json:
            with contextlib.suppress(OsirisError):  # standard output is full: say it on the other one
                with contextlib.suppress(BrokenPipeError):
                    self._result(msgspec.json.encode(_error_document(error)).decode())
                return
        findings = error.findings or ()
        label = click.style("error: ", fg="red")
        if len(findings) <= 1:
            self.note(label + one_line(error.problem))
            self._hint(error.hint)
            return
        for finding in findings:
            self.note(label + one_line((f"{finding.where}: " if finding.where else "") + finding.problem))
            self._hint(finding.hint)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        """Aligned columns on a terminal, tab-separated and whole elsewhere."""
        if not self.on_terminal:
            return ["\t".join(row) for row in [header, *rows]]
        columns = list(zip(header, *rows, strict=True))
        padded = [_aligned(column) for column in columns]
        head, *body = ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
        return [click.style(head, bold=True), *body]

    def status(self, status: str) -> str:
        """A status word in its colour."""
        return click.style(status, fg=_COLORS.get(status)) if self._color and self.on_terminal else status

    def _hint(self, hint: str) -> None:
        if hint:
            self.note(click.style("Try: ", fg="cyan") + one_line(hint))

    def _result(self, line: str) -> None:
        try:
            line = line if self.json else known_secrets().scrub(line)
            click.echo(line, color=self._color and self.on_terminal)
        except BrokenPipeError:
            raise
        except OSError as cause:
            raise disk_error("write to", "standard output", cause) from cause


class NoteHandler(logging.Handler):
    """Shows what the ledger has to say (an index that was rebuilt, say) as warnings on stderr."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """One warning, also where its arguments do not fit."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = f"{record.msg} {record.args!r}"
        self._output.warn(text)


def one_line(text: str) -> str:
    """``text`` from anywhere as one line on a terminal: without line ends, escape sequences, or what is not UTF-8."""
    return _CONTROL.sub(" ", _encodable(text)).strip()


def local_time(text: str | None) -> str:
    """An RFC 3339 text as local time to the second, for people."""
    return parse_rfc3339(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else "-"


def duration(milliseconds: int | None) -> str:
    """``640 ms``, ``12.3 s``, ``4 min 05 s``; ``-`` where it is not known."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds // 60_000} min {milliseconds // 1000 % 60:02d} s"


def count(number: int | None) -> str:
    """A number of rows with separators; ``-`` where nothing was counted."""
    return "-" if number is None else f"{number:,}"


def _aligned(column: Sequence[str]) -> list[str]:
    """One column, header first, padded to one width; numbers stand to the right."""
    plain = [click.unstyle(cell) for cell in column]
    width = max(map(len, plain))
    is_numeric = all(_NUMBER.fullmatch(cell) for cell in plain[1:])
    gaps = [" " * (width - len(cell)) for cell in plain]
    return [gap + cell if is_numeric else cell + gap for gap, cell in zip(gaps, column, strict=True)]


def _error_document(error: OsirisError) -> ErrorDocument:
    findings = tuple(
        ErrorFinding(
            message=_encodable(found.problem),
            hint=_encodable(found.hint),
            path=_encodable(found.path),
            line=found.line,
            column=found.column,
        )
        for found in error.findings
    )
    body = ErrorBody(
        code=error.code,
        message=_encodable(error.problem),
        hint=_encodable(error.hint),
        path=_encodable(error.path),
        findings=findings,
    )
    return ErrorDocument(error=body)


def _encodable(text: str) -> str:
    """A file name may hold bytes that are not UTF-8; they are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
